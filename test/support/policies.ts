import {
  type Architecture,
  fanIn,
  type Policy,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';

/** The quantiser of the demo. */
export const QUANTISER = { observationBits: 6, activationBits: 5, weightBits: [4, 4, 6], hysteresis: 0.75 };

/** 4-32-32-2, the demo's network. */
export const CARTPOLE_MLP: Architecture = buildMlp({
  observation: 4,
  hidden: [32, 32],
  actions: 2,
  quantiser: QUANTISER,
});

/** Words of Philox under `seed`, one a call. */
export function words(seed: number): () => number {
  const block = new Uint32Array(4);
  let counter = 0;
  return () => {
    if (counter % 4 === 0) philox4x32(counter / 4, 0, 0, 0, seed, 0x7e57, block);
    return block[counter++ % 4]!;
  };
}

/** Integers in [−range, range]; one row in four at ±range only. */
export function integers(count: number, range: number, next: () => number, row = count): number[] {
  return Array.from({ length: count }, (_, i) =>
    Math.floor(i / row) % 4 === 3
      ? (next() & 1) === 0
        ? range
        : -range
      : (next() % (2 * range + 1)) - range,
  );
}

/** A policy whose integers fill their ranges. */
export function randomPolicy(architecture: Architecture, seed: number): Policy {
  const next = words(seed);
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: Int8Array.from(integers(weightCount(layer), 127, next, fanIn(layer))),
      bias: Int32Array.from(integers(weightRows(layer), layer.biasMax, next)),
    })),
  };
}

/** `[batch, width]` observations, one row in four at ±127 only. */
export function randomObservations(batch: number, width: number, seed: number): Int8Array {
  return Int8Array.from(integers(batch * width, 127, words(seed), width));
}

/** A controller that keeps the pole of CartPole up: two hidden units measure the lean, with either sign. */
export function balancingPolicy(): Policy {
  const [first, second, last] = CARTPOLE_MLP.layers.map((layer) => ({
    weight: new Int8Array(weightCount(layer)),
    bias: new Int32Array(weightRows(layer)),
  }));
  first!.weight.set([4, 6, 40, 40, -4, -6, -40, -40]);
  second!.weight[0] = 16;
  second!.weight[32 + 1] = 16;
  last!.weight.set([-64, 64]);
  last!.weight.set([64, -64], 32);
  return { architecture: CARTPOLE_MLP, layers: [first!, second!, last!] };
}
