import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bigToBytes, bytesToBig, concat, fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts';
import { ethersSignatures, Identity, recover } from '../../src/protocol/identity.ts';
import { useNodeSignatures } from '../../src/storage/node-signatures.ts';
import { ORDER, signatureAtInfinity } from '../support/secp256k1.ts';

useNodeSignatures();

const LONG = process.env.GRAIL_LONG !== undefined;
const RECOVERIES = LONG ? 300_000 : 10_000;
const SIGNATURES = LONG ? 100_000 : 3000;
const TIMEOUT_MS = LONG ? 3_600_000 : 120_000;

const FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn;

/** Numbers of 256 bits: any, and those beside every bound that a check may have. */
const edges = [0n, ORDER / 2n, ORDER, FIELD - ORDER, FIELD, 1n << 255n, 1n << 256n].flatMap((edge) =>
  [-2n, -1n, 0n, 1n, 2n].map((offset) => edge + offset),
);
const words = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }) },
  { weight: 1, arbitrary: fc.constantFrom(...edges.filter((value) => value >= 0n && value >> 256n === 0n)) },
);
const digests = words.map((value) => bigToBytes(value, 32));
const keys = fc.bigInt({ min: 1n, max: ORDER - 1n }).map((value) => bigToBytes(value, 32));
const parities = fc.oneof(fc.constantFrom(27, 28), fc.integer({ min: 0, max: 255 }));

const assemble = (r: bigint, s: bigint, v: number): Hex =>
  toHex(concat(bigToBytes(r, 32), bigToBytes(s, 32), new Uint8Array([v])));

/** One thing done to a good signature. */
const changes: fc.Arbitrary<(signature: Hex) => string> = fc.oneof(
  fc.constant((signature: Hex) => signature),
  parities.map(
    (v) => (signature: Hex) => toHex(concat(fromHex(signature).subarray(0, 64), new Uint8Array([v]))),
  ),
  fc.boolean().map((flip) => (signature: Hex) => {
    const bytes = fromHex(signature);
    const s = ORDER - bytesToBig(bytes.subarray(32, 64));
    return assemble(bytesToBig(bytes.subarray(0, 32)), s, flip ? 55 - bytes[64]! : bytes[64]!);
  }),
  words.map((r) => (signature: Hex) => toHex(concat(bigToBytes(r, 32), fromHex(signature).subarray(32)))),
  words.map((s) => (signature: Hex) => {
    const bytes = fromHex(signature);
    return toHex(concat(bytes.subarray(0, 32), bigToBytes(s, 32), bytes.subarray(64)));
  }),
  fc.integer({ min: 0, max: 519 }).map((bit) => (signature: Hex) => {
    const bytes = fromHex(signature);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    return toHex(bytes);
  }),
  fc
    .integer({ min: 0, max: 140 })
    .map((length) => (signature: Hex) => signature.padEnd(140, '0').slice(0, length)),
  fc.tuple(fc.integer({ min: 0, max: 131 }), fc.constantFrom('X', 'g', ' ', 'A', '\n', 'é')).map(
    ([at, character]) =>
      (signature: Hex) =>
        signature.slice(0, at) + character + signature.slice(at + 1),
  ),
  fc.constant((signature: Hex) => signature.toUpperCase()),
  fc.constant((signature: Hex) => `0x${signature.slice(2).toUpperCase()}`),
  fc.constant((signature: Hex) => signature.slice(2)),
);

const signatures = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(digests, keys, changes)
      .map(([digest, key, change]) => ({ digest, signature: change(new Identity(key).sign(digest)) })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(digests, words, words, parities)
      .map(([digest, r, s, v]) => ({ digest, signature: assemble(r, s, v) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(digests, keys)
      .map(([digest, nonce]) => ({ digest, signature: signatureAtInfinity(digest, nonce) as string })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ digest: fc.uint8Array({ minLength: 0, maxLength: 40 }), signature: fc.string() }),
  },
);

test(
  'both implementations name the same signer for good, changed, made-up and malformed signatures',
  () => {
    const found = { signer: 0, none: 0 };
    fc.assert(
      fc.property(signatures, ({ digest, signature }) => {
        const signer = recover(digest, signature as Hex);
        found[signer === null ? 'none' : 'signer']++;
        expect(signer).toBe(ethersSignatures.recover(digest, signature as Hex));
      }),
      { numRuns: RECOVERIES, seed: 11 },
    );
    // Neither answer is a rare one.
    expect(Math.min(found.signer, found.none)).toBeGreaterThan(RECOVERIES / 5);
  },
  TIMEOUT_MS,
);

test(
  'both implementations sign alike, and the signer is recovered',
  () => {
    fc.assert(
      fc.property(digests, keys, (digest, key) => {
        const identity = new Identity(key);
        const signature = identity.sign(digest);
        expect(signature).toBe(ethersSignatures.sign(digest, key));
        expect(recover(digest, signature)).toBe(identity.address);
      }),
      { numRuns: SIGNATURES, seed: 12 },
    );
  },
  TIMEOUT_MS,
);
