import { FIELD_ORDER, inverse, power } from '../fields.ts';
import { toMontgomery, writePair, writePairOf } from './field-constants.ts';
import { type Kernel, PAIR } from './kernel.ts';

/** A power-of-two domain's tables in the kernel's memory. */
export interface Domain {
  readonly size: number;
  /** Lists of roots of unity, and of their inverses, as the transforms of assembly/bn254/fft.ts want them. */
  readonly roots: number;
  readonly inverseRoots: number;
  /** shift^i / size: from coefficients of a polynomial to those of p(shift · x), and the inverse transform's factor. */
  readonly shifts: number;
  /** u32: where each row's value goes for a transform from reversed order. */
  readonly order: number;
}

/** The greatest power of two that divides r − 1, and snarkjs' root of unity of that order: 5 is no square. */
const TWO_ADICITY = 28;

/** The 2^bits-th root of unity that snarkjs uses, bits ≤ 28. */
export function rootOfUnity(bits: number): bigint {
  return power(power(5n, (FIELD_ORDER - 1n) >> BigInt(TWO_ADICITY)), 1n << BigInt(TWO_ADICITY - bits));
}

/** The lowest `bits` bits of i in reversed order. */
export function reversed(i: number, bits: number): number {
  let out = 0;
  for (let k = 0; k < bits; k++) out = 2 * out + ((i >> k) & 1);
  return out;
}

/** @param size a power of two, 2 to 2^27 */
export function makeDomain(kernel: Kernel, size: number): Domain {
  const bits = Math.log2(size);
  const [first, step] = [kernel.allocate(PAIR), kernel.allocate(PAIR)];
  const montgomery = (value: bigint) => toMontgomery(value, FIELD_ORDER);
  /** start · base^i for i < count, an even number. */
  const powers = (out: number, start: bigint, base: bigint, count: number) => {
    writePairOf(kernel.view, first, montgomery(start), montgomery(start * base));
    writePair(kernel.view, step, montgomery(base * base));
    kernel.run.powers(out, first, step, count / 2);
  };
  const lists = (root: (bits: number) => bigint): number => {
    const out = kernel.allocate((size / 2) * PAIR);
    let at = out;
    for (let half = 2; half < size; half *= 2) {
      powers(at, 1n, root(Math.log2(2 * half)), half);
      at += (half / 2) * PAIR;
    }
    return out;
  };
  const roots = lists(rootOfUnity);
  const inverseRoots = lists((order) => inverse(rootOfUnity(order)));
  const shifts = kernel.allocate((size / 2) * PAIR);
  powers(shifts, inverse(BigInt(size)), rootOfUnity(bits + 1), size);
  const order = kernel.allocate(4 * size);
  kernel.words(order, size).set(Uint32Array.from({ length: size }, (_, i) => reversed(i, bits)));
  return { size, roots, inverseRoots, shifts, order };
}
