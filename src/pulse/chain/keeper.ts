import { sameSpecs } from '../checks.ts';
import { MemoryTensors, type TensorSource } from '../tensor.ts';

/** How a publisher keeps states that the trainer goes on changing. */
export interface StateKeeper {
  /** Something that goes on reading as `source` does now. */
  keep(source: TensorSource): TensorSource;
  /** It is not read any more. */
  release(kept: TensorSource): void;
}

/** Copies in memory; one that was released is used again. */
export class MemoryKeeper implements StateKeeper {
  #spare: MemoryTensors | null = null;

  keep(source: TensorSource): TensorSource {
    const copy =
      this.#spare !== null && sameSpecs(this.#spare.specs, source.specs)
        ? this.#spare
        : new MemoryTensors(source.specs);
    this.#spare = null;
    for (let index = 0; index < source.specs.length; index++) copy.write(index, source.read(index));
    return copy;
  }

  release(kept: TensorSource): void {
    if (kept instanceof MemoryTensors) this.#spare = kept;
  }
}
