/** Copies of values in the layout that a matrix product takes: shared by the backends and the trainer. */

/** `[rows, columns]` row-major to `[columns, rows]` float32, each value times `scale`. */
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

/**
 * The kernel patches of `[batch, inputs]` values, `[batch, positions, fanIn]` float32 (im2col): `patches` is
 * `patchIndices` of the layer. The wasm backend's own gather takes ten times as long.
 */
export function gatherPatches(
  values: Float32Array | Int8Array,
  inputs: number,
  patches: Uint32Array,
): Float32Array {
  const out = new Float32Array((values.length / inputs) * patches.length);
  for (let from = 0, at = 0; from < values.length; from += inputs) {
    for (let i = 0; i < patches.length; i++) out[at++] = values[from + patches[i]!]!;
  }
  return out;
}
