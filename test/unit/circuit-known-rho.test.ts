import { beforeAll, describe, expect, it } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/fields.ts';
import { foldPolicy } from '../../src/proofs/fold.ts';
import { statementDigest, traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { type ProverInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { CircuitPair } from '../helpers/circuit-pair.ts';
import { adaptiveTrace, claimAccumulators, honestAccumulators } from '../helpers/claims.ts';
import { shortRelations } from '../helpers/lattice.ts';
import { honestStep, mlp, Seeded } from '../helpers/steps.ts';

/**
 * What a prover could do who knew rho before its accumulators, or its observations, were fixed; and that it can do nothing
 * when it learns rho afterwards. All rows of all layers are in one equation, so that the errors of a hidden layer and those
 * of the logits share the lattice.
 */

const SPEC: CircuitSpec = {
  architecture: mlp(
    [
      [60, 1, 30_000],
      [6, 1, 30_000],
    ],
    14,
  ),
  stepsPerProof: 1,
  variant: 'folds',
};
const HIDDEN = 6;
const FOLD = 'fold[0].out = observationFolds[0]';
const STATEMENT = 'digest.out = statementDigest';

let pair: CircuitPair;
let input: ProverInput;
beforeAll(async () => {
  pair = await CircuitPair.compile(SPEC);
  const random = new Seeded(6);
  const policy: Policy = {
    architecture: SPEC.architecture,
    layers: SPEC.architecture.layers.map(({ biasMax }, layer) => ({
      weight: Int8Array.from({ length: layer === 0 ? 60 * HIDDEN : HIDDEN * 14 }, () => random.int(-9, 9)),
      bias: Int32Array.from({ length: layer === 0 ? HIDDEN : 14 }, () => random.int(-biasMax, biasMax) >> 8),
    })),
  };
  const observation = Int8Array.from({ length: 60 }, () => random.int(-9, 9));
  input = {
    spec: SPEC,
    policy,
    rho: BigInt(random.word()) ** 7n,
    context: 1n,
    steps: [honestStep(policy, observation, new Int32Array(14))],
  };
});

/** ρ, ρ², … of every accumulator. */
function weights(rho: bigint): bigint[] {
  const powers = [rho];
  while (powers.length < HIDDEN + 14) powers.push((powers.at(-1)! * rho) % FIELD_ORDER);
  return powers;
}

/** Accumulators whose errors, each against what its own layer makes of its input, are these. */
function withErrors(errors: readonly bigint[]): Int32Array[] {
  return adaptiveTrace(input.policy, input.steps[0]!.observation, (y, layer) =>
    y.map((value, i) => value + Number(errors[layer === 0 ? i : HIDDEN + i]!)),
  );
}

describe('a rho that is known before accumulators are fixed', () => {
  it('would let errors spread over every layer, and a false action, pass; at any other rho the fold refuses them', async () => {
    const errors = shortRelations(weights(input.rho))[0]!;
    expect(errors.slice(0, HIDDEN).some((error) => error !== 0n)).toBe(true);
    expect(errors.slice(HIDDEN).some((error) => error !== 0n)).toBe(true);
    const forged = [withErrors(errors)];
    const claim = claimAccumulators(input, forged);
    expect(claim.statementDigest).not.toBe(witnessInput(input).statementDigest);
    expect(await pair.verdict(claim)).toEqual([]);
    const random = new Seeded(9);
    for (let i = 0; i < 5; i++) {
      const later = { ...input, rho: signedToField(BigInt(random.word()) ** 7n) };
      expect(await pair.verdict(claimAccumulators(later, forged))).toEqual([FOLD]);
    }
  });

  it('would let it choose among actions', async () => {
    const claims = new Map<number, Int32Array[]>();
    for (const errors of shortRelations(weights(input.rho))) {
      for (const sign of [1n, -1n]) {
        const forged = withErrors(errors.map((error) => sign * error));
        const scores = forged.at(-1)!.map((value) => (value + 1) >> 1);
        claims.set(scores.indexOf(Math.max(...scores)), forged);
      }
    }
    claims.delete(input.steps[0]!.action);
    expect(claims.size).toBeGreaterThanOrEqual(4);
    for (const forged of claims.values()) {
      expect(await pair.verdict(claimAccumulators(input, [forged]))).toEqual([]);
    }
  });
});

describe('a rho that is known only after the opening', () => {
  it('leaves nothing to play with: remainders that fit the equation are not those of the opened digest', async () => {
    const errors = shortRelations(weights(input.rho))[0]!;
    const forged = [withErrors(errors)];
    const claim = claimAccumulators(input, forged);
    // The verifier's statement, over the opening that was made before rho existed.
    const opened = statementDigest({
      architecture: SPEC.architecture,
      context: input.context,
      traceDigest: traceDigest(SPEC.architecture, honestAccumulators(input)),
      observationFolds: claim.observationFolds as readonly bigint[],
      steps: input.steps,
    });
    expect(await pair.verdict({ ...claim, statementDigest: opened })).toEqual([STATEMENT]);
  });

  it('leaves the low bits alone too: errors of remainders alone change the opened digest', async () => {
    // Errors that leave every rounded value as it is: the remainder bit of each logit, which a digest of activations would miss.
    const accumulators = honestAccumulators(input);
    const flipped = [
      accumulators[0]!.with(
        1,
        accumulators[0]![1]!.map((y) => (y % 2 === 0 ? y - 1 : y + 1)),
      ),
    ];
    const rounded = (y: Int32Array) => y.map((value) => (value + 1) >> 1);
    expect(rounded(flipped[0]![1]!)).toEqual(rounded(accumulators[0]![1]!));
    const claim = claimAccumulators(input, flipped);
    expect(await pair.verdict(claim)).toEqual([FOLD]);
    const own = witnessInput(input);
    expect(await pair.verdict({ ...claim, statementDigest: own.statementDigest! })).toEqual(
      [FOLD, STATEMENT].sort(),
    );
  });
});

describe('observations that are chosen once rho is known', () => {
  it('could be others with the same fold: a statement binds them only if they were fixed before', async () => {
    // So many rows that no small change of the observation leaves all of them as they are.
    const spec: CircuitSpec = {
      architecture: mlp([[42, 1, 30_000]], 30),
      stepsPerProof: 1,
      variant: 'folds',
    };
    const random = new Seeded(8);
    const policy: Policy = {
      architecture: spec.architecture,
      layers: [
        {
          weight: Int8Array.from({ length: 42 * 30 }, () => random.int(-127, 127)),
          bias: new Int32Array(30),
        },
      ],
    };
    const observation = Int8Array.from({ length: 42 }, () => random.int(-9, 9));
    const step = honestStep(policy, observation, new Int32Array(30));
    const prover: ProverInput = { spec, policy, rho: input.rho, context: 1n, steps: [step] };
    const relation = shortRelations(foldPolicy(policy, input.rho).observation)[0]!;
    const other = [{ ...step, observation: observation.map((x, j) => x + Number(relation[j]!)) }];
    const accumulators = honestAccumulators(prover);
    expect(honestAccumulators({ ...prover, steps: other })).not.toEqual(accumulators);
    const circuit = await CircuitPair.compile(spec);
    expect(await circuit.verdict(witnessInput({ ...prover, steps: other, accumulators }))).toEqual([]);
    const later = { ...prover, rho: input.rho + 1n, steps: other, accumulators };
    expect(await circuit.verdict(witnessInput(later))).toEqual([FOLD]);
  });
});
