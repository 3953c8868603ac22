/**
 * The fields that points have coordinates in: degree k = 1 is F_q, k = 2 is F_q[u] / (u² + 1). An element is k pairs, so everything here works on
 * two elements at a time. The ranges are those of field.ts.
 */
import { B3, INVERSION, Q, scratch } from './context';
import { add, addReduced, copy, inverse, mul, mulAdd, neg, PAIR, reduce, sub, subReduced, zeros } from './field';

/** out = a·b; for k = 2 both factors' halves within 1.4·p. */
export function multiply(k: usize, out: usize, a: usize, b: usize): void {
  if (k === 1) {
    mul(Q, out, a, b);
    return;
  }
  const first = scratch + PAIR;
  neg(scratch, a + PAIR);
  mulAdd(Q, first, a, b, scratch, b + PAIR);
  mulAdd(Q, out + PAIR, a, b + PAIR, a + PAIR, b);
  copy(out, first, PAIR);
}

export function plus(k: usize, out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < k * PAIR; i += PAIR) add(out + i, a + i, b + i);
}

export function minus(k: usize, out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < k * PAIR; i += PAIR) sub(out + i, a + i, b + i);
}

export function plusReduced(k: usize, out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < k * PAIR; i += PAIR) addReduced(Q, out + i, a + i, b + i);
}

export function minusReduced(k: usize, out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < k * PAIR; i += PAIR) subReduced(Q, out + i, a + i, b + i);
}

export function reduced(k: usize, out: usize, a: usize): void {
  for (let i: usize = 0; i < k * PAIR; i += PAIR) reduce(Q, out + i, a + i);
}

/** out = 3·a, reduced. `out` is not `a`. */
export function triple(k: usize, out: usize, a: usize): void {
  plus(k, out, a, a);
  plusReduced(k, out, out, a);
}

/** out = 3·b·a, b being the curve's constant: 3, or 3 / (9 + u). `out` is not `a`. */
export function timesB3(k: usize, out: usize, a: usize): void {
  if (k === 2) {
    multiply(2, out, a, B3);
    return;
  }
  const three = scratch;
  triple(1, three, a);
  triple(1, out, three);
}

/** Which lanes of reduced elements are zero. */
export function zeroLanes(k: usize, a: usize): i32 {
  return k === 1 ? zeros(a) : zeros(a) & zeros(a + PAIR);
}

/** out = 1 / a in both lanes. */
export function invert(k: usize, out: usize, a: usize): void {
  const work = scratch + INVERSION;
  if (k === 1) {
    inverse(Q, out, a, work);
    return;
  }
  // (a0 + a1·u)⁻¹ = (a0 − a1·u) / (a0² + a1²)
  const norm = work + 17 * PAIR;
  mulAdd(Q, norm, a, a, a + PAIR, a + PAIR);
  inverse(Q, norm, norm, work);
  neg(work, a + PAIR);
  mul(Q, out, a, norm);
  mul(Q, out + PAIR, work, norm);
}
