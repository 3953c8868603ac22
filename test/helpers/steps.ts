import {
  type Architecture,
  type DenseLayer,
  type Policy,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { forward } from '../../src/policy/forward.ts';
import { sample } from '../../src/policy/sampler.ts';
import type { StepStatement } from '../../src/proofs/types.ts';
import { NOISE_MAX, NOISE_MIN } from '../../src/proofs/widths.ts';

/** Seeded integers for tests (splitmix32). */
export class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A u32. */
  word(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** An integer in [low, high]. */
  int(low: number, high: number): number {
    return low + (this.word() % (high - low + 1));
  }

  pick<T>(values: readonly T[]): T {
    return values[this.word() % values.length]!;
  }
}

/** An MLP of these sizes: `[in, shift, biasMax]` a layer, then the number of actions. */
export function mlp(layers: readonly (readonly [number, number, number])[], actions: number): Architecture {
  return {
    observation: layers[0]![0],
    actions,
    layers: layers.map(([width, shift, biasMax], i): DenseLayer => {
      return { type: 'dense', in: width, out: layers[i + 1]?.[0] ?? actions, shift, biasMax };
    }),
  };
}

/** The network of the vectors in docs/PROTOCOL.md, Proof: 3-4-2. */
export const SMALL_MLP = mlp(
  [
    [3, 5, 500],
    [4, 3, 60],
  ],
  2,
);

/** The demo's network: 4-32-32-2. */
export const CARTPOLE = mlp(
  [
    [4, 5, 66_496],
    [32, 4, 8128],
    [32, 1, 8156],
  ],
  2,
);

/** A policy whose layers lean to one kind: uniform, extreme, sparse or zero weights. */
export function randomPolicy(architecture: Architecture, random: Seeded): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer) => {
      const kind = random.int(0, 3);
      const weight = Int8Array.from({ length: weightCount(layer) }, () => {
        if (kind === 0) return random.int(-127, 127);
        if (kind === 1) return random.pick([-127, 127]);
        if (kind === 2) return random.int(0, 3) === 0 ? random.int(-127, 127) : 0;
        return random.int(-3, 3);
      });
      const bias = Int32Array.from({ length: weightRows(layer) }, () =>
        kind === 1 ? random.pick([-layer.biasMax, layer.biasMax]) : random.int(-layer.biasMax, layer.biasMax),
      );
      return { weight, bias };
    }),
  };
}

/** A step that the policy took: its action is the reference's. */
export function honestStep(policy: Policy, observation: Int8Array, noise: Int32Array): StepStatement {
  return { observation, noise, action: sample(forward(policy, observation, 1), noise) };
}

/** Steps with random observations and noise, bounds and ties among them. */
export function randomSteps(policy: Policy, count: number, random: Seeded): StepStatement[] {
  const { observation, actions } = policy.architecture;
  return Array.from({ length: count }, () => {
    const kind = random.int(0, 3);
    const x = Int8Array.from({ length: observation }, () =>
      kind === 0 ? random.pick([-127, 127]) : kind === 1 ? 0 : random.int(-127, 127),
    );
    const same = random.int(NOISE_MIN, NOISE_MAX);
    const g = Int32Array.from({ length: actions }, () =>
      kind === 0 ? random.pick([NOISE_MIN, NOISE_MAX]) : kind === 1 ? same : random.int(NOISE_MIN, NOISE_MAX),
    );
    return honestStep(policy, x, g);
  });
}
