/**
 * Fixed-point arithmetic on bigint: values are integers over 2^PRECISION. Slow, simple, and independent of every
 * floating-point function that it judges.
 */
export const PRECISION = 240n;
export const ONE = 1n << PRECISION;

const multiply = (a: bigint, b: bigint) => (a * b) >> PRECISION;
const divide = (a: bigint, b: bigint) => (a << PRECISION) / b;

/** A finite double, exactly (as long as it is a multiple of 2^-240, or else truncated). */
export function fromDouble(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n);
  const shift = PRECISION + BigInt(Math.max(exponent, 1) - 1075);
  const magnitude = shift >= 0n ? mantissa << shift : mantissa >> -shift;
  return value < 0 ? -magnitude : magnitude;
}

/** 2·atanh(s) = ln((1+s)/(1−s)). */
function twiceAtanh(s: bigint): bigint {
  const square = multiply(s, s);
  let sum = 0n;
  let power = s;
  for (let odd = 1n; power !== 0n && power !== -1n; odd += 2n) {
    sum += power / odd;
    power = multiply(power, square);
  }
  return 2n * sum;
}

const LN_2 = twiceAtanh(ONE / 3n);

/** ln of a positive number. */
export function logarithm(x: bigint): bigint {
  let mantissa = x;
  let exponent = 0n;
  for (; mantissa < ONE; exponent--) mantissa <<= 1n;
  for (; mantissa >= 2n * ONE; exponent++) mantissa >>= 1n;
  return exponent * LN_2 + twiceAtanh(divide(mantissa - ONE, mantissa + ONE));
}

/** π by Machin's formula. */
export const PI = (() => {
  const arctanOfInverse = (n: bigint) => {
    let sum = 0n;
    let power = ONE / n;
    for (let odd = 1n, sign = 1n; power !== 0n; odd += 2n, sign = -sign) {
      sum += (sign * power) / odd;
      power /= n * n;
    }
    return sum;
  };
  return 4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));
})();

/** sin x by its Taylor series after reduction to [−π, π]. */
export function sineOf(x: bigint): bigint {
  const turn = 2n * PI;
  let r = x % turn;
  if (r > PI) r -= turn;
  if (r < -PI) r += turn;
  const square = multiply(r, r);
  let term = r;
  let sum = 0n;
  for (let n = 1n; term !== 0n && term !== -1n; n += 2n) {
    sum += term;
    term = -multiply(term, square) / ((n + 1n) * (n + 2n));
  }
  return sum;
}

/** cos x. */
export function cosineOf(x: bigint): bigint {
  return sineOf(x + PI / 2n);
}

/** How far a double is from an exact value, in units in the last place of the double. */
export function ulpsApart(value: number, exact: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const exponent = Number(view.getBigUint64(0) >> 52n);
  const ulp = 1n << (PRECISION + BigInt(exponent - 1075));
  const difference = fromDouble(value) - exact;
  return Number(((difference < 0n ? -difference : difference) * 1_000_000n) / ulp) / 1_000_000;
}
