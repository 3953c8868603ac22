/**
 * Arithmetic in BN254's two prime fields, two numbers at a time, on the floating-point unit.
 *
 * A number x stands as x·2^255 mod p (Montgomery form) in five signed digits of 51 bits, each a double; "a pair" is two numbers,
 * digit by digit in the two lanes of a vector: 5 × 16 bytes. A product of two digits has up to 102 bits. Added to 3·2^102 in one rounding it
 * leaves its upper half in the low bits of the sum (`high`); what was rounded off, added to 3·2^51, leaves the lower half (`low`): both
 * exact, so all results are. It takes a multiply-add that rounds once: src/proofs/groth16/kernel.ts asks the machine before it uses this.
 * Halves are summed as integers; the exponents' bits that come along are taken off in the value that a column begins with.
 * After Emmart, Zheng and Weems, Faster modular exponentiation using double precision floating point arithmetic on the GPU, ARITH 2018.
 *
 * Ranges: a product of digits must not exceed 2^102, so each factor may be a sum of two normal numbers (digits within ±2^50). With
 * p < 0.38 · 2^255, |x| ≤ A·p and |y| ≤ B·p give |x·y| ≤ (0.38·A·B + 0.51)·p with normal digits, of either sign. `reduce` makes
 * any sum of up to four normal numbers normal and at most 0.51·p.
 *
 * Reduction takes off the digits from below: the first three by adding digit · (2^-51 mod p) or digit · (2^-102 mod p) further up, which needs no
 * quotient; the last two in Montgomery's way, which bounds the result.
 */

/** Bytes of a pair, and of one number by itself (five doubles). */
export const PAIR: usize = 80;
export const SINGLE: usize = 40;

// A field's constants, written by src/proofs/groth16/field-constants.ts: vectors with both lanes the same.
const START: usize = 0;
const START_TWO: usize = 160;
const MAGIC: usize = 320;
const BOTH: usize = 336;
const MASK: usize = 352;
const EXPONENT: usize = 368;
const CENTRE: usize = 384;
const SMALL: usize = 400;
const TOP: usize = 416;
const INVERSE: usize = 432;
const PRIME: usize = 448;
const FOLD_ONE: usize = 528;
const FOLD_TWO: usize = 608;
const RECIPROCAL: usize = 688;
const UNIT: usize = 704;
const UNIT_INVERSE: usize = 720;
/** 1 in Montgomery form, and the plain 1, which multiplies a number out of it. */
export const ONE: usize = 736;
export const PLAIN_ONE: usize = 816;
/** p − 2, four words of 64 bits; then ⌊p / 2⌋ and p likewise. */
const EXPONENT_WORDS: usize = 896;
export const HALF_WORDS: usize = 928;
export const PRIME_WORDS: usize = 960;

// @ts-ignore: decorator
@inline function high(a: v128, b: v128, magic: v128): v128 {
  return f64x2.relaxed_madd(a, b, magic);
}

// @ts-ignore: decorator
@inline function low(a: v128, b: v128, h: v128, both: v128): v128 {
  return f64x2.relaxed_madd(a, b, f64x2.sub(both, h));
}

/** The signed digit in a column's low 51 bits; columns begin 2^50 too high. */
// @ts-ignore: decorator
@inline function digit(f: usize, t: v128): v128 {
  const bits = v128.or(v128.and(t, v128.load(f, MASK)), v128.load(f, EXPONENT));
  return f64x2.sub(bits, v128.load(f, CENTRE));
}

