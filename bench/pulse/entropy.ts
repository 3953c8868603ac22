import { zigzagSteps } from './rivals/value-codes.ts';

/** Ages from here on are one. */
const MAX_AGE = 12;
export const DIRECTIONS = 3;
export const AGES = MAX_AGE + 1;
const EXPONENTS = 256;
/** Larger value steps are one symbol. */
const MAX_STEPS = 255;

/** For each cell of a chain: updates since it last changed, and which way it went. */
export class ChangeHistory {
  /** 0: with the last update; MAX_AGE: long ago, or never. */
  readonly ages: Uint8Array;
  /** 0 down, 1 never, 2 up, by bit pattern. */
  readonly directions: Uint8Array;

  constructor(size: number) {
    this.ages = new Uint8Array(size).fill(MAX_AGE);
    this.directions = new Uint8Array(size).fill(1);
  }

  /** Takes the update from `before` to `after` into account. */
  observe(before: Uint16Array, after: Uint16Array): void {
    const { ages, directions } = this;
    for (let i = 0; i < before.length; i++) {
      const [old, now] = [before[i]!, after[i]!];
      if (old === now) {
        if (ages[i]! < MAX_AGE) ages[i]!++;
      } else {
        ages[i] = 0;
        directions[i] = now > old ? 2 : 0;
      }
    }
  }
}

/** Bits of one update in all: which cells change, and by how many steps. */
export interface Bits {
  readonly index: number;
  readonly value: number;
}

export interface EntropyBounds {
  readonly size: number;
  readonly changed: number;
  /** Cells and steps independent of everything. */
  readonly independent: Bits;
  /** Cells given the old exponent, steps independent: what PULSEPT1 v3 aims at. */
  readonly exponent: Bits;
  /** Cells and steps given the old exponent and the age and direction of the cell's last change. */
  readonly history: Bits;
}

/**
 * Empirical entropies of the update from `base` to `target`: what an ideal coder would take that knew the frequencies in
 * each context beforehand. A coder that has to learn them takes more, one that sees more of the base may take less.
 * @param history of the updates up to `base`
 */
export function entropyBounds(base: Uint16Array, target: Uint16Array, history: ChangeHistory): EntropyBounds {
  const exponent = (i: number) => (base[i]! >>> 7) & 0xff;
  const { ages, directions } = history;
  const all = contextEntropy(base, target, 1, () => 0);
  const byExponent = contextEntropy(base, target, EXPONENTS, exponent);
  const byHistory = contextEntropy(
    base,
    target,
    EXPONENTS * AGES * DIRECTIONS,
    (i) => (exponent(i) * AGES + ages[i]!) * DIRECTIONS + directions[i]!,
  );
  return {
    size: base.length,
    changed: all.changed,
    independent: all.bits,
    exponent: { index: byExponent.bits.index, value: all.bits.value },
    history: byHistory.bits,
  };
}

/** Entropy of the cells and of their steps given a context of each cell. */
function contextEntropy(
  base: Uint16Array,
  target: Uint16Array,
  contexts: number,
  contextOf: (i: number) => number,
): { changed: number; bits: Bits } {
  const cells = new Uint32Array(contexts);
  const steps = new Uint32Array(contexts * (MAX_STEPS + 1));
  for (let i = 0; i < base.length; i++) {
    const context = contextOf(i);
    cells[context]!++;
    if (base[i] === target[i]) continue;
    steps[context * (MAX_STEPS + 1) + Math.min(zigzagSteps(base[i]!, target[i]!), MAX_STEPS)]!++;
  }
  let [changed, index, value] = [0, 0, 0];
  for (const [context, size] of cells.entries()) {
    const counts = steps.subarray(context * (MAX_STEPS + 1), (context + 1) * (MAX_STEPS + 1));
    const moved = counts.reduce((sum, count) => sum + count, 0);
    changed += moved;
    index += selfInformation([moved, size - moved]);
    value += selfInformation(counts);
  }
  return { changed, bits: { index, value } };
}

/** Bits of a sequence with these symbol counts under its own frequencies. */
function selfInformation(counts: Iterable<number>): number {
  let [total, sum] = [0, 0];
  for (const count of counts) {
    if (count === 0) continue;
    total += count;
    sum += count * Math.log2(count);
  }
  return total === 0 ? 0 : total * Math.log2(total) - sum;
}
