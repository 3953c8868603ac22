import * as lite from 'poseidon-lite';
import { describe, expect, it } from 'vitest';
import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import { poseidon } from '../../src/proofs/poseidon.ts';

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

describe('Poseidon with a capacity of zero', () => {
  for (const { inputs, hash } of KNOWN) {
    it(`is circomlib's: ${inputs.join(' ')}`, () => {
      expect(poseidon(0n, inputs)).toBe(hash);
    });
  }

  it('is poseidon-lite’s at every width, with its own tables and full matrices', () => {
    const { poseidon1, poseidon2, poseidon3, poseidon4, poseidon5, poseidon6, poseidon7, poseidon8 } = lite;
    const { poseidon9, poseidon10, poseidon11, poseidon12, poseidon13, poseidon14, poseidon15, poseidon16 } =
      lite;
    const others = [
      ...[poseidon1, poseidon2, poseidon3, poseidon4, poseidon5, poseidon6, poseidon7, poseidon8],
      ...[poseidon9, poseidon10, poseidon11, poseidon12, poseidon13, poseidon14, poseidon15, poseidon16],
    ];
    for (const [index, other] of others.entries()) {
      const inputs = Array.from({ length: index + 1 }, (_, i) => (FIELD_ORDER - 1n) / BigInt(i + 1));
      expect(poseidon(0n, inputs)).toBe(other(inputs));
    }
  });
});
