import type { ChainStep } from './compare.ts';
import { AGES, ChangeHistory, DIRECTIONS } from './entropy.ts';

/** What is remembered of a group's changes from one update to the next. */
const KEPT = 0.9;
/** Changes that a group is given beforehand, as many as were expected. */
const INERTIA = 3;
export interface DensityBits {
  readonly chain: string;
  /** Bits a change for where changes are, given exponent, age and direction; and with a factor for each tensor, row, column. */
  readonly positions: number;
  readonly byTensor: number;
  readonly byRow: number;
  readonly byColumn: number;
  readonly byRowAndColumn: number;
}

/** Cells in groups, and how much more of each changed than was expected, up to now. */
class Groups {
  readonly #of: Uint32Array;
  readonly #came: Float64Array;
  readonly #expected: Float64Array;

  constructor(of: Uint32Array) {
    this.#of = of;
    const count = of.reduce((most, group) => Math.max(most, group), 0) + 1;
    this.#came = new Float64Array(count);
    this.#expected = new Float64Array(count);
  }

  factor(cell: number): number {
    const group = this.#of[cell]!;
    return (this.#came[group]! + INERTIA) / (this.#expected[group]! + INERTIA);
  }

  learn(expected: Float64Array, changed: Uint8Array): void {
    for (let group = 0; group < this.#came.length; group++) {
      this.#came[group]! *= KEPT;
      this.#expected[group]! *= KEPT;
    }
    for (let cell = 0; cell < changed.length; cell++) {
      this.#came[this.#of[cell]!]! += changed[cell]!;
      this.#expected[this.#of[cell]!]! += expected[cell]!;
    }
  }
}

/**
 * What the density of a weight's tensor, row and column would add to its exponent, age and direction: the entropy of where
 * changes are with a factor for each that earlier updates taught, over the last `counted` updates of a chain.
 */
export async function densityBits(
  chain: string,
  states: AsyncIterable<ChainStep>,
  { learnFrom, counted, last }: { learnFrom: number; counted: number; last: number },
): Promise<DensityBits> {
  let previous: Uint16Array | undefined;
  let history: ChangeHistory | undefined;
  let groups: { tensor: Groups; row: Groups; column: Groups } | undefined;
  const sums = new Float64Array(5);
  for await (const { step, state, tensors } of states) {
    if (previous === undefined || history === undefined) {
      history = new ChangeHistory(state.length);
      groups = groupsOf(tensors, state.length);
    } else {
      if (step > learnFrom) {
        const changed = state.map((pattern, cell) => (pattern === previous![cell] ? 0 : 1));
        const bytes = Uint8Array.from(changed);
        const expected = chances(previous, bytes, history);
        const { tensor, row, column } = groups!;
        if (step > last - counted) {
          const factors = [
            () => 1,
            (cell: number) => tensor.factor(cell),
            (cell: number) => row.factor(cell),
            (cell: number) => column.factor(cell),
            (cell: number) => (row.factor(cell) * column.factor(cell)) / tensor.factor(cell),
          ];
          for (const [i, factor] of factors.entries()) sums[i]! += bitsOf(expected, bytes, factor) / counted;
        }
        for (const group of [tensor, row, column]) group.learn(expected, bytes);
      }
      history.observe(previous, state);
      if (step === last) break;
    }
    previous = state.slice();
  }
  const [positions, byTensor, byRow, byColumn, byRowAndColumn] = sums as unknown as number[];
  return {
    chain,
    positions: positions!,
    byTensor: byTensor!,
    byRow: byRow!,
    byColumn: byColumn!,
    byRowAndColumn: byRowAndColumn!,
  };
}

function groupsOf(tensors: ChainStep['tensors'], size: number) {
  const [tensor, row, column] = [new Uint32Array(size), new Uint32Array(size), new Uint32Array(size)];
  let [at, firstRow, firstColumn] = [0, 0, 0];
  for (const [index, { dims }] of tensors.entries()) {
    const width = dims.at(-1) ?? 1;
    const cells = dims.reduce((product, dim) => product * dim, 1);
    for (let cell = 0; cell < cells; cell++) {
      tensor[at + cell] = index;
      row[at + cell] = firstRow + Math.floor(cell / width);
      column[at + cell] = firstColumn + (cell % width);
    }
    at += cells;
    firstRow += cells / width;
    firstColumn += width;
  }
  return { tensor: new Groups(tensor), row: new Groups(row), column: new Groups(column) };
}

/** Of each cell, the share of its context that changed in this update. */
function chances(base: Uint16Array, changed: Uint8Array, { ages, directions }: ChangeHistory): Float64Array {
  const context = (cell: number) =>
    (((base[cell]! >>> 7) & 0xff) * AGES + ages[cell]!) * DIRECTIONS + directions[cell]!;
  const cells = new Float64Array(256 * AGES * DIRECTIONS);
  const changes = new Float64Array(cells.length);
  for (let cell = 0; cell < base.length; cell++) {
    cells[context(cell)]! += 1;
    changes[context(cell)]! += changed[cell]!;
  }
  return Float64Array.from(base, (_, cell) => changes[context(cell)]! / cells[context(cell)]!);
}

function bitsOf(expected: Float64Array, changed: Uint8Array, factor: (cell: number) => number): number {
  let bits = 0;
  let count = 0;
  for (let cell = 0; cell < changed.length; cell++) {
    const chance = Math.min(Math.max(expected[cell]! * factor(cell), 1e-7), 1 - 1e-7);
    bits -= Math.log2(changed[cell] === 1 ? chance : 1 - chance);
    count += changed[cell]!;
  }
  return bits / count;
}