/** out = x·y. */
export function mul(f: usize, out: usize, x: usize, y: usize): void {
  const magic = v128.load(f, MAGIC);
  const both = v128.load(f, BOTH);
  let h: v128;
  let e: v128;
  let a: v128;
  a = v128.load(x, 0);
  e = v128.load(y, 0);
  let t0 = v128.load(f, START + 0);
  let t1 = v128.load(f, START + 16);
  h = high(a, e, magic);
  t1 = i64x2.add(t1, h);
  t0 = i64x2.add(t0, low(a, e, h, both));
  e = v128.load(y, 16);
  let t2 = v128.load(f, START + 32);
  h = high(a, e, magic);
  t2 = i64x2.add(t2, h);
  t1 = i64x2.add(t1, low(a, e, h, both));
  e = v128.load(y, 32);
  let t3 = v128.load(f, START + 48);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(y, 48);
  let t4 = v128.load(f, START + 64);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 64);
  let t5 = v128.load(f, START + 80);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  a = v128.load(x, 16);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t2 = i64x2.add(t2, h);
  t1 = i64x2.add(t1, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 64);
  let t6 = v128.load(f, START + 96);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  const d0 = digit(f, t0);
  t1 = i64x2.add(t1, i64x2.shr_u(t0, 51));
  a = v128.load(x, 32);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(y, 64);
  let t7 = v128.load(f, START + 112);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  const d1 = digit(f, t1);
  t2 = i64x2.add(t2, i64x2.shr_u(t1, 51));
  e = v128.load(f, FOLD_TWO + 0);
  h = high(d0, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(d0, e, h, both));
  h = high(d1, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 16);
  h = high(d0, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(d0, e, h, both));
  h = high(d1, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 32);
  h = high(d0, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(d0, e, h, both));
  h = high(d1, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 48);
  h = high(d0, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(d0, e, h, both));
  h = high(d1, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 64);
  h = high(d0, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(d0, e, h, both));
  let t8 = v128.load(f, START + 128);
  h = high(d1, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(d1, e, h, both));
  const d2 = digit(f, t2);
  t3 = i64x2.add(t3, i64x2.shr_u(t2, 51));
  a = v128.load(x, 48);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  e = v128.load(y, 64);
  h = high(a, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(a, e, h, both));
  e = v128.load(f, FOLD_ONE + 0);
  h = high(d2, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 16);
  h = high(d2, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 32);
  h = high(d2, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 48);
  h = high(d2, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 64);
  h = high(d2, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(d2, e, h, both));
  const d3 = digit(f, t3);
  a = v128.load(x, 64);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(a, e, h, both));
  e = v128.load(y, 64);
  let t9 = v128.load(f, START + 144);
  h = high(a, e, magic);
  t9 = i64x2.add(t9, h);
  t8 = i64x2.add(t8, low(a, e, h, both));
  e = v128.load(f, INVERSE);
  h = high(d3, e, magic);
  const m3 = f64x2.sub(low(d3, e, h, both), v128.load(f, SMALL));
  e = v128.load(f, PRIME + 0);
  h = high(m3, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(m3, e, h, both));
  e = v128.load(f, PRIME + 16);
  h = high(m3, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(m3, e, h, both));
  e = v128.load(f, PRIME + 32);
  h = high(m3, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(m3, e, h, both));
  e = v128.load(f, PRIME + 48);
  h = high(m3, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(m3, e, h, both));
  e = v128.load(f, PRIME + 64);
  h = high(m3, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(m3, e, h, both));
  t4 = i64x2.add(t4, i64x2.shr_u(t3, 51));
  const d4 = digit(f, t4);
  e = v128.load(f, INVERSE);
  h = high(d4, e, magic);
  const m4 = f64x2.sub(low(d4, e, h, both), v128.load(f, SMALL));
  e = v128.load(f, PRIME + 0);
  h = high(m4, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(m4, e, h, both));
  e = v128.load(f, PRIME + 16);
  h = high(m4, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(m4, e, h, both));
  e = v128.load(f, PRIME + 32);
  h = high(m4, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(m4, e, h, both));
  e = v128.load(f, PRIME + 48);
  h = high(m4, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(m4, e, h, both));
  e = v128.load(f, PRIME + 64);
  h = high(m4, e, magic);
  t9 = i64x2.add(t9, h);
  t8 = i64x2.add(t8, low(m4, e, h, both));
  t5 = i64x2.add(t5, i64x2.shr_u(t4, 51));
  v128.store(out, digit(f, t5), 0);
  t6 = i64x2.add(t6, i64x2.shr_u(t5, 51));
  v128.store(out, digit(f, t6), 16);
  t7 = i64x2.add(t7, i64x2.shr_u(t6, 51));
  v128.store(out, digit(f, t7), 32);
  t8 = i64x2.add(t8, i64x2.shr_u(t7, 51));
  v128.store(out, digit(f, t8), 48);
  t9 = i64x2.add(t9, i64x2.shr_u(t8, 51));
  v128.store(out, f64x2.sub(v128.or(t9, v128.load(f, EXPONENT)), v128.load(f, TOP)), 64);
}

