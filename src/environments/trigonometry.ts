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

/**
 * Places in `work`: r and t of the angle, then sin(r + t) and cos(r + t). A number that crosses a call which V8 does not
 * inline is an object on its heap, and environments call these millions of times a second.
 */
const R = 0;
const T = 1;
const SINE = 2;
const COSINE = 3;
const work = new Float64Array(4);

/** The upper 26 bits. The series write it out: V8 does not always inline it, and then allocates what it returns. */
function upper(x: number): number {
  const scaled = x * SPLITTER;
  return scaled - (scaled - x);
}

/** sin x. @throws RangeError when |x| exceeds 10^6 or x is not a number. */
export function sine(x: number): number {
  work[SINE] = x;
  turned(work, SINE, reduce(work, SINE));
  return work[SINE]!;
}

/** cos x. @throws RangeError when |x| exceeds 10^6 or x is not a number. */
export function cosine(x: number): number {
  work[COSINE] = x;
  cosineAt(work, COSINE);
  return work[COSINE]!;
}

/** Puts the cosine of values[at] in its place and allocates nothing. @throws RangeError as `cosine` does */
export function cosineAt(values: Float64Array, at: number): void {
  turned(values, at, (reduce(values, at) + 1) & 3);
}

/** Puts the sine of values[at] in its place and the cosine after it, and allocates nothing. @throws RangeError as `sine` does */
export function sineCosineAt(values: Float64Array, at: number): void {
  const quadrant = reduce(values, at);
  sineNearZero();
  cosineNearZero();
  const s = (quadrant & 1) === 0 ? work[SINE]! : work[COSINE]!;
  const c = (quadrant & 1) === 0 ? work[COSINE]! : work[SINE]!;
  values[at] = quadrant < 2 ? s : -s;
  values[at + 1] = quadrant === 0 || quadrant === 3 ? c : -c;
}

/** Splits values[at] into r + t and a number of right angles, which it returns modulo 4. */
function reduce(values: Float64Array, at: number): number {
  const x = values[at]!;
  if (!(Math.abs(x) <= MAX_ARGUMENT)) throw new RangeError(`sine and cosine take |x| ≤ ${MAX_ARGUMENT}`);
  const n = Math.floor(x * TWO_OVER_PI + 0.5);
  if (n === 0) {
    work[R] = x;
    work[T] = 0;
    return 0;
  }
  const head = x - n * PART_1;
  const cut = n * PART_2;
  const middle = head - cut;
  const lost = head - middle - cut;
  const rest = lost - n * PART_3;
  const r = middle + rest;
  work[R] = r;
  work[T] = middle - r + rest;
  // Two's complement: n & 3 is n mod 4 for negative n as well.
  return n & 3;
}

/** Puts sin(r + t + quadrant·π/2) into values[at]. */
function turned(values: Float64Array, at: number, quadrant: number): void {
  let value: number;
  if ((quadrant & 1) === 0) {
    sineNearZero();
    value = work[SINE]!;
  } else {
    cosineNearZero();
    value = work[COSINE]!;
  }
  values[at] = quadrant < 2 ? value : -value;
}

/** sin(r + t), |r| ≤ π/4: r is exact, everything that is rounded is added to it last. */
function sineNearZero(): void {
  const r = work[R]!;
  const t = work[T]!;
  const z = r * r;
  const tail = S5 - z * (S7 - z * (S9 - z * (S11 - z * (S13 - z * (S15 - z * S17)))));
  if (Math.abs(r) <= SHORT) {
    work[SINE] = r + (r * z * (z * tail - S3) + t * (1 - 0.5 * z));
    return;
  }
  // r³/6 is up to a tenth of the result: it is carried with its rounding errors.
  const rScaled = r * SPLITTER;
  const rHigh = rScaled - (rScaled - r);
  const rLow = r - rHigh;
  const zScaled = z * SPLITTER;
  const zHigh = zScaled - (zScaled - z);
  const zLow = z - zHigh;
  const squareError = rHigh * rHigh - z + 2 * rHigh * rLow + rLow * rLow;
  const cube = r * z;
  const cubeError = rHigh * zHigh - cube + rHigh * zLow + rLow * zHigh + rLow * zLow + r * squareError;
  const cubeScaled = cube * SPLITTER;
  const cubeHigh = cubeScaled - (cubeScaled - cube);
  const cubeLow = cube - cubeHigh;
  const sixth = cube * S3;
  const sixthError =
    cubeHigh * S3_HIGH - sixth + cubeHigh * S3_LOW + cubeLow * S3_HIGH + cubeLow * S3_LOW + cubeError * S3;
  const lead = r - sixth;
  const leadError = r - lead - sixth;
  work[SINE] = lead + (leadError - sixthError - cube * S3_ERROR + cube * z * tail + t * (1 - 0.5 * z));
}

/** cos(r + t), |r| ≤ π/4: 1 − r²/2 is carried with its rounding errors. */
function cosineNearZero(): void {
  const r = work[R]!;
  const t = work[T]!;
  const z = r * r;
  const rScaled = r * SPLITTER;
  const high = rScaled - (rScaled - r);
  const low = r - high;
  const squareError = high * high - z + 2 * high * low + low * low;
  const half = 0.5 * z;
  const lead = 1 - half;
  const leadError = 1 - lead - half;
  const tail = C4 - z * (C6 - z * (C8 - z * (C10 - z * (C12 - z * (C14 - z * C16)))));
  work[COSINE] = lead + (leadError - 0.5 * squareError - r * (1 - z * S3) * t + z * z * tail);
}
