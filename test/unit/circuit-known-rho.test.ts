import { describe, expect, it } from 'vitest';
import { trace } from '../../src/policy/forward.ts';
import { sample } from '../../src/policy/sampler.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/poseidon.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { lll } from '../helpers/lattice.ts';
import { honestStep, mlp, Seeded } from '../helpers/steps.ts';

/** One layer of many rows: the more rows, the smaller the errors that cancel at a known rho. */
const ROWS = 20;
const ARCHITECTURE = mlp([[2, 1, 30_000]], ROWS);
const SPEC: CircuitSpec = { architecture: ARCHITECTURE, stepsPerProof: 1, variant: 'folds' };

/** A short vector e ≠ 0 with Σ rho^(i+1)·eᵢ ≡ 0 mod r. */
function cancellingErrors(rho: bigint): bigint[] {
  const basis: bigint[][] = Array.from({ length: ROWS }, (_, i) =>
    Array.from({ length: ROWS }, (_, j) => (i === j ? (i === 0 ? FIELD_ORDER : 1n) : 0n)),
  );
  let power = 1n;
  for (let i = 1; i < ROWS; i++) {
    power = (power * rho) % FIELD_ORDER;
    basis[i]![0] = -power;
  }
  lll(basis);
  return basis[0]!;
}

describe('a rho that is known before accumulators are fixed', () => {
  it('would let false accumulators and a false action pass; at any other rho the fold refuses them', async () => {
    const circuit = await compileCircuit(generateCircuit(SPEC).source, 'O0');
    const random = new Seeded(6);
    const policy = {
      architecture: ARCHITECTURE,
      layers: [
        {
          weight: Int8Array.from({ length: 2 * ROWS }, () => random.int(-9, 9)),
          bias: Int32Array.from({ length: ROWS }, () => random.int(-99, 99)),
        },
      ],
    };
    const truth = honestStep(policy, Int8Array.of(5, -7), new Int32Array(ROWS));
    const rho = BigInt(random.word()) ** 7n;
    const errors = cancellingErrors(rho);
    const y = trace(policy, truth.observation)[0]!.map((value, i) => value + Number(errors[i]!));
    const step = {
      ...truth,
      action: sample(
        y.map((value) => (value + 1) >> 1),
        truth.noise,
      ),
    };
    expect(step.action).not.toBe(truth.action);
    const judge = async (at: bigint) =>
      circuit.blame(
        await circuit.witness(
          witnessInput({ spec: SPEC, policy, rho: at, context: 1n, steps: [step], accumulators: [[y]] }),
        ),
      );
    expect(await judge(rho)).toEqual([]);
    for (let i = 0; i < 5; i++) {
      expect(await judge(signedToField(BigInt(random.word()) ** 7n))).toEqual(['fold[0]']);
    }
  });
});