/** out = x·y + z·w: |result| ≤ (0.38·(A·B + C·D) + 0.51)·p. */
export function mulAdd(f: usize, out: usize, x: usize, y: usize, z: usize, w: usize): void {
  const magic = v128.load(f, MAGIC);
  const both = v128.load(f, BOTH);
  let h: v128;
  let e: v128;
  let a: v128;
  a = v128.load(x, 0);
  e = v128.load(y, 0);
  let t0 = v128.load(f, START_TWO + 0);
  let t1 = v128.load(f, START_TWO + 16);
  h = high(a, e, magic);
  t1 = i64x2.add(t1, h);
  t0 = i64x2.add(t0, low(a, e, h, both));
  e = v128.load(y, 16);
  let t2 = v128.load(f, START_TWO + 32);
  h = high(a, e, magic);
  t2 = i64x2.add(t2, h);
  t1 = i64x2.add(t1, low(a, e, h, both));
  e = v128.load(y, 32);
  let t3 = v128.load(f, START_TWO + 48);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(y, 48);
  let t4 = v128.load(f, START_TWO + 64);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 64);
  let t5 = v128.load(f, START_TWO + 80);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  a = v128.load(z, 0);
  e = v128.load(w, 0);
  h = high(a, e, magic);
  t1 = i64x2.add(t1, h);
  t0 = i64x2.add(t0, low(a, e, h, both));
  e = v128.load(w, 16);
  h = high(a, e, magic);
  t2 = i64x2.add(t2, h);
  t1 = i64x2.add(t1, low(a, e, h, both));
  e = v128.load(w, 32);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(w, 48);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(w, 64);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  a = v128.load(x, 16);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t2 = i64x2.add(t2, h);
  t1 = i64x2.add(t1, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 64);
  let t6 = v128.load(f, START_TWO + 96);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  a = v128.load(z, 16);
  e = v128.load(w, 0);
  h = high(a, e, magic);
  t2 = i64x2.add(t2, h);
  t1 = i64x2.add(t1, low(a, e, h, both));
  e = v128.load(w, 16);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(w, 32);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(w, 48);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(w, 64);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  const d0 = digit(f, t0);
  t1 = i64x2.add(t1, i64x2.shr_u(t0, 51));
  a = v128.load(x, 32);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(y, 64);
  let t7 = v128.load(f, START_TWO + 112);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  a = v128.load(z, 32);
  e = v128.load(w, 0);
  h = high(a, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(a, e, h, both));
  e = v128.load(w, 16);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(w, 32);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(w, 48);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(w, 64);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  const d1 = digit(f, t1);
  t2 = i64x2.add(t2, i64x2.shr_u(t1, 51));
  e = v128.load(f, FOLD_TWO + 0);
  h = high(d0, e, magic);
  t3 = i64x2.add(t3, h);
  t2 = i64x2.add(t2, low(d0, e, h, both));
  h = high(d1, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 16);
  h = high(d0, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(d0, e, h, both));
  h = high(d1, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 32);
  h = high(d0, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(d0, e, h, both));
  h = high(d1, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 48);
  h = high(d0, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(d0, e, h, both));
  h = high(d1, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(d1, e, h, both));
  e = v128.load(f, FOLD_TWO + 64);
  h = high(d0, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(d0, e, h, both));
  let t8 = v128.load(f, START_TWO + 128);
  h = high(d1, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(d1, e, h, both));
  const d2 = digit(f, t2);
  t3 = i64x2.add(t3, i64x2.shr_u(t2, 51));
  a = v128.load(x, 48);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  e = v128.load(y, 64);
  h = high(a, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(a, e, h, both));
  a = v128.load(z, 48);
  e = v128.load(w, 0);
  h = high(a, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(a, e, h, both));
  e = v128.load(w, 16);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(w, 32);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(w, 48);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  e = v128.load(w, 64);
  h = high(a, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(a, e, h, both));
  e = v128.load(f, FOLD_ONE + 0);
  h = high(d2, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 16);
  h = high(d2, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 32);
  h = high(d2, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 48);
  h = high(d2, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(d2, e, h, both));
  e = v128.load(f, FOLD_ONE + 64);
  h = high(d2, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(d2, e, h, both));
  const d3 = digit(f, t3);
  a = v128.load(x, 64);
  e = v128.load(y, 0);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(y, 16);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(y, 32);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  e = v128.load(y, 48);
  h = high(a, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(a, e, h, both));
  e = v128.load(y, 64);
  let t9 = v128.load(f, START_TWO + 144);
  h = high(a, e, magic);
  t9 = i64x2.add(t9, h);
  t8 = i64x2.add(t8, low(a, e, h, both));
  a = v128.load(z, 64);
  e = v128.load(w, 0);
  h = high(a, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(a, e, h, both));
  e = v128.load(w, 16);
  h = high(a, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(a, e, h, both));
  e = v128.load(w, 32);
  h = high(a, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(a, e, h, both));
  e = v128.load(w, 48);
  h = high(a, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(a, e, h, both));
  e = v128.load(w, 64);
  h = high(a, e, magic);
  t9 = i64x2.add(t9, h);
  t8 = i64x2.add(t8, low(a, e, h, both));
  e = v128.load(f, INVERSE);
  h = high(d3, e, magic);
  const m3 = f64x2.sub(low(d3, e, h, both), v128.load(f, SMALL));
  e = v128.load(f, PRIME + 0);
  h = high(m3, e, magic);
  t4 = i64x2.add(t4, h);
  t3 = i64x2.add(t3, low(m3, e, h, both));
  e = v128.load(f, PRIME + 16);
  h = high(m3, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(m3, e, h, both));
  e = v128.load(f, PRIME + 32);
  h = high(m3, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(m3, e, h, both));
  e = v128.load(f, PRIME + 48);
  h = high(m3, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(m3, e, h, both));
  e = v128.load(f, PRIME + 64);
  h = high(m3, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(m3, e, h, both));
  t4 = i64x2.add(t4, i64x2.shr_u(t3, 51));
  const d4 = digit(f, t4);
  e = v128.load(f, INVERSE);
  h = high(d4, e, magic);
  const m4 = f64x2.sub(low(d4, e, h, both), v128.load(f, SMALL));
  e = v128.load(f, PRIME + 0);
  h = high(m4, e, magic);
  t5 = i64x2.add(t5, h);
  t4 = i64x2.add(t4, low(m4, e, h, both));
  e = v128.load(f, PRIME + 16);
  h = high(m4, e, magic);
  t6 = i64x2.add(t6, h);
  t5 = i64x2.add(t5, low(m4, e, h, both));
  e = v128.load(f, PRIME + 32);
  h = high(m4, e, magic);
  t7 = i64x2.add(t7, h);
  t6 = i64x2.add(t6, low(m4, e, h, both));
  e = v128.load(f, PRIME + 48);
  h = high(m4, e, magic);
  t8 = i64x2.add(t8, h);
  t7 = i64x2.add(t7, low(m4, e, h, both));
  e = v128.load(f, PRIME + 64);
  h = high(m4, e, magic);
  t9 = i64x2.add(t9, h);
  t8 = i64x2.add(t8, low(m4, e, h, both));
  t5 = i64x2.add(t5, i64x2.shr_u(t4, 51));
  v128.store(out, digit(f, t5), 0);
  t6 = i64x2.add(t6, i64x2.shr_u(t5, 51));
  v128.store(out, digit(f, t6), 16);
  t7 = i64x2.add(t7, i64x2.shr_u(t6, 51));
  v128.store(out, digit(f, t7), 32);
  t8 = i64x2.add(t8, i64x2.shr_u(t7, 51));
  v128.store(out, digit(f, t8), 48);
  t9 = i64x2.add(t9, i64x2.shr_u(t8, 51));
  v128.store(out, f64x2.sub(v128.or(t9, v128.load(f, EXPONENT)), v128.load(f, TOP)), 64);
}

