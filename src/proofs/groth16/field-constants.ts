import { inverse, writeField } from '../fields.ts';

/** What assembly/bn254/field.ts needs to know of a prime field: the layout is that file's. */

/** Numbers are kept times 2^255 (Montgomery form), in digits of 51 bits. */
export const MONTGOMERY_BITS = 255n;
export const FIELD_BYTES = 992;
const DIGIT_BITS = 51n;
const DIGITS = 5;
const DIGIT = 1n << DIGIT_BITS;

/** How many lower and upper halves of digit products are added to each column, by products that share a reduction. */
const HALVES = [
  { low: [1, 2, 4, 8, 10, 9, 8, 6, 2, 0], high: [0, 1, 2, 4, 8, 10, 9, 8, 6, 2] },
  { low: [2, 4, 7, 12, 15, 13, 11, 8, 3, 0], high: [0, 2, 4, 7, 12, 15, 13, 11, 8, 3] },
] as const;
/** Added to a column, so that it is never negative when it is shifted; the next one loses it again. */
const POSITIVE = 1n << 61n;

/** 3·2^102 and 3·2^51: what digit products are added to (the header of field.ts). */
const HIGH = 3 * 2 ** 102;
const LOW = 3 * 2 ** 51;

function bitsOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

/** The representative in [−m/2, m/2). */
function centred(value: bigint, m: bigint): bigint {
  const rest = ((value % m) + m) % m;
  return 2n * rest >= m ? rest - m : rest;
}

/** Five signed digits, least first, within ±2^50 (the last: what is left). */
export function digitsOf(value: bigint): number[] {
  const digits: number[] = [];
  let rest = value;
  for (let i = 0; i < DIGITS - 1; i++) {
    const digit = centred(rest, DIGIT);
    digits.push(Number(digit));
    rest = (rest - digit) >> DIGIT_BITS;
  }
  return [...digits, Number(rest)];
}

/** A number's Montgomery form, in [−p/2, p/2). */
export function toMontgomery(value: bigint, p: bigint): bigint {
  return centred(value << MONTGOMERY_BITS, p);
}

/** Writes a pair with both lanes `value` (as it is, below 2^254 in size): 80 bytes. */
export function writePair(view: DataView, at: number, value: bigint): void {
  writePairOf(view, at, value, value);
}

/** Writes a pair: 80 bytes. */
export function writePairOf(view: DataView, at: number, first: bigint, second: bigint): void {
  const other = digitsOf(second);
  for (const [i, digit] of digitsOf(first).entries()) {
    view.setFloat64(at + 16 * i, digit, true);
    view.setFloat64(at + 16 * i + 8, other[i]!, true);
  }
}

/** The constants of the field of order p, `FIELD_BYTES` at `at`, a multiple of 16. */
export function writeConstants(view: DataView, at: number, p: bigint): void {
  let to = at;
  const word = (value: bigint) => {
    for (let lane = 0; lane < 2; lane++, to += 8) view.setBigUint64(to, BigInt.asUintN(64, value), true);
  };
  const double = (value: number) => word(bitsOf(value));
  const digits = (value: bigint) => {
    for (const digit of digitsOf(value)) double(digit);
  };
  for (const { low, high } of HALVES) {
    low.forEach((count, k) => {
      const exponents = BigInt(count) * bitsOf(LOW) + BigInt(high[k]!) * bitsOf(HIGH);
      const centre = k < 9 ? (1n << 50n) + POSITIVE : 1n << 51n;
      word(centre - exponents - (k > 0 ? POSITIVE >> DIGIT_BITS : 0n));
    });
  }
  double(HIGH);
  double(HIGH + LOW);
  word(DIGIT - 1n);
  double(2 ** 52);
  double(2 ** 52 + 2 ** 50);
  double(LOW);
  double(2 ** 52 + 2 ** 51);
  double(Number(centred(-inverse(p, DIGIT), DIGIT)));
  digits(p);
  digits(centred(inverse(DIGIT, p), p));
  digits(centred(inverse(DIGIT * DIGIT, p), p));
  double(2 ** 204 / Number(p));
  double(2 ** 51);
  double(2 ** -51);
  digits(toMontgomery(1n, p));
  digits(1n);
  for (const value of [p - 2n, p >> 1n, p]) {
    writeField(view, to, value);
    to += 32;
  }
}
