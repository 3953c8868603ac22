import { FRESH, FRESH_MARK, type HistoryHead, type Marks, MemoryMarks } from '../history.ts';
import type { TensorSpec } from '../tensor.ts';

/** A chain's history twice: as it is held, and as the patch at hand brings it forward. */
export class HistoryBuffers {
  readonly #specs: readonly TensorSpec[];
  #head: HistoryHead;
  /** Null until a patch or the caller brought marks. */
  #held: MemoryMarks | null;
  #staged: MemoryMarks | null = null;

  constructor(specs: readonly TensorSpec[], head: HistoryHead = FRESH, marks: MemoryMarks | null = null) {
    this.#specs = specs;
    this.#head = marks === null ? FRESH : head;
    this.#held = marks?.clone() ?? null;
  }

  get head(): HistoryHead {
    return this.#head;
  }

  /** Marks that belong to `head`; null for a fresh history. */
  get marks(): MemoryMarks | null {
    return this.#head.steps === 0 ? null : this.#held;
  }

  /** Marks for one patch, held ones or fresh ones. Nothing changes until `commit`. */
  stage(fresh: boolean): { marks: Marks; head: HistoryHead } {
    this.#staged ??= new MemoryMarks(this.#specs);
    const staged = this.#staged;
    const from = fresh ? null : this.marks;
    const marks: Marks = {
      read(index) {
        const array = staged.arrays[index]!;
        if (from === null) array.fill(FRESH_MARK);
        else array.set(from.arrays[index]!);
        return array;
      },
      write(index, bytes) {
        if (bytes !== staged.arrays[index]) staged.arrays[index]!.set(bytes);
      },
    };
    return { marks, head: from === null ? FRESH : this.#head };
  }

  /** Takes what was staged, or forgets everything when `head` is fresh. */
  commit(head: HistoryHead): void {
    this.#head = head;
    if (head.steps === 0) return;
    [this.#held, this.#staged] = [this.#staged, this.#held];
  }
}
