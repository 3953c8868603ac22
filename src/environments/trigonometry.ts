/**
 * Sine and cosine from IEEE basic operations only: `Math.sin` may differ between engines and versions, and environments
 * decide verdicts. Results are within 0.53 units in the last place for |x| ≤ 0.25 and within 0.57 for |x| ≤ 10^6
 * (test/unit/trigonometry.test.ts measures it against 200-bit arithmetic).
 *
 * The argument is reduced by multiples of π/2 in three parts (Cody and Waite), to r + t with |r| ≤ π/4 and t its
 * rounding error; then Taylor series with the leading terms compensated.
 */

/** π/2 = PART_1 + PART_2 + PART_3: the first two have 33 bits, so that a quotient below 2^20 times either is exact. */
const PART_1 = 1.5707963267341256;
const PART_2 = 6.077100506303966e-11;
const PART_3 = 2.0222662487959506e-21;
const TWO_OVER_PI = 0.6366197723675814;

/** Larger arguments would lose accuracy in the reduction. */
const MAX_ARGUMENT = 1_000_000;

/** Veltkamp's constant 2^27 + 1, which splits a double into two halves of 26 bits. */
const SPLITTER = 134_217_729;

/** Up to this |r| the plain series is accurate enough. */
const SHORT = 0.25;

/** Reciprocals of factorials; each quotient of exact integers is correctly rounded. */
const S3 = 1 / 6;
const S3_HIGH = upper(S3);
const S3_LOW = S3 - S3_HIGH;
/** 1/6 − S3. */
const S3_ERROR = 9.25185853854297e-18;
const S5 = 1 / 120;
const S7 = 1 / 5040;
const S9 = 1 / 362_880;
const S11 = 1 / 39_916_800;
const S13 = 1 / 6_227_020_800;
const S15 = 1 / 1_307_674_368_000;
const S17 = 1 / 355_687_428_096_000;
const C4 = 1 / 24;
const C6 = 1 / 720;
const C8 = 1 / 40_320;
const C10 = 1 / 3_628_800;
const C12 = 1 / 479_001_600;
const C14 = 1 / 87_178_291_200;
const C16 = 1 / 20_922_789_888_000;

/** sin x. @throws RangeError when |x| exceeds 10^6 or x is not a number. */
export function sine(x: number): number {
  return reduced(x, 0);
}

/** cos x. @throws RangeError when |x| exceeds 10^6 or x is not a number. */
export function cosine(x: number): number {
  return reduced(x, 1);
}

/** sin(x + quarter·π/2). */
function reduced(x: number, quarter: number): number {
  if (!(Math.abs(x) <= MAX_ARGUMENT)) throw new RangeError(`sine and cosine take |x| ≤ ${MAX_ARGUMENT}`);
  const n = Math.floor(x * TWO_OVER_PI + 0.5);
  if (n === 0) return quarter === 0 ? sineNearZero(x, 0) : cosineNearZero(x, 0);
  const head = x - n * PART_1;
  const cut = n * PART_2;
  const middle = head - cut;
  const lost = head - middle - cut;
  const rest = lost - n * PART_3;
  const r = middle + rest;
  const t = middle - r + rest;
  // Two's complement: n & 3 is n mod 4 for negative n as well.
  const quadrant = (n + quarter) & 3;
  if (quadrant === 0) return sineNearZero(r, t);
  if (quadrant === 1) return cosineNearZero(r, t);
  return quadrant === 2 ? -sineNearZero(r, t) : -cosineNearZero(r, t);
}

/** sin(r + t), |r| ≤ π/4: r is exact, everything that is rounded is added to it last. */
function sineNearZero(r: number, t: number): number {
  const z = r * r;
  const tail = S5 - z * (S7 - z * (S9 - z * (S11 - z * (S13 - z * (S15 - z * S17)))));
  if (Math.abs(r) <= SHORT) return r + (r * z * (z * tail - S3) + t * (1 - 0.5 * z));
  // r³/6 is up to a tenth of the result: it is carried with its rounding errors.
  const rHigh = upper(r);
  const rLow = r - rHigh;
  const zHigh = upper(z);
  const zLow = z - zHigh;
  const squareError = rHigh * rHigh - z + 2 * rHigh * rLow + rLow * rLow;
  const cube = r * z;
  const cubeError = rHigh * zHigh - cube + rHigh * zLow + rLow * zHigh + rLow * zLow + r * squareError;
  const cubeHigh = upper(cube);
  const cubeLow = cube - cubeHigh;
  const sixth = cube * S3;
  const sixthError =
    cubeHigh * S3_HIGH - sixth + cubeHigh * S3_LOW + cubeLow * S3_HIGH + cubeLow * S3_LOW + cubeError * S3;
  const lead = r - sixth;
  const leadError = r - lead - sixth;
  return lead + (leadError - sixthError - cube * S3_ERROR + cube * z * tail + t * (1 - 0.5 * z));
}

/** The upper 26 bits. */
function upper(x: number): number {
  const scaled = x * SPLITTER;
  return scaled - (scaled - x);
}

/** cos(r + t), |r| ≤ π/4: 1 − r²/2 is carried with its rounding errors. */
function cosineNearZero(r: number, t: number): number {
  const z = r * r;
  const high = upper(r);
  const low = r - high;
  const squareError = high * high - z + 2 * high * low + low * low;
  const half = 0.5 * z;
  const lead = 1 - half;
  const leadError = 1 - lead - half;
  const tail = C4 - z * (C6 - z * (C8 - z * (C10 - z * (C12 - z * (C14 - z * C16)))));
  return lead + (leadError - 0.5 * squareError - r * (1 - z * S3) * t + z * z * tail);
}
