import type * as tensorflow from '@tensorflow/tfjs';

/** The TensorFlow.js module, as `import * as tf` gives it. Passed in: training never chooses its own backend. */
export type Tensorflow = typeof tensorflow;
export type Matrix = tensorflow.Tensor2D;
export type Vector = tensorflow.Tensor1D;

/** Where a layer's parameters stand in its network's flat vector. */
export interface DenseLayout {
  readonly in: number;
  readonly out: number;
  /** Offset of the weight, `[out, in]` row-major. */
  readonly weight: number;
  /** Offset of the bias, `[out]`. */
  readonly bias: number;
}

/** A network of dense layers as one flat float32 vector: layer by layer, weight `[out, in]`, then bias `[out]`. */
export interface NetworkLayout {
  readonly layers: readonly DenseLayout[];
  /** Parameters in all. */
  readonly size: number;
}

/** The layout of a network with these widths, input first. */
export function networkLayout(widths: readonly number[]): NetworkLayout {
  const layers: DenseLayout[] = [];
  let size = 0;
  for (let i = 1; i < widths.length; i++) {
    const [width, out] = [widths[i - 1]!, widths[i]!];
    layers.push({ in: width, out, weight: size, bias: size + out * width });
    size += out * width + out;
  }
  return { layers, size };
}

/** `[rows, columns]` row-major to `[columns, rows]`, each value times `scale`. */
export function transposed(
  matrix: Float32Array | Int8Array,
  rows: number,
  columns: number,
  scale: number,
): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = matrix[row * columns + column]! * scale;
    }
  }
  return out;
}

/** `x W + b` for x `[batch, in]`, W `[in, out]`, b `[out]`. */
export function dense(tf: Tensorflow, x: Matrix, weight: Matrix, bias: Vector): Matrix {
  return tf.fused.matMul({ a: x, b: weight, bias }) as Matrix;
}

/**
 * Gradient of a dense layer's parameters, written to the layer's place in `gradient`: weight `dᵀ x · scale`, bias
 * the column sums of d, for d `[batch, out]` (gradient of the output) and x `[batch, in]` (the layer's input).
 *
 * The transpose is explicit because `matMul(d, x, true)` leaves the wasm backend's fast path and takes nine times as
 * long.
 */
export function denseGradient(
  tf: Tensorflow,
  layer: DenseLayout,
  d: Matrix,
  x: Matrix,
  scale: number,
  gradient: Float32Array,
): void {
  const dT = tf.transpose(d) as Matrix;
  const weight = tf.matMul(dT, x).dataSync() as Float32Array;
  for (let i = 0; i < weight.length; i++) gradient[layer.weight + i] = weight[i]! * scale;
  gradient.set(tf.sum(dT, 1).dataSync() as Float32Array, layer.bias);
}
