import { beforeAll, describe, expect, it } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { foldPolicy } from '../../src/proofs/fold.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { type ProverInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { CircuitPair } from '../helpers/circuit-pair.ts';
import { adaptiveTrace, claimAccumulators, requantised } from '../helpers/claims.ts';
import { randomSteps, Seeded } from '../helpers/steps.ts';
import { network } from '../support/architectures.ts';

/**
 * False claims about a convolution, as in circuit-tampering.test.ts: 5 × 5 × 2, a 3 × 3 convolution of four filters whose
 * patches overlap, a dense layer of eight, three actions.
 */
const ARCHITECTURE = network(
  [5, 5, 2],
  [
    [{ filters: 4, kernel: 3, stride: 1 }, 5, 900],
    [8, 5, 300],
    [3, 2, 70],
  ],
);
const POSITIONS = 9;
const ROWS = 4;

function honest(variant: CircuitSpec['variant']): ProverInput {
  const random = new Seeded(21);
  const policy: Policy = {
    architecture: ARCHITECTURE,
    layers: [4 * 18, 8 * 36, 3 * 8].map((weights, index) => ({
      weight: Int8Array.from({ length: weights }, () => random.int(-20, 20)),
      bias: Int32Array.from({ length: [4, 8, 3][index]! }, () => random.int(-70, 70)),
    })),
  };
  return {
    spec: { architecture: ARCHITECTURE, stepsPerProof: 2, variant },
    policy,
    rho: 0x1234_5678_9abcn ** 4n,
    context: 99n,
    steps: randomSteps(policy, 2, random),
  };
}

describe.each(['folds', 'digest'] as const)('the circuit of a convolution, variant %s', (variant) => {
  const input = honest(variant);
  const spotCheck = variant === 'folds' ? '' : 'check.';
  const fold = `${spotCheck}fold[0].out = ${spotCheck}observationFolds[0]`;
  let pair: CircuitPair;
  beforeAll(async () => {
    pair = await CircuitPair.compile(input.spec);
  }, 300_000);

  /** The verdict when step 1 claims other accumulators of the convolution, and all that follows from them. */
  function claimed(change: (y: Int32Array) => Int32Array): Promise<string[]> {
    const accumulators = input.steps.map(({ observation }) => trace(input.policy, observation));
    accumulators[1] = adaptiveTrace(input.policy, input.steps[1]!.observation, (y, layer) =>
      layer === 0 ? change(y) : y,
    );
    return pair.verdict(claimAccumulators(input, accumulators));
  }

  it('accepts the oracle’s accumulators', async () => {
    expect(await pair.verdict(witnessInput(input))).toEqual([]);
    expect(await claimed((y) => y)).toEqual([]);
  });

  it('refuses an accumulator that is off by one at any position', async () => {
    for (let p = 0; p < POSITIONS; p++) {
      const at = p * ROWS + (p % ROWS);
      const off = p % 2 === 0 ? 1 : -1;
      expect(await claimed((y) => y.with(at, y[at]! + off))).toEqual([fold]);
    }
  });

  it('refuses errors of two positions that would cancel if both had the same weight', async () => {
    expect(await claimed((y) => y.with(0, y[0]! + 1).with(ROWS, y[ROWS]! - 1))).toEqual([fold]);
  });

  it('refuses errors of the last position and of the dense layer after it that equal weights would cancel', async () => {
    const accumulators = input.steps.map(({ observation }) =>
      adaptiveTrace(input.policy, observation, (y, layer) => {
        const [at, by] = layer === 0 ? [y.length - 1, 1] : [0, layer === 1 ? -1 : 0];
        return y.with(at, y[at]! + by);
      }),
    );
    expect(await pair.verdict(claimAccumulators(input, accumulators))).toEqual([fold]);
  });

  it('refuses the accumulators of another position', async () => {
    expect(await claimed((y) => y.map((_, i) => y[(i + ROWS) % y.length]!))).toEqual([fold]);
  });

  it('refuses a statement of another action', async () => {
    const steps = input.steps.with(1, { ...input.steps[1]!, action: (input.steps[1]!.action + 1) % 3 });
    expect(await pair.verdict(witnessInput({ ...input, steps }))).toEqual([
      `${spotCheck}digest.out = ${spotCheck}statementDigest`,
    ]);
  });

  it('refuses another policy’s folds, were it one weight of a later layer apart', async () => {
    const { layers } = input.policy;
    const weight = layers[1]!.weight.with(7, layers[1]!.weight[7]! + 1);
    const other = { ...input.policy, layers: layers.with(1, { ...layers[1]!, weight }) };
    const folds = foldPolicy(other, input.rho).circuit;
    const refusal = variant === 'folds' ? [fold] : [fold, 'digest.out = foldDigest'];
    expect(await pair.verdict({ ...witnessInput(input), folds })).toEqual(refusal);
  });

  it('refuses another policy’s statement, were it one weight of the kernel apart', async () => {
    const { layers } = input.policy;
    const weight = layers[0]!.weight.with(7, layers[0]!.weight[7]! + 1);
    const other = { ...input.policy, layers: layers.with(0, { ...layers[0]!, weight }) };
    const own = witnessInput(input);
    // The kernel enters a proof through what the verifier folds of the observations, which the statement holds.
    const { statementDigest } = witnessInput({
      ...input,
      policy: other,
      accumulators: input.steps.map(({ observation }) => trace(input.policy, observation)),
    });
    expect(await pair.verdict({ ...own, statementDigest: statementDigest! })).toEqual([
      `${spotCheck}digest.out = ${spotCheck}statementDigest`,
    ]);
  });

  it('refuses an activation of the convolution that is not its requantised accumulator', async () => {
    // Every unit's activation is one lower where there is room, and all that follows is computed from that.
    const hint = {
      file: 'requantise.circom',
      from: 'out <-- outside == 0 ? low : 127 * bits[width - 1];',
      to: 'out <-- outside == 0 && low > 0 ? low - 1 : (outside == 0 ? low : 127 * bits[width - 1]);',
    };
    const lower = (y: number, shift: number) => {
      const value = Math.floor((y + 2 ** (shift - 1)) / 2 ** shift);
      return value > 0 && value <= 127 ? value - 1 : Math.min(Math.max(value, 0), 127);
    };
    const accumulators = input.steps.map(({ observation }) =>
      adaptiveTrace(input.policy, observation, (y) => y, lower),
    );
    const blame = pair.wireVerdict(await pair.forged([hint], claimAccumulators(input, accumulators)));
    const expected = accumulators.flatMap((step, b) =>
      step
        .slice(0, -1)
        .flatMap((y, layer) => Array.from(y, (value) => [value, ARCHITECTURE.layers[layer]!.shift] as const))
        .flatMap(([value, shift], row) =>
          lower(value, shift) === requantised(value, shift) ? [] : [`${spotCheck}requantise[${b}][${row}]`],
        ),
    );
    expect(expected.length).toBeGreaterThan(5);
    expect(blame).toEqual(expected.sort());
  });
});
