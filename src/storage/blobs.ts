import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { hasCode, openPlainFile } from './plain-file.ts';

/** Largest blob: a policy of sixteen of the largest layers fits, entropy-coded or not. */
export const MAX_BLOB_BYTES = 134_217_728;

/** Something found in a store. `hash` is null when its name is not that of a blob. */
export interface BlobEntry {
  readonly name: string;
  readonly hash: Hex | null;
}

/** Immutable bytes under their SHA-256. */
export interface BlobStore {
  /**
   * Stores bytes durably and gives their SHA-256. The same bytes again change nothing.
   * @throws GrailError TOO_LARGE
   */
  put(bytes: Uint8Array): Promise<Hex>;
  /** @throws GrailError BLOB_MISSING, BLOB_CORRUPT, or BAD_REQUEST when `hash` is not a hash. */
  get(hash: Hex): Promise<Uint8Array>;
  /** Whether something is stored under the hash; its bytes are not read. @throws GrailError BAD_REQUEST */
  has(hash: Hex): Promise<boolean>;
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
    if (bytes.length > this.maxBytes) {
      throw new GrailError('TOO_LARGE', `a blob may have at most ${this.maxBytes} bytes`, {
        got: bytes.length,
      });
    }
    // The caller may reuse its buffer while the disk is busy.
    const copy = bytes.slice();
    const hash = toHex(sha256(copy));
    if (await this.#holds(hash)) return hash;
    await mkdir(this.directory, { recursive: true });
    await mkdir(this.temporary, { recursive: true });
    const staged = join(this.temporary, randomUUID());
    try {
      const file = await open(staged, 'wx');
      try {
        await file.writeFile(copy);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(staged, this.#path(hash));
    } catch (error) {
      await rm(staged, { force: true });
      throw error;
    }
    await syncFolder(this.directory);
    return hash;
  }

  async get(hash: Hex): Promise<Uint8Array> {
    const path = this.#path(hash);
    const file = await openPlainFile(path);
    if (file === null) {
      throw new GrailError('BLOB_MISSING', 'the blob is not in the store: fetch it from another node', {
        hash,
      });
    }
    try {
      const { size } = await file.stat();
      if (size > this.maxBytes) throw corrupt(hash, `${size} bytes`);
      const bytes = new Uint8Array(await file.readFile());
      const got = toHex(sha256(bytes));
      if (got !== hash) throw corrupt(hash, got);
      return bytes;
    } finally {
      await file.close();
    }
  }

  async has(hash: Hex): Promise<boolean> {
    const file = await openPlainFile(this.#path(hash));
    await file?.close();
    return file !== null;
  }

  async *list(): AsyncIterable<BlobEntry> {
    const entries = await readdir(this.directory, { recursive: true, withFileTypes: true }).catch(absent);
    const names = (entries ?? [])
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .sort();
    for (const name of names) yield { name, hash: /^[0-9a-f]{64}$/.test(name) ? `0x${name}` : null };
  }

  /** Removes what a crash left in the temporary folder. For the one process that owns the store, before it writes. */
  async clearTemporary(): Promise<void> {
    await rm(this.temporary, { recursive: true, force: true });
  }

  /** Whether the blob is there and whole. A corrupt one is written again. */
  async #holds(hash: Hex): Promise<boolean> {
    try {
      await this.get(hash);
      return true;
    } catch (error) {
      if (error instanceof GrailError) return false;
      throw error;
    }
  }

  #path(hash: Hex): string {
    if (!/^0x[0-9a-f]{64}$/.test(hash)) {
      throw new GrailError(
        'BAD_REQUEST',
        'a blob’s name is the 64 lower-case hex digits of its SHA-256, after 0x',
      );
    }
    return join(this.directory, hash.slice(2));
  }
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

function corrupt(hash: Hex, got: string): GrailError {
  return new GrailError(
    'BLOB_CORRUPT',
    'a stored blob is not what its name says: delete it and fetch it again',
    {
      hash,
      got,
    },
  );
}

function absent(error: unknown): null {
  if (hasCode(error, 'ENOENT')) return null;
  throw error;
}
