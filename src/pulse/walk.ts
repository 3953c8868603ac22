import { GrailError } from '../protocol/errors.ts';
import { BLOCK, Kernel } from './kernel.ts';
import { byteLength, type TensorSpec } from './tensor.ts';

/** What every walk over tensors needs: a kernel, blocks, memory for one tensor, and someone who watches. */

/** What is told while tensors are worked on. */
export interface Watch {
  /** After tensor `index`: bytes of all tensors up to it. */
  readonly onTensor?: ((index: number, bytesDone: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Memory for one tensor at a time. */
export class Scratch {
  #bytes = new Uint8Array(0);

  /** @throws GrailError TOO_LARGE when the runtime has no array of so many bytes */
  of(length: number): Uint8Array {
    try {
      if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    } catch (cause) {
      throw new GrailError(
        'TOO_LARGE',
        'a tensor is larger than this runtime’s arrays',
        { got: length },
        { cause },
      );
    }
    return this.#bytes.subarray(0, length);
  }
}

export class Progress {
  readonly #specs: readonly TensorSpec[];
  readonly #watch: Watch;
  #bytes = 0;

  constructor(specs: readonly TensorSpec[], watch: Watch) {
    this.#specs = specs;
    this.#watch = watch;
  }

  done(index: number): void {
    this.#bytes += byteLength(this.#specs[index]!);
    this.#watch.onTensor?.(index, this.#bytes);
    this.#watch.signal?.throwIfAborted();
  }
}

export function withKernel<T>(run: (kernel: Kernel) => T): T {
  const kernel = Kernel.acquire();
  let reusable = true;
  try {
    return run(kernel);
  } catch (error) {
    reusable = error instanceof GrailError;
    throw error;
  } finally {
    // Every use starts from nothing, so a refused patch costs no kernel; one that trapped is left to the collector.
    if (reusable) kernel.release();
  }
}

export function forBlocks(count: number, run: (at: number, size: number) => void): void {
  for (let at = 0; at < count; at += BLOCK) run(at, Math.min(BLOCK, count - at));
}
