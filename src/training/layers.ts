import type * as tensorflow from '@tensorflow/tfjs';
import {
  fanIn,
  type LayerShape,
  layerInputs,
  patchIndices,
  positions,
  trainingValues,
  weightRows,
} from '../policy/architecture.ts';
import { gatherPatches } from '../policy/matrices.ts';

/** The TensorFlow.js module, as `import * as tf` gives it. Passed in: training never chooses its own backend. */
export type Tensorflow = typeof tensorflow;
export type Matrix = tensorflow.Tensor2D;
export type Vector = tensorflow.Tensor1D;

/** A layer's shape, and where its parameters stand in its network's flat vector. */
export interface LayerLayout {
  /** Values that it takes. */
  readonly inputs: number;
  /** Length of a weight row. */
  readonly fanIn: number;
  readonly rows: number;
  readonly positions: number;
  /** `[positions, fanIn]`: the input at each place of each patch; null of a dense layer, whose patch is its input. */
  readonly patches: Uint32Array | null;
  /** Offset of the weight, `[rows, fanIn]` row-major. */
  readonly weight: number;
  /** Offset of the bias, `[rows]`. */
  readonly bias: number;
}

/** A network as one flat float32 vector: layer by layer, weight `[rows, fanIn]`, then bias `[rows]`. */
export interface NetworkLayout {
  readonly layers: readonly LayerLayout[];
  /** Parameters in all. */
  readonly size: number;
  /** Values that one observation takes while the network is differentiated. */
  readonly trainingValues: number;
}

/** The layout of a network of these layers. */
export function networkLayout(layers: readonly LayerShape[]): NetworkLayout {
  let size = 0;
  const layouts = layers.map((layer): LayerLayout => {
    const [width, rows] = [fanIn(layer), weightRows(layer)];
    const weight = size;
    size += rows * width + rows;
    return {
      inputs: layerInputs(layer),
      fanIn: width,
      rows,
      positions: positions(layer),
      patches: layer.type === 'dense' ? null : patchIndices(layer),
      weight,
      bias: weight + rows * width,
    };
  });
  return { layers: layouts, size, trainingValues: trainingValues(layers) };
}

/** Each value times `scale`, as float32. */
export function scaled(values: Int8Array, scale: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i]! * scale;
  return out;
}

/**
 * What a layer's weights multiply: x itself, or its patches, `[batch · positions, fanIn]` (im2col).
 */
export function columns(tf: Tensorflow, layer: LayerLayout, x: Matrix): Matrix {
  const { patches, inputs } = layer;
  if (patches === null) return x;
  const out = gatherPatches(x.dataSync<'float32'>(), inputs, patches);
  return tf.tensor2d(out, [x.shape[0] * layer.positions, layer.fanIn]);
}

/**
 * `W x + b` at every patch: columns `[batch · positions, fanIn]`, W `[fanIn, rows]`, b `[rows]` to
 * `[batch, positions · rows]`.
 */
export function applyLayer(
  tf: Tensorflow,
  layer: LayerLayout,
  input: Matrix,
  weight: Matrix,
  bias: Vector,
): Matrix {
  const out = tf.fused.matMul({ a: input, b: weight, bias }) as Matrix;
  return layer.patches === null ? out : tf.reshape(out, [-1, layer.positions * layer.rows]);
}

/**
 * Gradient of a layer's parameters, written to the layer's place in `gradient`: weight `dᵀ x · scale`, bias the
 * column sums of d, for d `[batch, positions · rows]` (gradient of the output) and x what `columns` gave.
 *
 * The transpose is explicit because `matMul(d, x, true)` leaves the wasm backend's fast path and takes nine times as
 * long.
 */
export function parameterGradient(
  tf: Tensorflow,
  layer: LayerLayout,
  d: Matrix,
  x: Matrix,
  scale: number,
  gradient: Float32Array,
): void {
  const dT = tf.transpose(tf.reshape(d, [-1, layer.rows]) as Matrix) as Matrix;
  const weight = tf.matMul(dT, x).dataSync<'float32'>();
  for (let i = 0; i < weight.length; i++) gradient[layer.weight + i] = weight[i]! * scale;
  gradient.set(tf.sum(dT, 1).dataSync<'float32'>(), layer.bias);
}

/**
 * Gradient of a layer's input, `[batch, inputs]`, for d `[batch, positions · rows]` and W `[rows, fanIn]`. Patches
 * overlap: their shares are added in the order of positions.
 */
export function inputGradient(tf: Tensorflow, layer: LayerLayout, d: Matrix, weight: Matrix): Matrix {
  const { patches, inputs } = layer;
  if (patches === null) return tf.matMul(d, weight) as Matrix;
  const shares = tf.matMul(tf.reshape(d, [-1, layer.rows]) as Matrix, weight).dataSync<'float32'>();
  const batch = d.shape[0];
  const out = new Float32Array(batch * inputs);
  for (let row = 0, at = 0; row < batch; row++) {
    const to = row * inputs;
    for (let i = 0; i < patches.length; i++) out[to + patches[i]!]! += shares[at++]!;
  }
  return tf.tensor2d(out, [batch, inputs]);
}
