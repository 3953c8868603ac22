import { LOGIT_FRACTION_BITS } from '../params/constants.ts';

/**
 * The Gumbel table: entry k is round(2^10 · −ln(−ln((k+½)/65536))). Made with IEEE basic operations only, so that every
 * machine has the same one; its hash is a protocol constant.
 */

/** Entries of the table: one for each 16-bit uniform. */
export const GUMBEL_ENTRIES = 65_536;
/** The table's first and smallest entry. */
export const GUMBEL_MIN = -2526;
/** The table's last and largest entry. */
export const GUMBEL_MAX = 12_066;

/** SHA-256 of the table's bytes (int16, little-endian), made with mpmath as well (test/vectors/gumbel.py). */
export const GUMBEL_TABLE_SHA256 = '0xf273585706bf10c9442a816bc9ca32a1c4110208ed55deda0c2c4fb4e1572667';

// biome-ignore lint/suspicious/noApproximativeNumericConstant: a literal is the same number in every engine.
const LN_2 = 0.6931471805599453;

/**
 * The natural logarithm of a positive normal number, within 2 units in the last place: x = m · 2^e with m in
 * [¾, 1½), ln m = 2·atanh((m−1)/(m+1)) by its series.
 */
export function naturalLogarithm(x: number): number {
  let mantissa = x;
  let exponent = 0;
  // Scaling by two is exact.
  for (; mantissa < 0.75; exponent--) mantissa *= 2;
  for (; mantissa >= 1.5; exponent++) mantissa /= 2;
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  // |s| ≤ 0.2, so that the term after s^25 is below 2^-60 of the first.
  let sum = 1 / 25;
  for (let odd = 23; odd >= 1; odd -= 2) sum = sum * square + 1 / odd;
  return exponent * LN_2 + 2 * s * sum;
}

let table: Int16Array | undefined;

/** The table, `[65536]` int16, made on first use (about 10 ms). Do not write to it. */
export function gumbelTable(): Int16Array {
  if (table !== undefined) return table;
  table = new Int16Array(GUMBEL_ENTRIES);
  const scale = 1 << LOGIT_FRACTION_BITS;
  for (let k = 0; k < GUMBEL_ENTRIES; k++) {
    const uniform = (k + 0.5) / GUMBEL_ENTRIES;
    const value = -scale * naturalLogarithm(-naturalLogarithm(uniform));
    // No value is within 10^-6 of a half, where the logarithm's last bits could decide.
    table[k] = Math.floor(value + 0.5);
  }
  return table;
}