/** out = x + y, digit by digit. */
export function add(out: usize, x: usize, y: usize): void {
  for (let i: usize = 0; i < PAIR; i += 16) v128.store(out + i, f64x2.add(v128.load(x + i), v128.load(y + i)));
}

/** out = x − y, digit by digit. */
export function sub(out: usize, x: usize, y: usize): void {
  for (let i: usize = 0; i < PAIR; i += 16) v128.store(out + i, f64x2.sub(v128.load(x + i), v128.load(y + i)));
}

/** out = −x. */
export function neg(out: usize, x: usize): void {
  for (let i: usize = 0; i < PAIR; i += 16) v128.store(out + i, f64x2.neg(v128.load(x + i)));
}

export function copy(out: usize, x: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(out + i, v128.load(x + i));
}

/** out = x less the nearest multiple of p, with normal digits. */
export function reduce(f: usize, out: usize, x: usize): void {
  normalise(f, out, v128.load(x), v128.load(x, 16), v128.load(x, 32), v128.load(x, 48), v128.load(x, 64));
}

/** `reduce` of x + y. */
export function addReduced(f: usize, out: usize, x: usize, y: usize): void {
  normalise(
    f,
    out,
    f64x2.add(v128.load(x), v128.load(y)),
    f64x2.add(v128.load(x, 16), v128.load(y, 16)),
    f64x2.add(v128.load(x, 32), v128.load(y, 32)),
    f64x2.add(v128.load(x, 48), v128.load(y, 48)),
    f64x2.add(v128.load(x, 64), v128.load(y, 64)),
  );
}

