import { describe, expect, it } from 'vitest';
import type { Architecture } from '../../src/policy/architecture.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { circuitCost } from '../../src/proofs/cost.ts';
import type { ProofVariant } from '../../src/proofs/types.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { CARTPOLE, mlp } from '../helpers/steps.ts';
import { minatarNetwork, SMALL_CONVOLUTIONS } from '../support/architectures.ts';

const CASES: readonly (readonly [string, Architecture, number, ProofVariant])[] = [
  ['one layer', mlp([[5, 1, 1000]], 3), 1, 'folds'],
  ['one layer, its fold vectors’ digest', mlp([[5, 1, 1000]], 3), 1, 'digest'],
  ['two equations', mlp([[2, 4, 77]], 2), 13, 'folds'],
  ['convolutions', SMALL_CONVOLUTIONS, 3, 'digest'],
  [
    'a hidden layer of one bit or none',
    mlp(
      [
        [1, 17, 0],
        [2, 15, 0],
        [2, 1, 0],
      ],
      2,
    ),
    2,
    'folds',
  ],
  [
    'five actions',
    mlp(
      [
        [3, 5, 500],
        [17, 3, 60],
      ],
      5,
    ),
    2,
    'digest',
  ],
  ['4-32-32-2', CARTPOLE, 8, 'folds'],
  // Compiled for tens of seconds.
  ...(process.env.GRAIL_LONG ? [['MinAtar', minatarNetwork(4), 1, 'folds'] as const] : []),
];

describe('the cost of a circuit, counted without compiling it', () => {
  it.each(CASES)(
    'is what the compiler makes: %s',
    async (_, architecture, stepsPerProof, variant) => {
      const spec = { architecture, stepsPerProof, variant };
      const { source, publicCount } = generateCircuit(spec);
      const { r1cs } = await compileCircuit(source, 'O2');
      const cost = circuitCost(spec);
      expect(cost.constraints).toBe(r1cs.constraints);
      expect([cost.publics, publicCount]).toEqual([r1cs.publics, r1cs.publics]);
      expect(2 ** cost.domainBits).toBeGreaterThan(r1cs.constraints + r1cs.publics);
      expect(2 ** (cost.domainBits - 1)).toBeLessThanOrEqual(r1cs.constraints + r1cs.publics);
    },
    600_000,
  );
});
