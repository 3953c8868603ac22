/**
 * Points: affine ones in tables and lists (x then y, k numbers each by themselves), projective ones (X, Y, Z, two points at a time).
 */
import { ADDITION, Q, scratch } from './context';
import { copy, ONE, PAIR, SINGLE } from './field';
import {
  invert,

  minusReduced,
  multiply,
  plus,
  plusReduced,
  reduced,
  timesB3,
  triple,
  zeroLanes,
} from './tower';

/**
 * out = p + q, both lanes, for any points, infinity (0 : 1 : 0) and equal ones included. All coordinates reduced.
 * Renes, Costello and Batina, Complete addition formulas for prime order elliptic curves, eprint 2015/1060, algorithm 7: complete on
 * curves without a point of order two. G1's order is r; that of G2's curve is r·(2q − r); both are odd.
 */
export function addPoints(k: usize, out: usize, p: usize, q: usize): void {
  const size = k * PAIR;
  const x1 = p;
  const y1 = p + size;
  const z1 = p + 2 * size;
  const x2 = q;
  const y2 = q + size;
  const z2 = q + 2 * size;
  const t0 = scratch + ADDITION;
  const t1 = t0 + size;
  const t2 = t1 + size;
  const t3 = t2 + size;
  const t4 = t3 + size;
  const t5 = t4 + size;
  const a = t5 + size;
  const b = a + size;
  multiply(k, t0, x1, x2);
  multiply(k, t1, y1, y2);
  multiply(k, t2, z1, z2);
  cross(k, t3, x1, y1, x2, y2, t0, t1, a, b);
  cross(k, t4, y1, z1, y2, z2, t1, t2, a, b);
  cross(k, t5, x1, z1, x2, z2, t0, t2, a, b);
  triple(k, a, t0);
  reduced(k, t2, t2);
  timesB3(k, b, t2);
  plusReduced(k, t2, t1, b);
  minusReduced(k, t1, t1, b);
  reduced(k, t5, t5);
  timesB3(k, b, t5);
  reduced(k, b, b);
  // X = t3·t1 − t4·b, Y = t1·t2 + b·a, Z = t2·t4 + a·t3
  multiply(k, t0, t3, t1);
  multiply(k, t5, t4, b);
  minusReduced(k, out, t0, t5);
  multiply(k, t0, t1, t2);
  multiply(k, t5, b, a);
  plusReduced(k, out + size, t0, t5);
  multiply(k, t0, t2, t4);
  multiply(k, t5, a, t3);
  plusReduced(k, out + 2 * size, t0, t5);
}

/** out = (u1 + v1)·(u2 + v2) − s − t, reduced. */
function cross(
  k: usize,
  out: usize,
  u1: usize,
  v1: usize,
  u2: usize,
  v2: usize,
  s: usize,
  t: usize,
  a: usize,
  b: usize,
): void {
  plusReduced(k, a, u1, v1);
  plusReduced(k, b, u2, v2);
  multiply(k, out, a, b);
  plus(k, a, s, t);
  minusReduced(k, out, out, a);
}

/** Both lanes to infinity. */
export function setInfinity(k: usize, out: usize): void {
  memory.fill(out, 0, 3 * k * PAIR);
  copy(out + k * PAIR, Q + ONE, PAIR);
}

/** One lane of a projective pair: an affine point of a table or list, negated if `negative`. */
export function setLane(k: usize, out: usize, lane: usize, point: usize, negative: bool): void {
  const sign = negative ? -1.0 : 1.0;
  for (let part: usize = 0; part < k; part++) {
    for (let i: usize = 0; i < 5; i++) {
      const at = out + part * PAIR + i * 16 + lane * 8;
      const from = point + part * SINGLE + i * 8;
      store<f64>(at, load<f64>(from));
      store<f64>(at + k * PAIR, sign * load<f64>(from + k * SINGLE));
      store<f64>(at + 2 * k * PAIR, part === 0 ? load<f64>(Q + ONE + i * 16) : 0.0);
    }
  }
}

/**
 * Both lanes of a projective pair as affine points, one behind the other, at `out`, each 2·k numbers; infinity gives all zeros (which
 * is on neither curve).
 */
export function toAffine(k: usize, out: usize, p: usize): void {
  const size = k * PAIR;
  const z = scratch + ADDITION;
  const x = z + size;
  const y = x + size;
  invert(k, z, p + 2 * size);
  multiply(k, x, p, z);
  multiply(k, y, p + size, z);
  reduced(k, x, x);
  reduced(k, y, y);
  for (let lane: usize = 0; lane < 2; lane++) {
    const to = out + lane * 2 * k * SINGLE;
    for (let part: usize = 0; part < k; part++) {
      for (let i: usize = 0; i < 5; i++) {
        store<f64>(to + part * SINGLE + i * 8, load<f64>(x + part * PAIR + i * 16 + lane * 8));
        store<f64>(to + (k + part) * SINGLE + i * 8, load<f64>(y + part * PAIR + i * 16 + lane * 8));
      }
    }
  }
}

/** Which lanes of a projective pair are at infinity. */
export function infinities(k: usize, p: usize): i32 {
  return zeroLanes(k, p + 2 * k * PAIR);
}
