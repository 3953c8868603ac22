import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, equalBytes, u32 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import {
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  MerkleTree,
  rootOfHashes,
  verifyConsistency,
  verifyInclusion,
} from '../../src/protocol/merkle.ts';

const numRuns = process.env.GRAIL_LONG ? 20_000 : 300;
const hashes = Array.from({ length: 200 }, (_, i) => leafHash(u32(i)));

/** MTH as RFC 6962 writes it: the recursion, with nothing kept. */
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return emptyRoot();
  if (leaves.length === 1) return leaves[0]!;
  let width = 1;
  while (width * 2 < leaves.length) width *= 2;
  return sha256(concat(Uint8Array.of(1), mth(leaves.slice(0, width)), mth(leaves.slice(width))));
}

const tree = new MerkleTree(hashes);
const sizeArbitrary = fc.integer({ min: 1, max: hashes.length });
const indexInSize = sizeArbitrary.chain((size) =>
  fc.record({ size: fc.constant(size), index: fc.nat({ max: size - 1 }) }),
);
const prefix = sizeArbitrary.chain((to) => fc.record({ to: fc.constant(to), from: fc.nat({ max: to }) }));

/** The proof with one bit of one hash flipped. */
function flip(proof: readonly Uint8Array[], bit: number): Uint8Array[] {
  const out = proof.map((hash) => hash.slice());
  const hash = out[Math.floor(bit / 256) % out.length]!;
  hash[Math.floor((bit % 256) / 8)]! ^= 1 << (bit % 8);
  return out;
}

describe('MerkleTree', () => {
  test('every size has the root that the recursion of RFC 6962 gives', () => {
    for (let size = 0; size <= hashes.length; size++) {
      expect(equalBytes(tree.root(size), mth(hashes.slice(0, size))), `size ${size}`).toBe(true);
      expect(equalBytes(rootOfHashes(hashes.slice(0, size)), tree.root(size))).toBe(true);
    }
  });

  test('an inclusion proof of any leaf at any size verifies, and the tree gives the one that the list gives', () => {
    fc.assert(
      fc.property(indexInSize, ({ size, index }) => {
        const proof = tree.inclusionProof(index, size);
        const input = { leaf: hashes[index]!, index, size, proof, root: tree.root(size) };
        expect(verifyInclusion(input)).toBe(true);
        expect(proof).toEqual(inclusionProof(hashes, index, size));
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)) + 1);
      }),
      { numRuns },
    );
  });

  test('a consistency proof between any two sizes verifies, and the tree gives the one that the list gives', () => {
    fc.assert(
      fc.property(prefix, ({ from, to }) => {
        const proof = tree.consistencyProof(from, to);
        const input = { from, to, fromRoot: tree.root(from), toRoot: tree.root(to), proof };
        expect(verifyConsistency(input)).toBe(true);
        expect(proof).toEqual(consistencyProof(hashes, from, to));
      }),
      { numRuns },
    );
  });

  test('an inclusion proof fails for another leaf, index, root, length, or one flipped bit', () => {
    fc.assert(
      fc.property(indexInSize, fc.nat(), ({ size, index }, bit) => {
        const input = {
          leaf: hashes[index]!,
          index,
          size,
          proof: tree.inclusionProof(index, size),
          root: tree.root(size),
        };
        expect(verifyInclusion({ ...input, leaf: leafHash(u32(999)) })).toBe(false);
        expect(verifyInclusion({ ...input, root: tree.root(size - 1) })).toBe(false);
        expect(verifyInclusion({ ...input, index: size })).toBe(false);
        expect(verifyInclusion({ ...input, index: -1 })).toBe(false);
        expect(verifyInclusion({ ...input, proof: [...input.proof, hashes[0]!] })).toBe(false);
        if (size === 1) return;
        expect(verifyInclusion({ ...input, index: (index + 1) % size })).toBe(false);
        expect(verifyInclusion({ ...input, proof: input.proof.slice(1) })).toBe(false);
        expect(verifyInclusion({ ...input, proof: flip(input.proof, bit) })).toBe(false);
      }),
      { numRuns },
    );
  });

  test('a consistency proof fails for another root, length, or one flipped bit', () => {
    fc.assert(
      fc.property(prefix, fc.nat(), ({ from, to }, bit) => {
        fc.pre(from > 0 && from < to);
        const input = {
          from,
          to,
          fromRoot: tree.root(from),
          toRoot: tree.root(to),
          proof: tree.consistencyProof(from, to),
        };
        expect(verifyConsistency({ ...input, fromRoot: tree.root(from - 1) })).toBe(false);
        expect(verifyConsistency({ ...input, toRoot: tree.root(to - 1) })).toBe(false);
        expect(verifyConsistency({ ...input, from: to + 1 })).toBe(false);
        expect(verifyConsistency({ ...input, proof: [...input.proof, hashes[0]!] })).toBe(false);
        expect(verifyConsistency({ ...input, proof: input.proof.slice(1) })).toBe(false);
        expect(verifyConsistency({ ...input, proof: flip(input.proof, bit) })).toBe(false);
      }),
      { numRuns },
    );
  });

  test('a rewritten history has no consistency proof: the honest one does not fit', () => {
    const rewritten = new MerkleTree([leafHash(u32(777)), ...hashes.slice(1)]);
    for (const from of [1, 2, 3, 64, 100]) {
      const proof = rewritten.consistencyProof(from, 200);
      const input = { from, to: 200, fromRoot: tree.root(from), toRoot: rewritten.root(200), proof };
      expect(verifyConsistency(input)).toBe(false);
    }
  });

  test('sizes and indices beyond the tree are refused', () => {
    const small = new MerkleTree(hashes.slice(0, 3));
    expect(() => small.root(4)).toThrow(RangeError);
    expect(() => small.leaf(3)).toThrow(RangeError);
    expect(() => small.inclusionProof(3)).toThrow(RangeError);
    expect(() => small.inclusionProof(2, 2)).toThrow(RangeError);
    expect(() => small.consistencyProof(3, 2)).toThrow(RangeError);
  });
});
