/**
 * How many int8 products a core can do in this runtime and no more: relaxed SIMD's products of pairs, added in int16, on
 * twelve registers and without memory. What the kernel of policy.ts is measured against (bench/rollouts/growth.ts).
 */

/** Products of one turn of the loop: twelve vectors of sixteen. */
export function productsPerTurn(): i32 {
  return 12 * 16;
}

/** Turns the loop; what it returns means nothing, and keeps the compiler from dropping the work. */
export function turn(count: i32): i32 {
  let a = i16x8.splat(1);
  let b = i16x8.splat(2);
  let c = i16x8.splat(3);
  let d = i16x8.splat(4);
  let e = i16x8.splat(5);
  let f = i16x8.splat(6);
  let g = i16x8.splat(7);
  let h = i16x8.splat(8);
  let i = i16x8.splat(9);
  let j = i16x8.splat(10);
  let k = i16x8.splat(11);
  let l = i16x8.splat(12);
  const weights = i8x16.splat(3);
  for (let n = 0; n < count; n++) {
    // Each depends on itself, or the product would be taken out of the loop.
    a = i16x8.add(a, v128.relaxed_dot<i16>(a, weights));
    b = i16x8.add(b, v128.relaxed_dot<i16>(b, weights));
    c = i16x8.add(c, v128.relaxed_dot<i16>(c, weights));
    d = i16x8.add(d, v128.relaxed_dot<i16>(d, weights));
    e = i16x8.add(e, v128.relaxed_dot<i16>(e, weights));
    f = i16x8.add(f, v128.relaxed_dot<i16>(f, weights));
    g = i16x8.add(g, v128.relaxed_dot<i16>(g, weights));
    h = i16x8.add(h, v128.relaxed_dot<i16>(h, weights));
    i = i16x8.add(i, v128.relaxed_dot<i16>(i, weights));
    j = i16x8.add(j, v128.relaxed_dot<i16>(j, weights));
    k = i16x8.add(k, v128.relaxed_dot<i16>(k, weights));
    l = i16x8.add(l, v128.relaxed_dot<i16>(l, weights));
  }
  let sum = i16x8.add(i16x8.add(i16x8.add(a, b), i16x8.add(c, d)), i16x8.add(i16x8.add(e, f), i16x8.add(g, h)));
  sum = i16x8.add(sum, i16x8.add(i16x8.add(i, j), i16x8.add(k, l)));
  return i16x8.extract_lane_s(sum, 0);
}
