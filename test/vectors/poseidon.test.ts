import { describe, expect, it } from 'vitest';
import { sponge } from '../../src/proofs/poseidon.ts';

/** From the tests of iden3’s circomlibjs, test/poseidon.js: https://github.com/iden3/circomlibjs */
const KNOWN: { inputs: bigint[]; hash: bigint }[] = [
  { inputs: [1n, 2n], hash: 0x115cc0f5e7d690413df64c6b9662e9cf2a3617f2743245519e19607a4417189an },
  { inputs: [1n, 2n, 3n, 4n], hash: 0x299c867db6c1fdd79dcefa40e4510b9837e60ebb1ce0663dbaa525df65250465n },
  {
    inputs: Array.from({ length: 16 }, (_, i) => BigInt(i + 1)),
    hash: 9989051620750914585850546081941653841776809718687451684622678807385399211877n,
  },
  {
    inputs: Array.from({ length: 16 }, (_, i) => (i < 9 ? BigInt(i + 1) : 0n)),
    hash: 11882816200654282475720830292386643970958445617880627439994635298904836126497n,
  },
];

describe('a sponge of one block', () => {
  for (const { inputs, hash } of KNOWN) {
    it(`is circomlib's Poseidon of its start and its elements: ${inputs.join(' ')}`, () => {
      expect(sponge(inputs[0]!, inputs.slice(1))).toBe(hash);
    });
  }
});
