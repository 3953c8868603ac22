import { type Architecture, type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { GrailError } from '../../src/protocol/errors.ts';

/** A seeded generator for tests: xorshift32, mixed. Gives integers in [0, bound). */
export function seededRandom(seed: number): (bound: number) => number {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b) >>> 0;
    return Math.floor((mixed / 2 ** 32) * bound);
  };
}

export function denseArchitecture(widths: readonly number[], biasMax = 65_536): Architecture {
  const layers = widths
    .slice(1)
    .map((out, i) => ({ type: 'dense' as const, in: widths[i]!, out, shift: 5, biasMax }));
  return { observation: widths[0]!, actions: widths.at(-1)!, layers };
}

/** Weights in [−spread, spread] around 0, biases multiples of 64. */
export function randomPolicy(
  architecture: Architecture,
  random: (bound: number) => number,
  spread = 30,
): Policy {
  const weight = () => random(spread + 1) - random(spread + 1);
  const bias = (max: number) => {
    const steps = Math.min(20, Math.floor(max / 64));
    return 64 * (random(steps + 1) - random(steps + 1));
  };
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, weight),
      bias: Int32Array.from({ length: weightRows(layer) }, () => bias(layer.biasMax)),
    })),
  };
}

/** Moves each weight by ±1 with probability `perMille`/1000, and each bias by ±64 with the same. */
export function randomUpdate(policy: Policy, random: (bound: number) => number, perMille: number): Policy {
  const move = (value: number, step: number, limit: number) => {
    if (random(1000) >= perMille) return value;
    const moved = value + (random(2) === 0 ? step : -step);
    return Math.abs(moved) > limit ? value : moved;
  };
  return {
    architecture: policy.architecture,
    layers: policy.layers.map(({ weight, bias }, i) => ({
      weight: weight.map((value) => move(value, 1, 127)),
      bias: bias.map((value) => move(value, 64, policy.architecture.layers[i]!.biasMax)),
    })),
  };
}

/** The code with which `run` fails; `none` when it does not. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'none';
  } catch (error) {
    if (error instanceof GrailError) return error.code;
    throw error;
  }
}
