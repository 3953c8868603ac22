import type { TensorSpec } from './tensor.ts';
import { elementCount } from './tensor.ts';

/** What patches of a chain have taught encoder and decoder so far, besides the marks: some kilobytes. */
export interface HistoryHead {
  /** Patches since the reset; 0 when fresh. */
  readonly steps: number;
  /** Eight bytes that name this history; zeros when fresh. */
  readonly tag: Uint8Array;
  /** The codec's adaptive models; empty when fresh. */
  readonly models: Uint8Array;
}

/** The history of a state that no patch led to: an anchor's, or the first state of a chain. */
export const FRESH: HistoryHead = { steps: 0, tag: new Uint8Array(8), models: new Uint8Array(0) };

/** The mark of a weight that has not changed for 63 patches, or never. */
export const FRESH_MARK = 63;

/**
 * One byte a weight, in the order of the tensors: patches since it last changed (bits 0 to 5, at most 63), whether that change
 * went against the one before (bit 6), and whether it went down (bit 7).
 */
export interface Marks {
  /** Marks of tensor `index`. They are brought forward where they lie, then written back. */
  read(index: number): Uint8Array;
  write(index: number, marks: Uint8Array): void;
}

/** Marks in memory; fresh ones unless given. */
export class MemoryMarks implements Marks {
  readonly arrays: Uint8Array[];

  constructor(specs: readonly TensorSpec[], arrays?: readonly Uint8Array[]) {
    this.arrays =
      arrays === undefined
        ? specs.map((spec) => new Uint8Array(elementCount(spec)).fill(FRESH_MARK))
        : [...arrays];
  }

  read(index: number): Uint8Array {
    return this.arrays[index]!;
  }

  write(index: number, marks: Uint8Array): void {
    if (marks !== this.arrays[index]) this.arrays[index]!.set(marks);
  }

  clone(): MemoryMarks {
    return new MemoryMarks(
      [],
      this.arrays.map((array) => array.slice()),
    );
  }
}
