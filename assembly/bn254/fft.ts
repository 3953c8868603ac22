/** Polynomials over the scalar field: `n` numbers in n/2 pairs, neighbours in the lanes of a pair. */
import { CALLER, R, scratch } from './context';
import {
  addReduced,
  copy,
  mul,
  pack,
  PAIR,
  PLAIN_ONE,
  reduce,
  SINGLE,
  subReduced,
  unpack,
} from './field';

/** out[0] = first; out[i] = out[i − 1] · step, `count` pairs. */
export function powers(out: usize, first: usize, step: usize, count: usize): void {
  copy(out, first, PAIR);
  for (let i: usize = 1; i < count; i++) mul(R, out + i * PAIR, out + (i - 1) * PAIR, step);
}

/** data[i] = data[i] · factors[i], `count` pairs. */
export function scale(data: usize, factors: usize, count: usize): void {
  for (let i: usize = 0; i < count; i++) mul(R, data + i * PAIR, data + i * PAIR, factors + i * PAIR);
}

/**
 * Values from bit-reversed to natural order (decimation in time). `roots`: for half = 2, 4, … n/2 the powers 0 … half − 1 of
 * the 2·half-th root of unity, one list behind the other.
 */
export function fftFromReversed(data: usize, n: usize, roots: usize): void {
  const product = scratch + CALLER;
  lanes(data, n);
  for (let half: usize = 2; half < n; half <<= 1) {
    const bytes = (half >> 1) * PAIR;
    for (let group = data; group < data + (n >> 1) * PAIR; group += 2 * bytes) {
      for (let j: usize = 0; j < bytes; j += PAIR) {
        const a = group + j;
        mul(R, product, a + bytes, roots + j);
        subReduced(R, a + bytes, a, product);
        addReduced(R, a, a, product);
      }
    }
    roots += bytes;
  }
}

/** Values from natural to bit-reversed order (decimation in frequency), with the same lists of roots. */
export function fftToReversed(data: usize, n: usize, roots: usize): void {
  const difference = scratch + CALLER;
  let list = roots + ((n >> 1) - 1) * PAIR;
  for (let half = n >> 1; half >= 2; half >>= 1) {
    const bytes = (half >> 1) * PAIR;
    list -= bytes;
    for (let group = data; group < data + (n >> 1) * PAIR; group += 2 * bytes) {
      for (let j: usize = 0; j < bytes; j += PAIR) {
        const a = group + j;
        subReduced(R, difference, a, a + bytes);
        addReduced(R, a, a, a + bytes);
        mul(R, a + bytes, difference, list + j);
      }
    }
  }
  lanes(data, n);
}

/** (a, b) → (a + b, a − b) within every pair. */
function lanes(data: usize, n: usize): void {
  const second = scratch + CALLER;
  for (let at = data; at < data + (n >> 1) * PAIR; at += PAIR) {
    for (let i: usize = 0; i < PAIR; i += 16) {
      const x = v128.load(at + i);
      v128.store(at + i, v128.shuffle<i64>(x, x, 0, 0));
      const b = v128.shuffle<i64>(x, x, 1, 1);
      v128.store(second + i, f64x2.replace_lane(b, 1, -f64x2.extract_lane(b, 1)));
    }
    addReduced(R, at, at, second);
  }
}

/** The witness, `n` numbers of 32 bytes, as single numbers out of Montgomery form. */
export function unpackScalars(out: usize, from: usize, n: usize): void {
  const pair = scratch + CALLER;
  for (let i: usize = 0; i < n; i++) {
    unpack(pair, from + 32 * i, from + 32 * i);
    for (let d: usize = 0; d < 5; d++) store<f64>(out + i * SINGLE + d * 8, load<f64>(pair + d * 16));
  }
}

/**
 * Σ coefficient · value over each row of a sparse matrix, rows in the order that `order` gives them places.
 * `ends[row]`: where the row's entries end, an even number; `wires`: a value's index; `coefficients`: single numbers, by 2^255 more than
 * Montgomery form, so that products with plain values are in Montgomery form.
 */
export function matrixTimesVector(
  out: usize,
  rows: usize,
  order: usize,
  ends: usize,
  wires: usize,
  coefficients: usize,
  values: usize,
): void {
  const a = scratch + CALLER;
  const b = a + PAIR;
  const sum = b + PAIR;
  let entry: usize = 0;
  for (let row: usize = 0; row < rows; row++) {
    const end = <usize>load<u32>(ends + 4 * row);
    memory.fill(sum, 0, PAIR);
    for (; entry < end; entry += 2) {
      const first = values + <usize>load<u32>(wires + 4 * entry) * SINGLE;
      const second = values + <usize>load<u32>(wires + 4 * entry, 4) * SINGLE;
      const coefficient = coefficients + entry * SINGLE;
      for (let d: usize = 0; d < 5; d++) {
        v128.store(
          a + 16 * d,
          v128.load_lane<u64>(second + 8 * d, v128.load_zero<u64>(first + 8 * d), 1),
        );
        v128.store(
          b + 16 * d,
          v128.load_lane<u64>(coefficient + 8 * d, v128.load_zero<u64>(coefficient + 8 * d), 1, SINGLE),
        );
      }
      mul(R, a, a, b);
      addReduced(R, sum, sum, a);
    }
    const place = <usize>load<u32>(order + 4 * row);
    const to = out + (place >> 1) * PAIR + (place & 1) * 8;
    for (let d: usize = 0; d < 5; d++) {
      store<f64>(to + 16 * d, load<f64>(sum + 16 * d) + load<f64>(sum + 16 * d, 8));
    }
  }
  for (let i: usize = 0; i < rows >> 1; i++) reduce(R, out + i * PAIR, out + i * PAIR);
}

/** out = a · b, pair by pair. */
export function products(out: usize, a: usize, b: usize, pairs: usize): void {
  for (let i: usize = 0; i < pairs * PAIR; i += PAIR) mul(R, out + i, a + i, b + i);
}

/** a·b − c as canonical numbers of 32 bytes. */
export function quotient(out: usize, a: usize, b: usize, c: usize, pairs: usize): void {
  const value = scratch + CALLER;
  for (let i: usize = 0; i < pairs; i++) {
    mul(R, value, a + i * PAIR, b + i * PAIR);
    subReduced(R, value, value, c + i * PAIR);
    mul(R, value, value, R + PLAIN_ONE);
    reduce(R, value, value);
    pack(R, out + 64 * i, value);
    pack(R, out + 64 * i + 32, value + 8);
  }
}

