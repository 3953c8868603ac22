import { INT8_MAX } from '../params/constants.ts';
import { GrailError } from '../protocol/errors.ts';
import {
  fanIn,
  type Layer,
  type LayerTensors,
  layerOutputs,
  type Policy,
  patchIndices,
  weightRows,
} from './architecture.ts';

/**
 * The exact policy in plain integers: what every backend must reproduce bit for bit (docs/PROTOCOL.md, Exact policy).
 */

/**
 * Logits with 10 fractional bits of a batch: `[batch, observation]` int8 to `[batch, actions]` int32.
 * Measured: 2 µs an observation for 4-32-32-2; 0.2 ms for 10 × 10 × 4, 3 × 3 × 16, 128, 6.
 * @throws GrailError INT8_RANGE when an observation holds −128.
 */
export function forward(policy: Policy, observations: Int8Array, batch: number): Int32Array {
  const { architecture } = policy;
  checkObservations(architecture.observation, observations, batch);
  const last = architecture.layers.length - 1;
  const out = new Int32Array(batch * architecture.actions);
  const patches = architecture.layers.map(layerPatches);
  const widest = Math.max(...architecture.layers.map(layerOutputs));
  let x = new Int32Array(Math.max(widest, architecture.observation));
  let y = new Int32Array(x.length);
  for (let row = 0; row < batch; row++) {
    const from = row * architecture.observation;
    for (let i = 0; i < architecture.observation; i++) x[i] = observations[from + i]!;
    for (let index = 0; index <= last; index++) {
      const layer = architecture.layers[index]!;
      accumulate(layer, policy.layers[index]!, patches[index]!, x, y);
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
 * what an opening commits to. Element l is `[layerOutputs]` int32, of a convolution `[positions, cout]`.
 * @throws GrailError INT8_RANGE when the observation holds −128.
 */
export function trace(policy: Policy, observation: Int8Array): Int32Array[] {
  checkObservations(policy.architecture.observation, observation, 1);
  let x = Int32Array.from(observation);
  return policy.architecture.layers.map((layer, index) => {
    const y = new Int32Array(layerOutputs(layer));
    accumulate(layer, policy.layers[index]!, layerPatches(layer), x, y);
    x = y.slice();
    requantise(layer, x);
    return y;
  });
}

/** Where a convolution finds its patches, and room for one; null of a dense layer, whose patch is its input. */
interface Patches {
  /** `[positions, fanIn]`. */
  readonly indices: Uint32Array;
  readonly patch: Int32Array;
}

function layerPatches(layer: Layer): Patches | null {
  if (layer.type === 'dense') return null;
  return { indices: patchIndices(layer), patch: new Int32Array(fanIn(layer)) };
}

/** y = Wx + b at every patch of x. */
function accumulate(
  layer: Layer,
  tensors: LayerTensors,
  patches: Patches | null,
  x: Int32Array,
  y: Int32Array,
): void {
  const [width, rows] = [fanIn(layer), weightRows(layer)];
  if (patches === null) {
    accumulatePatch(tensors, width, rows, x, y, 0);
    return;
  }
  const { indices, patch } = patches;
  for (let from = 0, to = 0; from < indices.length; from += width, to += rows) {
    for (let i = 0; i < width; i++) patch[i] = x[indices[from + i]!]!;
    accumulatePatch(tensors, width, rows, patch, y, to);
  }
}

/** Whatever the values are, |y| stays below 2^24 (accumulatorBound), so int32 never wraps. */
function accumulatePatch(
  { weight, bias }: LayerTensors,
  width: number,
  rows: number,
  x: Int32Array,
  y: Int32Array,
  to: number,
): void {
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = bias[row]! | 0;
    for (let i = 0; i < width; i++) sum = (sum + Math.imul(weight[at++]!, x[i]!)) | 0;
    y[to + row] = sum;
  }
}

/** clamp(floor((y + 2^(shift−1)) / 2^shift), 0, 127) in place; an arithmetic shift is the floor. */
function requantise(layer: Layer, y: Int32Array): void {
  const { shift } = layer;
  const half = 1 << (shift - 1);
  const outputs = layerOutputs(layer);
  for (let o = 0; o < outputs; o++) {
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
