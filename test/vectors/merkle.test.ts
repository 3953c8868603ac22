import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/protocol/bytes.ts';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  merkleRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../src/protocol/merkle.ts';

interface Vectors {
  leaves: string[];
  roots: string[];
  inclusion: { index: number; size: number; proof: string[] }[];
  consistency: { from: number; to: number; proof: string[] }[];
}

const vectors: Vectors = JSON.parse(readFileSync(new URL('rfc6962.json', import.meta.url), 'utf8'));
const bytes = (hex: string) => fromHex(`0x${hex}`);
const leaves = vectors.leaves.map(bytes);
const hashes = leaves.map(leafHash);
const roots = vectors.roots.map(bytes);

describe('RFC 6962, vectors of Certificate Transparency', () => {
  test('the roots of the first 0 to 8 leaves are the published ones', () => {
    for (const [size, root] of vectors.roots.entries()) {
      expect(toHex(merkleRoot(leaves.slice(0, size)))).toBe(`0x${root}`);
    }
  });

  test('audit paths are the published ones and verify', () => {
    for (const { index, size, proof } of vectors.inclusion) {
      expect(inclusionProof(hashes, index, size).map(toHex)).toEqual(proof.map((hash) => `0x${hash}`));
      const input = { leaf: hashes[index]!, index, size, proof: proof.map(bytes), root: roots[size]! };
      expect(verifyInclusion(input)).toBe(true);
    }
  });

  test('consistency proofs are the published ones and verify', () => {
    for (const { from, to, proof } of vectors.consistency) {
      expect(consistencyProof(hashes, from, to).map(toHex)).toEqual(proof.map((hash) => `0x${hash}`));
      const input = { from, to, fromRoot: roots[from]!, toRoot: roots[to]!, proof: proof.map(bytes) };
      expect(verifyConsistency(input)).toBe(true);
    }
  });
});
