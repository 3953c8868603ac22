/**
 * How many int8 products a core can do in this runtime: relaxed SIMD's products of pairs, added in int16, on tiles of
 * two vectors of values by four of weights that never leave the first cache. What the kernel of policy.ts is measured
 * against (bench/rollouts/growth.ts).
 */

/** Bytes that one turn reads, and of all that are read over and over. */
const TURN_BYTES: usize = 128;
const CACHED_BYTES: usize = 8192;

/** Products of one turn of the loop: eight vectors of sixteen. */
export function productsPerTurn(): i32 {
  return 8 * 16;
}

/** Turns the loop; what it returns means nothing, and keeps the compiler from dropping the work. */
export function turn(count: i32): i32 {
  let a = i16x8.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let at: usize = 0;
  for (let n = 0; n < count; n++) {
    const first = v128.load(at, 0);
    const second = v128.load(at, 16);
    a = i16x8.add(a, v128.relaxed_dot<i16>(v128.load(at, 32), first));
    b = i16x8.add(b, v128.relaxed_dot<i16>(v128.load(at, 48), first));
    c = i16x8.add(c, v128.relaxed_dot<i16>(v128.load(at, 64), first));
    d = i16x8.add(d, v128.relaxed_dot<i16>(v128.load(at, 80), first));
    e = i16x8.add(e, v128.relaxed_dot<i16>(v128.load(at, 32), second));
    f = i16x8.add(f, v128.relaxed_dot<i16>(v128.load(at, 48), second));
    g = i16x8.add(g, v128.relaxed_dot<i16>(v128.load(at, 64), second));
    h = i16x8.add(h, v128.relaxed_dot<i16>(v128.load(at, 80), second));
    at = (at + TURN_BYTES) & (CACHED_BYTES - 1);
  }
  const sum = i16x8.add(i16x8.add(i16x8.add(a, b), i16x8.add(c, d)), i16x8.add(i16x8.add(e, f), i16x8.add(g, h)));
  return i16x8.extract_lane_s(sum, 0);
}
