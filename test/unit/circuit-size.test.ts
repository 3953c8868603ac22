import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { CARTPOLE } from '../helpers/steps.ts';
import { minatarNetwork } from '../support/architectures.ts';

describe('the circuit of 4-32-32-2 with eight steps', () => {
  it('fits a domain of 2^14 with its fold vectors public, at most 1,850 constraints a step', async () => {
    const { source, publicCount } = generateCircuit({
      architecture: CARTPOLE,
      stepsPerProof: 8,
      variant: 'folds',
    });
    const { r1cs } = await compileCircuit(source, 'O2');
    expect(r1cs.publics).toBe(publicCount);
    expect(publicCount).toBe(2 + 5 + 33 + 33);
    expect(r1cs.constraints / 8).toBeLessThanOrEqual(1850);
    expect(r1cs.constraints + r1cs.publics + 1).toBeLessThanOrEqual(2 ** 14);
  });

  it('takes three public inputs with the fold digest, at most 2,200 constraints a step', async () => {
    const { source, publicCount } = generateCircuit({
      architecture: CARTPOLE,
      stepsPerProof: 8,
      variant: 'digest',
    });
    const { r1cs } = await compileCircuit(source, 'O2');
    expect(r1cs.publics).toBe(publicCount);
    expect(publicCount).toBe(3);
    expect(r1cs.constraints / 8).toBeLessThanOrEqual(2200);
  });
});

describe('the circuit of MinAtar’s network with one step', () => {
  it.each([
    ['folds', 2 + 401 + 1025 + 129, 16],
    // Three and a half minutes of compiling.
    ...(process.env.GRAIL_LONG ? ([['digest', 3, 17]] as const) : []),
  ] as const)(
    'with the variant %s has %i public inputs and fits a domain of 2^%i',
    async (variant, publics, exponent) => {
      const { source } = generateCircuit({ architecture: minatarNetwork(4), stepsPerProof: 1, variant });
      const { r1cs } = await compileCircuit(source, 'O2');
      expect(r1cs.publics).toBe(publics);
      expect(r1cs.constraints + r1cs.publics + 1).toBeLessThanOrEqual(2 ** exponent);
    },
    1_800_000,
  );
});
