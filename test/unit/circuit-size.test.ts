import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { CARTPOLE, mlp } from '../helpers/steps.ts';
import { minatarNetwork } from '../support/architectures.ts';

/** Twice CartPole's hidden layers, with shifts and biases as a recipe gives them. */
const LARGER = mlp(
  [
    [8, 5, 1984],
    [64, 4, 8128],
    [64, 1, 8156],
  ],
  4,
);

async function size(spec: CircuitSpec): Promise<{ constraints: number; rows: number }> {
  const { source, publicCount } = generateCircuit(spec);
  const { r1cs } = await compileCircuit(source, 'O2');
  expect(r1cs.publics).toBe(publicCount);
  // What Groth16's domain must hold: the constraints, and a row for each public input and the constant.
  return { constraints: r1cs.constraints, rows: r1cs.constraints + r1cs.publics + 1 };
}

describe('a circuit of eight steps', () => {
  it.each([
    ['4-32-32-2', 'folds', CARTPOLE, 2 + 64, 1850, 14],
    ['4-32-32-2', 'digest', CARTPOLE, 3, 2200, 14],
    ['8-64-64-4', 'folds', LARGER, 2 + 128, 3800, 15],
    ['8-64-64-4', 'digest', LARGER, 3, 4090, 15],
  ] as const)(
    'of %s, variant %s, keeps its budget',
    async (_, variant, architecture, publics, budget, exponent) => {
      const spec: CircuitSpec = { architecture, stepsPerProof: 8, variant };
      expect(generateCircuit(spec).publicCount).toBe(publics);
      const { constraints, rows } = await size(spec);
      expect(constraints / 8).toBeLessThanOrEqual(budget);
      expect(rows).toBeLessThanOrEqual(2 ** exponent);
    },
    600_000,
  );
});

describe('the circuit of 128-256-256-18', () => {
  it.each([
    [1, 17_000],
    // Half a minute of compiling.
    ...(process.env.GRAIL_LONG ? ([[8, 16_000]] as const) : []),
  ] as const)(
    'with %i steps takes at most %i constraints a step',
    async (stepsPerProof, budget) => {
      const architecture = mlp(
        [
          [128, 9, 8128],
          [256, 9, 8128],
          [256, 9, 8128],
        ],
        18,
      );
      const { constraints } = await size({ architecture, stepsPerProof, variant: 'folds' });
      expect(constraints / stepsPerProof).toBeLessThanOrEqual(budget);
    },
    600_000,
  );
});

describe('the circuit of MinAtar’s network with one step', () => {
  it.each([
    ['folds', 2 + 1024 + 128, 16],
    // Three and a half minutes of compiling.
    ...(process.env.GRAIL_LONG ? ([['digest', 3, 17]] as const) : []),
  ] as const)(
    'with the variant %s has %i public inputs and fits a domain of 2^%i',
    async (variant, publics, exponent) => {
      const spec: CircuitSpec = { architecture: minatarNetwork(4), stepsPerProof: 1, variant };
      expect(generateCircuit(spec).publicCount).toBe(publics);
      expect((await size(spec)).rows).toBeLessThanOrEqual(2 ** exponent);
    },
    1_800_000,
  );
});
