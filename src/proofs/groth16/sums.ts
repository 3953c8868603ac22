import { type Kernel, pointBytes } from './kernel.ts';
import type { PointTable } from './proving-key.ts';

/** Nanoseconds of an addition of points, and of one bucket when a window is summed: they set the windows' width. */
const ADDITION = 150;
const BUCKET = 600;
const SCALAR_BITS = 254;
const WIDEST_WINDOW = 13;

/** The upper words of r: a number that agrees with them is a small negative one. */
const UPPER = [0x30644e72, 0xe131a029] as const;

/** How many bits all scalars of a table have together; small negative ones count as their negatives. */
function totalBits(kernel: Kernel, { indices, count }: PointTable, scalars: number): number {
  const words = new Uint32Array(kernel.memory.buffer);
  let bits = 0;
  for (let i = 0; i < count; i++) {
    const at = scalars / 4 + 8 * words[indices / 4 + i]!;
    let word = 7;
    while (word >= 0 && words[at + word] === 0) word--;
    if (word < 0) continue;
    if (words[at + 7] === UPPER[0] && words[at + 6] === UPPER[1]) bits += 32;
    else bits += 32 * word + 32 - Math.clz32(words[at + word]!);
  }
  return bits;
}

/** The windows' width that costs least for so many bits. */
function windowBits(bits: number): number {
  const cost = (c: number) =>
    Math.ceil(SCALAR_BITS / c) * ((bits / SCALAR_BITS) * ADDITION + 2 ** (c - 1) * BUCKET);
  let best = 2;
  for (let c = 3; c <= WIDEST_WINDOW; c++) if (cost(c) < cost(best)) best = c;
  return best;
}

/** Bytes of work that any sum over the table needs. */
export function workBytesFor(kernel: Kernel, { degree, count }: PointTable): number {
  let most = 0;
  for (let c = 2; count > 0 && c <= WIDEST_WINDOW; c++) {
    most = Math.max(most, kernel.run.workBytes(degree, count, c));
  }
  return most;
}

/**
 * Part `part` of `parts` of the sum Σ scalar · point over a table, as an affine point at `out`; all parts add up to the sum. All zeros
 * stand for infinity.
 * @param scalars numbers of 32 bytes below r, to which the table's indices refer
 */
export function sumPart(
  kernel: Kernel,
  table: PointTable,
  scalars: number,
  out: number,
  work: number,
  part = 0,
  parts = 1,
): void {
  const { degree, count, indices } = table;
  if (count === 0) {
    kernel.bytes(out, pointBytes(degree)).fill(0);
    return;
  }
  const c = windowBits(totalBits(kernel, table, scalars));
  const windows = Math.ceil(SCALAR_BITS / c);
  const [begin, end] = [part, part + 1].map((i) => Math.round((i * windows) / parts)) as [number, number];
  kernel.run.sumOfMultiples(degree, out, table.table, indices, count, scalars, c, begin, end, work);
}
