import { type BigIntStats, closeSync, fstatSync } from 'node:fs';
import { GrailError } from '../../protocol/errors.ts';
import type { TensorSource, TensorSpec } from '../../pulse/index.ts';
import { readFully } from '../read-fully.ts';
import { type Layout, type Placement, placements } from './layout.ts';
import { openLayout } from './open.ts';

/**
 * The tensors of a .safetensors file, or of a folder of them, in ascending order of names (by UTF-16 code unit). One
 * tensor at a time is in memory.
 */
export class SafetensorsSource implements TensorSource {
  readonly path: string;
  readonly layout: Layout;
  readonly specs: readonly TensorSpec[];
  readonly #placements: readonly Placement[];
  readonly #descriptors: readonly number[];
  readonly #opened: readonly BigIntStats[];
  #buffer = new Uint8Array(0);

  /** @throws GrailError NOT_FOUND, TENSORS_INVALID */
  constructor(path: string) {
    this.path = path;
    const { layout, descriptors } = openLayout(path);
    this.layout = layout;
    this.#descriptors = descriptors;
    this.#opened = descriptors.map((descriptor) => fstatSync(descriptor, { bigint: true }));
    try {
      this.#placements = placements(layout);
    } catch (error) {
      this.close();
      throw error;
    }
    this.specs = this.#placements.map(({ spec }) => spec);
  }

  read(index: number): Uint8Array {
    const { spec, file, offset, bytes } = this.#placements[index]!;
    if (this.#buffer.length < bytes) this.#buffer = new Uint8Array(bytes);
    const target = this.#buffer.subarray(0, bytes);
    if (readFully(this.#descriptors[file]!, target, offset) < bytes) throw this.#changed(spec.name);
    return target;
  }

  /** Holds only when nobody has written to the files since they were opened. @throws GrailError TENSORS_INVALID */
  assertUnchanged(): void {
    for (const [i, descriptor] of this.#descriptors.entries()) {
      const before = this.#opened[i]!;
      const after = fstatSync(descriptor, { bigint: true });
      if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
        throw this.#changed(this.layout.files[i]!.name);
      }
    }
  }

  close(): void {
    for (const descriptor of this.#descriptors) closeSync(descriptor);
  }

  #changed(where: string): GrailError {
    return new GrailError(
      'TENSORS_INVALID',
      `${this.path} was written to while it was read: save to another file, then rename it`,
      { where },
    );
  }
}
