import { beforeAll, describe, expect, it } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { noise as gumbelNoise } from '../../src/policy/sampler.ts';

import { foldObservations, foldPolicy } from '../../src/proofs/fold.ts';
import {
  contextElement,
  type ProofContext,
  statementDigest,
  traceDigest,
} from '../../src/proofs/statement.ts';
import type { StepStatement } from '../../src/proofs/types.ts';
import { type ProverInput, witnessInput } from '../../src/proofs/witness-input.ts';

import { CircuitPair } from '../helpers/circuit-pair.ts';
import {
  adaptiveTrace,
  CLAIM_SPEC,
  claimAccumulators,
  honestAccumulators,
  honestProver,
  shifted,
} from '../helpers/claims.ts';
import { honestStep, Seeded } from '../helpers/steps.ts';

/**
 * What the verifier puts into a proof itself: statement, rho and folds. A prover proves something else that is true, or
 * something false that would be true of other public inputs; the verifier's own refuse it.
 */

const STATEMENT = 'digest.out = statementDigest';
const FOLD = 'fold[0].out = observationFolds[0]';
const { architecture } = CLAIM_SPEC;

let pair: CircuitPair;
let input: ProverInput;
beforeAll(async () => {
  pair = await CircuitPair.compile(CLAIM_SPEC);
  input = honestProver(CLAIM_SPEC);
});

/** The digest of a verifier's statement of these steps over this opening. */
function stated(prover: ProverInput, opened = honestAccumulators(prover), context = prover.context): bigint {
  return statementDigest({
    architecture,
    context,
    traceDigest: traceDigest(architecture, opened),
    observationFolds: foldObservations(
      architecture,
      foldPolicy(prover.policy, prover.rho),
      prover.steps.map(({ observation }) => observation),
    ),
    steps: prover.steps,
  });
}

/** The verdict on a proof of `prover` before a verifier who expects the statement of `expected`. */
function against(prover: ProverInput, expected: bigint): Promise<string[]> {
  return pair.verdict({ ...witnessInput(prover), statementDigest: expected });
}

it('is what the honest prover has: the verifier’s statement is its own', async () => {
  expect(await against(input, stated(input))).toEqual([]);
});