/** `reduce` of x − y. */
export function subReduced(f: usize, out: usize, x: usize, y: usize): void {
  normalise(
    f,
    out,
    f64x2.sub(v128.load(x), v128.load(y)),
    f64x2.sub(v128.load(x, 16), v128.load(y, 16)),
    f64x2.sub(v128.load(x, 32), v128.load(y, 32)),
    f64x2.sub(v128.load(x, 48), v128.load(y, 48)),
    f64x2.sub(v128.load(x, 64), v128.load(y, 64)),
  );
}

// @ts-ignore: decorator
@inline function normalise(f: usize, out: usize, x0: v128, x1: v128, x2: v128, x3: v128, x4: v128): void {
  const quotient = f64x2.nearest(f64x2.mul(x4, v128.load(f, RECIPROCAL)));
  const unit = v128.load(f, UNIT);
  const inverse = v128.load(f, UNIT_INVERSE);
  let d = f64x2.relaxed_nmadd(quotient, v128.load(f, PRIME), x0);
  let carry = f64x2.nearest(f64x2.mul(d, inverse));
  v128.store(out, f64x2.relaxed_nmadd(carry, unit, d));
  d = f64x2.add(f64x2.relaxed_nmadd(quotient, v128.load(f, PRIME + 16), x1), carry);
  carry = f64x2.nearest(f64x2.mul(d, inverse));
  v128.store(out, f64x2.relaxed_nmadd(carry, unit, d), 16);
  d = f64x2.add(f64x2.relaxed_nmadd(quotient, v128.load(f, PRIME + 32), x2), carry);
  carry = f64x2.nearest(f64x2.mul(d, inverse));
  v128.store(out, f64x2.relaxed_nmadd(carry, unit, d), 32);
  d = f64x2.add(f64x2.relaxed_nmadd(quotient, v128.load(f, PRIME + 48), x3), carry);
  carry = f64x2.nearest(f64x2.mul(d, inverse));
  v128.store(out, f64x2.relaxed_nmadd(carry, unit, d), 48);
  v128.store(out, f64x2.add(f64x2.relaxed_nmadd(quotient, v128.load(f, PRIME + 64), x4), carry), 64);
}

