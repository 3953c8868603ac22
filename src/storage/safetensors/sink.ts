import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GrailError } from '../../protocol/errors.ts';
import type { TensorSink, TensorSpec } from '../../pulse/index.ts';
import { StagedFile, syncFolder, temporaryBeside } from '../staged-file.ts';
import { PREFIX_BYTES } from './header.ts';
import { INDEX_NAME, type Layout, type Placement, placements } from './layout.ts';

/**
 * Writes a state as the files of a layout. They appear under their name with `commit`, all at once: a file is replaced,
 * a folder must be new or empty. `close` leaves no trace.
 */
export class SafetensorsSink implements TensorSink {
  readonly specs: readonly TensorSpec[];
  readonly #path: string;
  readonly #placements: readonly Placement[];
  readonly #files: StagedFile[] = [];
  readonly #written = new Set<number>();
  /** The folder that stands in for `path` until everything is there; null for a single file. */
  readonly #temporary: string | null;

  /** @throws GrailError NOT_FOUND, USAGE when the path cannot take it */
  constructor(path: string, layout: Layout) {
    this.#path = path;
    this.#placements = placements(layout);
    this.specs = this.#placements.map(({ spec }) => spec);
    this.#temporary = layout.folder ? newFolder(path) : null;
    try {
      for (const { name, header } of layout.files) {
        const file = this.#stage(name);
        const prefix = Buffer.alloc(PREFIX_BYTES);
        prefix.writeBigUInt64LE(BigInt(header.bytes.length));
        file.write(prefix);
        file.write(header.bytes);
      }
      if (layout.index !== null) this.#stage(INDEX_NAME).write(layout.index);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #stage(name: string): StagedFile {
    const file = new StagedFile(this.#temporary === null ? this.#path : join(this.#temporary, name));
    this.#files.push(file);
    return file;
  }

  write(index: number, bytes: Uint8Array): void {
    const place = this.#placements[index]!;
    if (bytes.length !== place.bytes) {
      throw new GrailError('TENSORS_INVALID', `tensor ${place.spec.name} has not the bytes of its shape`, {
        expected: place.bytes,
        got: bytes.length,
      });
    }
    this.#files[place.file]!.write(bytes, place.offset);
    this.#written.add(index);
  }

  /** Only when the state was verified. @throws GrailError TENSORS_INVALID when a tensor was not written */
  commit(): void {
    const missing = this.specs.findIndex((_, index) => !this.#written.has(index));
    if (missing >= 0) {
      throw new GrailError('TENSORS_INVALID', `tensor ${this.specs[missing]!.name} was not written`);
    }
    for (const file of this.#files) file.commit();
    if (this.#temporary === null) return;
    renameSync(this.#temporary, this.#path);
    syncFolder(dirname(this.#path));
  }

  /** Removes what was not committed; harmless afterwards. */
  close(): void {
    for (const file of this.#files) file.close();
    if (this.#temporary !== null) rmSync(this.#temporary, { recursive: true, force: true });
  }
}

function newFolder(path: string): string {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !(there.isDirectory() && readdirSync(path).length === 0)) {
    throw new GrailError(
      'USAGE',
      `${path} exists: a state of several files goes to a new folder, to which a link may be turned`,
      { path },
    );
  }
  const temporary = temporaryBeside(path);
  mkdirSync(temporary);
  return temporary;
}
