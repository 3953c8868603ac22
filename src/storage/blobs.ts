import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { onDiskLater } from './disk-errors.ts';
import { hasCode, openPlainFile } from './plain-file.ts';

/** Largest blob: a policy of sixteen of the largest layers fits, entropy-coded or not. */
export const MAX_BLOB_BYTES = 134_217_728;

/** Something found in a store. `hash` is null when its name is not that of a blob. */
export interface BlobEntry {
  readonly name: string;
  readonly hash: Hex | null;
}

/** Immutable bytes under their SHA-256. Every call throws STORAGE_UNAVAILABLE when the disk or the server takes nothing now. */
export interface BlobStore {
  /**
   * Stores bytes durably and gives their SHA-256. The same bytes again change nothing.
   * @throws GrailError TOO_LARGE
   */
  put(bytes: Uint8Array): Promise<Hex>;
  /**
   * The bytes of a blob: never to be written to, a cache gives the same to everybody.
   * @throws GrailError BLOB_MISSING, BLOB_CORRUPT, or BAD_REQUEST when `hash` is not a hash.
   */
  get(hash: Hex): Promise<Uint8Array>;
  /** Whether something is stored under the hash; its bytes are not read. @throws GrailError BAD_REQUEST */
  has(hash: Hex): Promise<boolean>;
  /** Removes a blob; one that is not there changes nothing. @throws GrailError BAD_REQUEST */
  delete(hash: Hex): Promise<void>;
  /** Everything in the store in the order of names, files that are not blobs included. */
  list(): AsyncIterable<BlobEntry>;
}

/**
 * A folder with one file a blob, named by the 64 hex digits of its SHA-256. A file appears there whole or not at all:
 * it is written and synced in a sibling folder `DIRECTORY.tmp`, then renamed.
 */
export class FolderBlobStore implements BlobStore {
  readonly directory: string;
  readonly temporary: string;
  readonly maxBytes: number;

  constructor(directory: string, maxBytes: number = MAX_BLOB_BYTES) {
    this.directory = resolve(directory);
    this.temporary = `${this.directory}.tmp`;
    this.maxBytes = maxBytes;
  }

  async put(bytes: Uint8Array): Promise<Hex> {
    checkSize(bytes, this.maxBytes);
    // The caller may reuse its buffer while the disk is busy.
    const copy = bytes.slice();
    const hash = toHex(sha256(copy));
    const path = this.#path(hash);
    // A blob that is there may be so by a rename that no sync has made durable yet.
    const there = await this.#holds(hash);
    await onDiskLater(path, () => (there ? syncFolder(this.directory) : this.#write(copy, path)));
    return hash;
  }

  async get(hash: Hex): Promise<Uint8Array> {
    const path = this.#path(hash);
    const file = await openPlainFile(path);
    if (file === null) throw missing(hash);
    try {
      const { size } = await file.stat();
      if (size > this.maxBytes) throw corrupt(hash, `${size} bytes`);
      return checkBlob(hash, new Uint8Array(await onDiskLater(path, () => file.readFile())));
    } finally {
      await file.close();
    }
  }

  async has(hash: Hex): Promise<boolean> {
    const file = await openPlainFile(this.#path(hash));
    await file?.close();
    return file !== null;
  }

  async delete(hash: Hex): Promise<void> {
    // What has the name of a blob and is none, a link or a folder, stays.
    const path = this.#path(hash);
    if (await this.has(hash)) await onDiskLater(path, () => rm(path, { force: true }));
  }

  async *list(): AsyncIterable<BlobEntry> {
    const options = { recursive: true, withFileTypes: true } as const;
    const entries = await onDiskLater(this.directory, () => readdir(this.directory, options).catch(absent));
    const names = (entries ?? [])
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .sort();
    for (const name of names) yield blobEntry(name);
  }

  /** Removes what a crash left in the temporary folder. For the one process that owns the store, before it writes. */
  async clearTemporary(): Promise<void> {
    await onDiskLater(this.temporary, () => rm(this.temporary, { recursive: true, force: true }));
  }

  async #write(bytes: Uint8Array, path: string): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    await mkdir(this.temporary, { recursive: true });
    const staged = join(this.temporary, randomUUID());
    try {
      const file = await open(staged, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(staged, path);
    } catch (error) {
      await rm(staged, { force: true });
      throw error;
    }
    await syncFolder(this.directory);
  }

  /** Whether the blob is there and whole. A corrupt one is written again. */
  async #holds(hash: Hex): Promise<boolean> {
    try {
      await this.get(hash);
      return true;
    } catch (error) {
      if (error instanceof GrailError && error.code !== 'STORAGE_UNAVAILABLE') return false;
      throw error;
    }
  }

  #path(hash: Hex): string {
    return join(this.directory, blobName(hash));
  }
}

/** The name under which a blob is stored: its hash without 0x. @throws GrailError BAD_REQUEST */
export function blobName(hash: Hex): string {
  if (!/^0x[0-9a-f]{64}$/.test(hash)) {
    throw new GrailError(
      'BAD_REQUEST',
      'a blob’s name is the 64 lower-case hex digits of its SHA-256, after 0x',
    );
  }
  return hash.slice(2);
}

export function blobEntry(name: string): BlobEntry {
  return { name, hash: /^[0-9a-f]{64}$/.test(name) ? `0x${name}` : null };
}

/** @throws GrailError TOO_LARGE */
export function checkSize(bytes: Uint8Array, maxBytes: number): void {
  if (bytes.length <= maxBytes) return;
  throw new GrailError('TOO_LARGE', `a blob may have at most ${maxBytes} bytes`, { got: bytes.length });
}

/** Gives the bytes when they are the blob of this name. @throws GrailError BLOB_CORRUPT */
export function checkBlob(hash: Hex, bytes: Uint8Array): Uint8Array {
  const got = toHex(sha256(bytes));
  if (got !== hash) throw corrupt(hash, got);
  return bytes;
}

/** Makes a rename durable. */
async function syncFolder(path: string): Promise<void> {
  for (const folder of [path, dirname(path)]) {
    const handle = await open(folder, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

export function missing(hash: Hex): GrailError {
  return new GrailError('BLOB_MISSING', 'the blob is not in the store: fetch it from another node', { hash });
}

/** @param got what is there instead */
export function corrupt(hash: Hex, got: string): GrailError {
  return new GrailError(
    'BLOB_CORRUPT',
    'a stored blob is not what its name says: delete it and fetch it again',
    { hash, got },
  );
}

function absent(error: unknown): null {
  if (hasCode(error, 'ENOENT')) return null;
  throw error;
}