/** Which lanes of a reduced pair are zero: bit 0, bit 1. */
export function zeros(x: usize): i32 {
  let any = v128.load(x);
  for (let i: usize = 16; i < PAIR; i += 16) any = v128.or(any, f64x2.abs(v128.load(x + i)));
  return i64x2.bitmask(f64x2.eq(any, f64x2.splat(0)));
}

/** out = 1 / x in both lanes (0 of 0), by x^(p − 2). `work`: 17 pairs. */
export function inverse(f: usize, out: usize, x: usize, work: usize): void {
  copy(work, f + ONE, PAIR);
  copy(work + PAIR, x, PAIR);
  for (let i: usize = 2; i < 16; i++) mul(f, work + i * PAIR, work + (i - 1) * PAIR, x);
  const result = work + 16 * PAIR;
  copy(result, work, PAIR);
  for (let i: i32 = 63; i >= 0; i--) {
    const word = load<u64>(f + EXPONENT_WORDS + ((<usize>i >> 4) << 3));
    const nibble = <usize>((word >> (<u64>(i & 15) << 2)) & 15);
    for (let k = 0; k < 4; k++) mul(f, result, result, result);
    if (nibble !== 0) mul(f, result, result, work + nibble * PAIR);
  }
  copy(out, result, PAIR);
}

/** Two numbers of 32 bytes, little-endian, as a pair that is not in Montgomery form: unsigned digits below 2^51. */
export function unpack(out: usize, first: usize, second: usize): void {
  unpackLane(out, first);
  unpackLane(out + 8, second);
}

function unpackLane(out: usize, from: usize): void {
  const w0 = load<u64>(from);
  const w1 = load<u64>(from, 8);
  const w2 = load<u64>(from, 16);
  const w3 = load<u64>(from, 24);
  const mask: u64 = 0x7ffffffffffff;
  store<f64>(out, <f64>(w0 & mask));
  store<f64>(out, <f64>(((w0 >> 51) | (w1 << 13)) & mask), 16);
  store<f64>(out, <f64>(((w1 >> 38) | (w2 << 26)) & mask), 32);
  store<f64>(out, <f64>(((w2 >> 25) | (w3 << 39)) & mask), 48);
  store<f64>(out, <f64>(w3 >> 12), 64);
}

/** One lane of a pair as a canonical number of 32 bytes, little-endian. The pair: at most 0.99·p, normal digits, not in Montgomery form. */
export function pack(f: usize, out: usize, lane: usize): void {
  const mask: i64 = 0x7ffffffffffff;
  let d0 = <i64>load<f64>(lane);
  let d1 = <i64>load<f64>(lane, 16);
  let d2 = <i64>load<f64>(lane, 32);
  let d3 = <i64>load<f64>(lane, 48);
  let d4 = <i64>load<f64>(lane, 64);
  const lowest = (((((((d0 >> 51) + d1) >> 51) + d2) >> 51) + d3) >> 51) + d4;
  if (lowest < 0) {
    d0 += <i64>load<f64>(f, PRIME);
    d1 += <i64>load<f64>(f, PRIME + 16);
    d2 += <i64>load<f64>(f, PRIME + 32);
    d3 += <i64>load<f64>(f, PRIME + 48);
    d4 += <i64>load<f64>(f, PRIME + 64);
  }
  d1 += d0 >> 51;
  d2 += d1 >> 51;
  d3 += d2 >> 51;
  d4 += d3 >> 51;
  d0 &= mask;
  d1 &= mask;
  d2 &= mask;
  d3 &= mask;
  store<u64>(out, <u64>(d0 | (d1 << 51)));
  store<u64>(out, <u64>((d1 >> 13) | (d2 << 38)), 8);
  store<u64>(out, <u64>((d2 >> 26) | (d3 << 25)), 16);
  store<u64>(out, <u64>((d3 >> 39) | (d4 << 12)), 24);
}
