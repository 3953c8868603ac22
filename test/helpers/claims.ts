import { layerInputs, type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { sample } from '../../src/policy/sampler.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { type ProverInput, type WitnessInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { mlp, randomSteps, Seeded } from './steps.ts';

/** False claims about steps, and everything that follows from them as an adaptive prover computes it. */

/** Three layers of which the first two have the same shape, three actions. */
export const CLAIM_SPEC: CircuitSpec = {
  architecture: mlp(
    [
      [4, 6, 500],
      [4, 6, 500],
      [4, 3, 60],
    ],
    3,
  ),
  stepsPerProof: 2,
  variant: 'folds',
};

/** A policy and steps of which hidden activations vary: negative, saturated and between. */
export function honestProver(spec: CircuitSpec, seed = 3): ProverInput {
  const { architecture, stepsPerProof } = spec;
  const random = new Seeded(seed);
  const policy: Policy = {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, () => random.int(-60, 60)),
      bias: Int32Array.from({ length: weightRows(layer) }, () => random.int(-layer.biasMax, layer.biasMax)),
    })),
  };
  const steps = randomSteps(policy, stepsPerProof, random);
  return { spec, policy, rho: 0x1234_5678_9abcn ** 4n, context: 99n, steps };
}

/** A policy of zeros: all logits are zero, so that noise alone decides. */
export function zeroPolicy({ architecture }: CircuitSpec): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: new Int8Array(weightCount(layer)),
      bias: new Int32Array(weightRows(layer)),
    })),
  };
}

/** clamp(⌊(y + 2^(shift−1)) / 2^shift⌋, 0, 127). */
export function requantised(y: number, shift: number): number {
  return Math.min(Math.max(Math.floor((y + 2 ** (shift - 1)) / 2 ** shift), 0), 127);
}

/** Changes the accumulators of a layer before the next layer sees them. */
type Change = (y: Int32Array, layer: number) => Int32Array;

/**
 * Accumulators of a step by a policy whose accumulators are changed layer by layer: each layer takes what the changed
 * accumulators before it make of the observation.
 */
export function adaptiveTrace(
  policy: Policy,
  observation: Int8Array,
  change: Change,
  activation: (y: number, shift: number) => number = requantised,
): Int32Array[] {
  const { architecture, layers } = policy;
  let x = observation;
  return architecture.layers.map((layer, index) => {
    const own: Policy = {
      architecture: { ...architecture, observation: layerInputs(layer), layers: [layer] },
      layers: [layers[index]!],
    };
    const y = change(trace(own, x)[0]!, index);
    x = Int8Array.from(y, (value) => activation(value, layer.shift));
    return y;
  });
}

/** A change that adds `by` to accumulator `row` of layer `layer`. */
export function shifted(...errors: readonly [layer: number, row: number, by: number][]): Change {
  return (y, layer) => {
    const changed = y.slice();
    for (const [at, row, by] of errors) if (at === layer) changed[row]! += by;
    return changed;
  };
}

/** The input of a prover who claims these accumulators, and the actions that follow from them. */
export function claimAccumulators(input: ProverInput, accumulators: readonly Int32Array[][]): WitnessInput {
  const { shift } = input.spec.architecture.layers.at(-1)!;
  const steps = input.steps.map((step, b) => ({
    ...step,
    action: sample(
      accumulators[b]!.at(-1)!.map((y) => (y + 2 ** (shift - 1)) >> shift),
      step.noise,
    ),
  }));
  return witnessInput({ ...input, steps, accumulators });
}

/** The accumulators that the policy gives. */
export function honestAccumulators({ policy, steps }: ProverInput): Int32Array[][] {
  return steps.map(({ observation }) => trace(policy, observation));
}

/** A matrix of inputs with some cells changed, `[row, column, by]`. */
export function moved(
  rows: WitnessInput[string],
  ...cells: readonly [row: number, column: number, by: bigint][]
): bigint[][] {
  const copy = structuredClone(rows) as bigint[][];
  for (const [row, column, by] of cells) copy[row]![column]! += by;
  return copy;
}
