import { INT8_MAX } from '../params/constants.ts';
import { GrailError } from '../protocol/errors.ts';
import type { DenseLayer, LayerTensors, Policy } from './architecture.ts';

/**
 * The exact policy in plain integers: what every backend must reproduce bit for bit (docs/PROTOCOL.md, Exact policy).
 */

/**
 * Logits with 10 fractional bits of a batch: `[batch, observation]` int8 to `[batch, actions]` int32.
 * Measured for 4-32-32-2: 2 to 4 µs an observation.
 * @throws GrailError INT8_RANGE when an observation holds −128.
 */
export function forward(policy: Policy, observations: Int8Array, batch: number): Int32Array {
  const { architecture } = policy;
  checkObservations(architecture.observation, observations, batch);
  const last = architecture.layers.length - 1;
  const out = new Int32Array(batch * architecture.actions);
  const widest = Math.max(...architecture.layers.map((layer) => layer.out));
  let x = new Int32Array(Math.max(widest, architecture.observation));
  let y = new Int32Array(x.length);
  for (let row = 0; row < batch; row++) {
    const from = row * architecture.observation;
    for (let i = 0; i < architecture.observation; i++) x[i] = observations[from + i]!;
    for (let index = 0; index <= last; index++) {
      const layer = architecture.layers[index]!;
      accumulate(layer, policy.layers[index]!, x, y);
      if (index < last) requantise(layer, y);
      [x, y] = [y, x];
    }
    const { shift } = architecture.layers[last]!;
    const half = 1 << (shift - 1);
    const to = row * architecture.actions;
    for (let action = 0; action < architecture.actions; action++) {
      out[to + action] = (x[action]! + half) >> shift;
    }
  }
  return out;
}

/**
 * The accumulators y = Wx + b of every layer for one observation, before requantisation, the last layer's included:
 * what an opening commits to. Element l is `[layers[l].out]` int32.
 * @throws GrailError INT8_RANGE when the observation holds −128.
 */
export function trace(policy: Policy, observation: Int8Array): Int32Array[] {
  checkObservations(policy.architecture.observation, observation, 1);
  let x = Int32Array.from(observation);
  return policy.architecture.layers.map((layer, index) => {
    const y = new Int32Array(layer.out);
    accumulate(layer, policy.layers[index]!, x, y);
    x = y.slice();
    requantise(layer, x);
    return y;
  });
}

/** y = Wx + b. Whatever the values are, |y| stays below 2^24 (accumulatorBound), so int32 never wraps. */
function accumulate(layer: DenseLayer, { weight, bias }: LayerTensors, x: Int32Array, y: Int32Array): void {
  const width = layer.in;
  for (let o = 0, at = 0; o < layer.out; o++) {
    let sum = bias[o]! | 0;
    for (let i = 0; i < width; i++) sum = (sum + Math.imul(weight[at++]!, x[i]!)) | 0;
    y[o] = sum;
  }
}

/** clamp(floor((y + 2^(shift−1)) / 2^shift), 0, 127) in place; an arithmetic shift is the floor. */
function requantise(layer: DenseLayer, y: Int32Array): void {
  const { shift, out } = layer;
  const half = 1 << (shift - 1);
  for (let o = 0; o < out; o++) {
    const value = (y[o]! + half) >> shift;
    y[o] = value < 0 ? 0 : Math.min(value, INT8_MAX);
  }
}

/**
 * Checks the shape and range of observations.
 * @throws GrailError INT8_RANGE when one holds −128.
 * @throws RangeError when the length is not batch · observation.
 */
export function checkObservations(observation: number, observations: Int8Array, batch: number): void {
  if (observations.length !== batch * observation) {
    throw new RangeError(
      `expected ${batch} observations of ${observation}, got ${observations.length} values`,
    );
  }
  for (let i = 0; i < observations.length; i++) {
    if (observations[i]! < -INT8_MAX) {
      throw new GrailError('INT8_RANGE', 'an observation holds −128', {
        row: Math.floor(i / observation),
        column: i % observation,
      });
    }
  }
}