describe('the verifier’s statement', () => {
  it('refuses the same steps in another order', async () => {
    const [a, b] = input.steps as [StepStatement, StepStatement];
    expect(await against({ ...input, steps: [b, a] }, stated(input))).toEqual([STATEMENT]);
  });

  it('refuses a proof of other observations', async () => {
    const other = honestStep(input.policy, Int8Array.of(9, 9, 9, 9), input.steps[0]!.noise);
    const replayed = { ...input, steps: [other, input.steps[1]!] };
    expect(await against(replayed, stated(input))).toEqual([STATEMENT]);
  });

  it('refuses a proof of the noise of another slot, whose action is the same', async () => {
    const random = new Seeded(4);
    const seed = Uint8Array.from({ length: 16 }, () => random.word());
    const noise = new Int32Array(architecture.actions);
    for (let step = 0; step < 1000; step++) {
      gumbelNoise(seed, step, architecture.actions, noise);
      if (honestStep(input.policy, input.steps[1]!.observation, noise).action === input.steps[1]!.action)
        break;
    }
    const moved = { ...input.steps[1]!, noise };
    const other = { ...input, steps: [input.steps[0]!, moved] };
    expect(stated(other)).not.toBe(stated(input));
    expect(await against(other, stated(input))).toEqual([STATEMENT]);
  });

  it('refuses another context: of another window, miner, slot, step, part, policy or network', async () => {
    const context: ProofContext = {
      genesisHash: new Uint8Array(32).fill(1),
      policyRoot: new Uint8Array(32).fill(2),
      window: 7,
      miner: new Uint8Array(20).fill(3),
      part: 0,
      challenges: [
        { slot: 1, step: 5 },
        { slot: 2, step: 0 },
      ],
      observations: input.steps.map(({ observation }) => observation),
    };
    const own = contextElement(context);
    const prover = { ...input, context: own };
    expect(await against(prover, stated(prover))).toEqual([]);
    const others: ProofContext[] = [
      { ...context, genesisHash: new Uint8Array(32).fill(9) },
      { ...context, policyRoot: new Uint8Array(32).fill(9) },
      { ...context, window: 8 },
      { ...context, miner: new Uint8Array(20).fill(9) },
      { ...context, part: 1 },
      { ...context, challenges: [{ slot: 3, step: 5 }, context.challenges[1]!] },
      { ...context, challenges: [{ slot: 1, step: 6 }, context.challenges[1]!] },
      { ...context, challenges: [context.challenges[1]!, context.challenges[0]!] },
      { ...context, observations: [...context.observations].reverse() },
    ];
    expect(new Set([own, ...others.map(contextElement)]).size).toBe(10);
    for (const other of others) {
      expect(await against(prover, stated(prover, undefined, contextElement(other)))).toEqual([STATEMENT]);
    }
  });

  it('refuses true accumulators where others were opened: of another step, or off by one', async () => {
    const [a, b] = honestAccumulators(input) as [Int32Array[], Int32Array[]];
    const off = adaptiveTrace(input.policy, input.steps[0]!.observation, shifted([0, 0, 1]));
    for (const opened of [
      [b, a],
      [a, a],
      [off, b],
    ]) {
      expect(await against(input, stated(input, opened))).toEqual([STATEMENT]);
    }
  });

  it('refuses false accumulators that were opened, though the statement is of them', async () => {
    const accumulators = honestAccumulators(input);
    accumulators[0] = adaptiveTrace(input.policy, input.steps[0]!.observation, shifted([0, 0, 1]));
    const claim = claimAccumulators(input, accumulators);
    expect(await pair.verdict(claim)).toEqual([FOLD]);
  });

  it('refuses observation folds that the prover made to fit false accumulators', async () => {
    const accumulators = honestAccumulators(input);
    accumulators[0] = adaptiveTrace(input.policy, input.steps[0]!.observation, shifted([0, 0, 1]));
    const claim = claimAccumulators(input, accumulators);
    const fitting = [pair.at(await pair.named.witness(claim), 'fold[0].out')];
    expect(fitting).not.toEqual(claim.observationFolds);
    expect(await pair.verdict({ ...claim, observationFolds: fitting })).toEqual([STATEMENT]);
  });

  it('is not made of an observation of −128, or of noise beyond its bits', () => {
    const at = (step: Partial<StepStatement>): ProverInput => ({
      ...input,
      steps: [{ ...input.steps[0]!, ...step }, input.steps[1]!],
    });
    const opened = honestAccumulators(input);
    const code = (wanted: string) => expect.objectContaining({ code: wanted });
    expect(() => stated(at({ observation: Int8Array.of(0, 0, -128, 0) }), opened)).toThrow(
      code('INT8_RANGE'),
    );
    expect(() => stated(at({ observation: Int8Array.of(0, 0, 0) }), opened)).toThrow(code('WITNESS_FAILED'));
    for (const noise of [-4097, 12_288]) {
      expect(() => stated(at({ noise: Int32Array.of(0, noise, 0) }), opened)).toThrow(code('WITNESS_FAILED'));
    }
    expect(() => stated(at({ action: 3 }), opened)).toThrow(code('WITNESS_FAILED'));
  });
});

describe('rho and the fold vectors', () => {
  it('refuse a proof at another rho', async () => {
    const own = witnessInput(input);
    expect(await pair.verdict({ ...own, rho: input.rho + 1n })).toEqual([FOLD]);
  });

  it('refuse a proof of another policy’s later layers, were it one weight or one layer’s place apart', async () => {
    const { layers } = input.policy;
    const weight = layers[1]!.weight.with(5, layers[1]!.weight[5]! + 1);
    const one: Policy = { architecture, layers: layers.with(1, { ...layers[1]!, weight }) };
    const swapped: Policy = { architecture, layers: [layers[1]!, layers[0]!, layers[2]!] };
    for (const policy of [one, swapped]) {
      const folds = foldPolicy(policy, input.rho).circuit;
      expect(await pair.verdict({ ...witnessInput(input), folds })).toEqual([FOLD]);
    }
  });

  it('refuse true steps of an earlier policy, whatever layer changed since, bias or weight', async () => {
    const earlier = input.policy;
    for (let layer = 0; layer < architecture.layers.length; layer++) {
      for (const tensor of ['weight', 'bias'] as const) {
        const values = earlier.layers[layer]![tensor];
        const policy: Policy = {
          architecture,
          layers: earlier.layers.with(layer, {
            ...earlier.layers[layer]!,
            [tensor]: values.with(1, values[1]! + 1),
          }),
        };
        // What the earlier policy does is opened; the verifier's observation folds are those of the present one.
        const claim = witnessInput({ ...input, policy, accumulators: honestAccumulators(input) });
        const seen = input.steps.some(({ observation }) => observation[1] !== 0) || tensor === 'bias';
        expect(seen).toBe(true);
        expect(await pair.verdict(claim)).toEqual([FOLD]);
      }
    }
  });
});
