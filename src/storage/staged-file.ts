import { randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GrailError } from '../protocol/errors.ts';
import { onDisk } from './disk-errors.ts';

/** Node takes no write of 2 GiB. */
const PART = 1 << 28;

/** @throws GrailError NOT_FOUND unless the folder in which `path` will be is there */
export function requireFolder(path: string): void {
  const folder = dirname(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new GrailError('NOT_FOUND', `there is no folder ${folder}: make it first`, { folder });
}

/** A hidden name beside `path` that nobody else has. @throws GrailError NOT_FOUND without a folder for it */
export function temporaryBeside(path: string): string {
  requireFolder(path);
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
}

/** Writes all of it. Without a position, where the last write ended. */
export function writeFully(descriptor: number, bytes: Uint8Array, position: number | null = null): void {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(PART, bytes.length - done);
    done += writeSync(descriptor, bytes, done, length, position === null ? null : position + done);
  }
}

/** Makes renames in a folder durable. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * A file that appears under its name whole or not at all: written beside it, synced, then renamed. Every call throws
 * STORAGE_UNAVAILABLE when the disk takes nothing.
 */
export class StagedFile {
  readonly path: string;
  readonly temporary: string;
  readonly descriptor: number;
  #open = true;
  #committed = false;

  /** @throws GrailError NOT_FOUND when its folder is missing, USAGE when it is a folder itself */
  constructor(path: string, temporary: string = temporaryBeside(path)) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new GrailError('USAGE', `${path} is a folder: name a file`, { path });
    }
    this.path = path;
    this.temporary = temporary;
    this.descriptor = onDisk(path, () => openSync(temporary, 'w+'));
  }

  write(bytes: Uint8Array, position: number | null = null): void {
    onDisk(this.path, () => writeFully(this.descriptor, bytes, position));
  }

  /** Makes its bytes durable, still under the temporary name. */
  finish(): void {
    if (!this.#open) return;
    onDisk(this.path, () => fsyncSync(this.descriptor));
    this.#release();
  }

  commit(): void {
    this.finish();
    onDisk(this.path, () => renameSync(this.temporary, this.path));
    this.#committed = true;
    onDisk(this.path, () => syncFolder(dirname(this.path)));
  }

  /** Removes what was not committed; harmless afterwards. */
  close(): void {
    this.#release();
    if (!this.#committed) rmSync(this.temporary, { force: true });
  }

  #release(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.descriptor);
  }
}
