import { describe, expect, it } from 'vitest';
import { type BatchedProof, batchScalars } from '../../src/proofs/batch-scalars.ts';
import type { Hex } from '../../src/protocol/bytes.ts';

const KEY: Hex = `0x${'11'.repeat(32)}`;
const item = (first: bigint, fill: number): BatchedProof => ({
  publicSignals: [first, 7n, 8n, 9n],
  proof: new Uint8Array(256).fill(fill),
});
const BATCH = [item(1n, 0xaa), item(2n, 0xbb), item(3n, 0xcc)];

const VECTOR = [
  'e12b681e5ba6d4b454cd1c254ad6188c',
  '9d86966d3df4d17205b94c91aee4f08d',
  'a8f829233c905fa871d22f39dcf009c6',
];

describe('the scalars of a batch', () => {
  it('are those of the vector in docs/PROTOCOL.md, Batches', () => {
    expect(batchScalars(KEY, BATCH).map((z) => z.toString(16).padStart(32, '0'))).toEqual(VECTOR);
  });

  it('have at most 128 bits, are never zero, and differ', () => {
    const many = Array.from({ length: 500 }, (_, i) => item(BigInt(i), i % 256));
    const scalars = batchScalars(KEY, many);
    expect(scalars.every((z) => z > 0n && z < 2n ** 128n)).toBe(true);
    expect(new Set(scalars).size).toBe(500);
  });

  it('all change with any byte of the key, a signal or a proof, with the order and with the number', () => {
    const [a, b, c] = BATCH as [BatchedProof, BatchedProof, BatchedProof];
    const proof = (index: number) => a.proof.with(index, a.proof[index]! ^ 1);
    const signal = (index: number) => a.publicSignals.with(index, a.publicSignals[index]! + 1n);
    const batches: [Hex, BatchedProof[]][] = [
      [KEY, BATCH],
      [`0x${'11'.repeat(31)}12`, BATCH],
      [KEY, [b, a, c]],
      [KEY, [a, b]],
      [KEY, [a, b, c, c]],
      ...[0, 1, 2, 3].map((index): [Hex, BatchedProof[]] => [
        KEY,
        [{ ...a, publicSignals: signal(index) }, b, c],
      ]),
      ...[0, 31, 128, 255].map((index): [Hex, BatchedProof[]] => [
        KEY,
        [{ ...a, proof: proof(index) }, b, c],
      ]),
      // The same numbers, split between first signal and the others in another way.
      [KEY, [{ ...a, publicSignals: [...a.publicSignals, 0n] }, b, c]],
      [KEY, [{ ...a, publicSignals: a.publicSignals.slice(0, 3) }, b, c]],
    ];
    const all = batches.flatMap(([key, batch]) => batchScalars(key, batch));
    expect(new Set(all).size).toBe(all.length);
  });

  it('do not depend on whether statements share an array', () => {
    const copies = BATCH.map(({ publicSignals, proof }) => ({ publicSignals: [...publicSignals], proof }));
    const shared = BATCH.map(({ publicSignals, proof }) => ({ publicSignals, proof }));
    expect(batchScalars(KEY, copies)).toEqual(batchScalars(KEY, shared));
  });
});
