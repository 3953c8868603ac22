/** What an instance works with: addresses that its thread gives it once. */

/** Constants of the base field (coordinates) and of the scalar field. */
export let Q: usize = 0;
export let R: usize = 0;
/** 3·b of G2's curve, Montgomery form, a pair of each half with both lanes the same. */
export let B3: usize = 0;
/** This thread's own room, `SCRATCH_BYTES`. */
export let scratch: usize = 0;

/** Parts of `scratch`: of `mul` in the extension field, of inversions, of additions, of what a caller keeps meanwhile. */
export const INVERSION: usize = 256;
export const ADDITION: usize = 2048;
export const CALLER: usize = 6144;
export const SCRATCH_BYTES: usize = 16384;

export function init(q: usize, r: usize, b3: usize, room: usize): usize {
  Q = q;
  R = r;
  B3 = b3;
  scratch = room;
  return SCRATCH_BYTES;
}
