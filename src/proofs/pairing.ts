import type { Curve } from 'ffjavascript';
import { BASE_FIELD } from './curve.ts';

/** BN254's parameter x: q and r are polynomials in it. */
const X = 4965661367192848881n;
/** Digits of 6x + 2, over which the optimal ate pairing's Miller loop runs, from the second highest down. */
const LOOP = [...(6n * X + 2n).toString(2)].slice(1).map((digit) => digit === '1');

/** A prepared point of G2 begins with itself; then come the lines, three elements of F_q² each. */
const FIRST_LINE = 192;
const LINE = 192;
/** Prepared points take some 18 kB each and ffjavascript's memory does not grow: so many of them fit. */
export const PAIRS_AT_ONCE = 16;

/** Prepared by `prepareG2`: a point of G2 with its lines. */
export type PreparedG2 = Uint8Array;

export interface Pair {
  /** Affine or Jacobian. */
  readonly g1: Uint8Array;
  /** A point of G2, affine or Jacobian, or one that was prepared. */
  readonly g2: Uint8Array | { readonly prepared: PreparedG2 };
}

/**
 * Π e(P, Q) before the final exponentiation, for up to PAIRS_AT_ONCE pairs: one loop for all of them, which squares its
 * accumulator once a digit instead of once a digit and pair. Pairs whose P is infinity count as 1.
 * @returns an element of F_q¹²
 */
export function millerProduct(curve: Curve, pairs: readonly Pair[]): Uint8Array {
  const { tm, G1, G2 } = curve;
  const finite = pairs.filter(({ g1 }) => !G1.isZero(g1));
  if (finite.length > PAIRS_AT_ONCE) throw new RangeError(`${finite.length} pairs at once`);
  const call = (name: string, ...args: number[]) => tm.instance.exports[name]!(...args);
  tm.startSyncOp();
  try {
    const accumulator = tm.alloc(curve.Gt.n8);
    const [vw, vv] = [tm.alloc(64), tm.alloc(64)];
    const points = finite.map(({ g1, g2 }) => {
      const p = tm.alloc(curve.prePSize);
      call('bn128_prepareG1', tm.allocBuff(G1.toJacobian(g1)), p);
      const q = tm.alloc(curve.preQSize);
      if ('prepared' in g2) tm.setBuff(q, g2.prepared);
      else call('bn128_prepareG2', tm.allocBuff(G2.toJacobian(g2)), q);
      return { p, q };
    });
    let line = FIRST_LINE;
    const multiplyLines = () => {
      for (const { p, q } of points) {
        const at = q + line;
        call('f2m_mul1', at + 64, p + 32, vw);
        call('f2m_mul1', at + 128, p, vv);
        call('bn128__mulBy024', at, vw, vv, accumulator);
      }
      line += LINE;
    };
    call('ftm_one', accumulator);
    for (const digit of LOOP) {
      call('ftm_square', accumulator, accumulator);
      multiplyLines();
      if (digit) multiplyLines();
    }
    multiplyLines();
    multiplyLines();
    return tm.getBuff(accumulator, curve.Gt.n8);
  } finally {
    tm.endSyncOp();
  }
}

/** Multiplies (x, y) of the twist, conjugated, to what Frobenius makes of the point: ξ^((q−1)/3) and ξ^((q−1)/2), ξ = 9 + u. */
const TWIST_X = power([9n, 1n], (BASE_FIELD - 1n) / 3n);
const TWIST_Y = power([9n, 1n], (BASE_FIELD - 1n) / 2n);

function power(base: readonly [bigint, bigint], exponent: bigint): [bigint, bigint] {
  const times = ([a, b]: readonly [bigint, bigint], [c, d]: readonly [bigint, bigint]): [bigint, bigint] => [
    (a * c + (BASE_FIELD - b) * d) % BASE_FIELD,
    (a * d + b * c) % BASE_FIELD,
  ];
  let result: [bigint, bigint] = [1n, 0n];
  for (const digit of exponent.toString(2)) {
    result = times(result, result);
    if (digit === '1') result = times(result, base);
  }
  return result;
}

/**
 * Whether a point of the twist, not infinity, has order r, which every point of G1's curve has and the twist's need not:
 * [x+1]Q + ψ([x]Q) + ψ²([x]Q) = ψ³([2x]Q) with the Frobenius endomorphism ψ, one multiplication by a number of 63 bits
 * instead of one by r. Source: El Housni, Guillevic, Piellard, Co-factor clearing and subgroup membership testing on
 * pairing-friendly curves, eprint 2022/352, section 3.1 (BN).
 */
export function inG2Subgroup(curve: Curve, point: Uint8Array): boolean {
  const { tm, G2 } = curve;
  const call = (name: string, ...args: number[]) => tm.instance.exports[name]!(...args);
  const [twistX, twistY] = [G2.F.fromObject(TWIST_X), G2.F.fromObject(TWIST_Y)];
  tm.startSyncOp();
  try {
    const [px, py] = [tm.allocBuff(twistX), tm.allocBuff(twistY)];
    const scalar = tm.allocBuff(littleEndian(X, 8));
    const psi = (from: number, to: number) => {
      for (const coordinate of [0, 64, 128]) call('f2m_conjugate', from + coordinate, to + coordinate);
      call('f2m_mul', to, px, to);
      call('f2m_mul', to + 64, py, to + 64);
    };
    const q = tm.allocBuff(G2.toJacobian(point));
    const [times, one, two, three] = [tm.alloc(192), tm.alloc(192), tm.alloc(192), tm.alloc(192)];
    call('g2m_timesScalar', q, scalar, 8, times);
    psi(times, one);
    psi(one, two);
    psi(two, three);
    call('g2m_double', three, three);
    call('g2m_add', times, q, times);
    call('g2m_add', times, one, times);
    call('g2m_add', times, two, times);
    return call('g2m_eq', times, three) === 1;
  } finally {
    tm.endSyncOp();
  }
}

/** A number below 2^(8·length). */
export function littleEndian(value: bigint, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0, rest = value; i < length; i++, rest >>= 8n) out[i] = Number(rest & 255n);
  return out;
}
