import { randomUUID } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Hex } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { MAX_MANIFEST_BYTES, type Manifest } from '../pulse/chain/manifest.ts';
import type { BlobCache, Chunks, PulseStore } from '../pulse/chain/store.ts';
import { diskError, onDiskLater } from './disk-errors.ts';
import { hasCode, openPlainFile } from './plain-file.ts';
import { syncFolder } from './staged-file.ts';

/** Read in pieces of this size: runtimes refuse 2 GiB at once. */
const READ_BYTES = 16_777_216;

/**
 * A folder with one file a blob, named by the 64 hex digits of its SHA-256. Files appear whole or not at all, so that other
 * processes may read, write and delete in it at the same time: a cache that receivers share.
 */
export class FolderBlobCache implements BlobCache {
  readonly directory: string;
  readonly maxBytes: number;

  /** @param maxBytes of all blobs: the oldest go when there are more */
  constructor(directory: string, maxBytes: number = Number.POSITIVE_INFINITY) {
    this.directory = resolve(directory);
    this.maxBytes = maxBytes;
  }

  async getBlob(hash: Hex, bytes: number, signal?: AbortSignal): Promise<Chunks> {
    const file = await openPlainFile(this.#path(hash));
    if (file === null) {
      throw new GrailError('BLOB_MISSING', 'the blob is not in the folder: ask another relay', { hash });
    }
    try {
      // A file that is longer gives a byte too many, and the hash will not be right.
      const { size } = await file.stat();
      return await readChunks(file, Math.min(size, bytes + 1), signal);
    } catch (error) {
      throw diskError(error, this.#path(hash));
    } finally {
      await file.close();
    }
  }

  async putBlob(hash: Hex, chunks: Chunks, signal?: AbortSignal): Promise<void> {
    await appear(this.directory, this.#path(hash), chunks, rename, signal);
    if (this.maxBytes < Number.POSITIVE_INFINITY) await this.#trim(hash);
  }

  async deleteBlob(hash: Hex): Promise<void> {
    const path = this.#path(hash);
    await onDiskLater(path, () => rm(path, { force: true }));
  }

  async listBlobs(): Promise<readonly Hex[]> {
    const names = await namesIn(this.directory);
    return names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((name): Hex => `0x${name}`);
  }

  /** Length of a stored blob; null when there is none. */
  async sizeOf(hash: Hex): Promise<number | null> {
    return (await statOf(this.#path(hash)))?.size ?? null;
  }

  async #trim(keep: Hex): Promise<void> {
    const hashes = await this.listBlobs();
    const files = await Promise.all(
      hashes.map(async (hash) => ({ hash, stat: await statOf(this.#path(hash)) })),
    );
    let bytes = files.reduce((sum, { stat }) => sum + (stat?.size ?? 0), 0);
    for (const { hash, stat } of files.toSorted((a, b) => (a.stat?.mtimeMs ?? 0) - (b.stat?.mtimeMs ?? 0))) {
      if (bytes <= this.maxBytes) return;
      if (hash === keep || stat === null) continue;
      await this.deleteBlob(hash);
      bytes -= stat.size;
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

/**
 * A publisher's store in a folder: `blobs/` and `manifests/`, a file each. A manifest is made by a link that fails when its
 * sequence exists, after its blob is on the disk: readers in other processes see whole manifests of whole blobs.
 */
export class FolderPulseStore implements PulseStore {
  readonly directory: string;
  readonly #blobs: FolderBlobCache;
  readonly #manifests: string;

  constructor(directory: string) {
    this.directory = resolve(directory);
    this.#blobs = new FolderBlobCache(join(this.directory, 'blobs'));
    this.#manifests = join(this.directory, 'manifests');
  }

  async listManifests(from: number, signal?: AbortSignal): Promise<readonly unknown[]> {
    const sequences = await this.#sequences();
    const manifests: unknown[] = [];
    // From the end, by number: the oldest may be dropped meanwhile, and a listing may miss one that is just being made.
    for (let at = sequences.at(-1) ?? -1; at >= Math.max(from, sequences[0] ?? 0); at--) {
      signal?.throwIfAborted();
      const manifest = await readManifest(this.#path(at));
      if (manifest === null) break;
      manifests.push(manifest.value);
    }
    return manifests.reverse();
  }

  getBlob(hash: Hex, bytes: number, signal?: AbortSignal): Promise<Chunks> {
    return this.#blobs.getBlob(hash, bytes, signal);
  }

  putBlob(hash: Hex, chunks: Chunks, signal?: AbortSignal): Promise<void> {
    return this.#blobs.putBlob(hash, chunks, signal);
  }

  async appendManifest(manifest: Manifest, signal?: AbortSignal): Promise<void> {
    const { hash, bytes } = manifest.blob;
    if ((await this.#blobs.sizeOf(hash)) !== bytes) {
      throw new GrailError('BLOB_MISSING', 'the manifest’s blob is not in the store: put it there first', {
        hash,
      });
    }
    const { sequence } = manifest;
    try {
      await appear(this.#manifests, this.#path(sequence), [canonicalBytes(manifest)], link, signal);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      throw new GrailError('ALREADY_RUNNING', 'the log has gone on: another publisher writes it', {
        sequence,
      });
    }
  }

  async dropManifests(before: number): Promise<void> {
    for (const sequence of await this.#sequences()) {
      const path = this.#path(sequence);
      if (sequence < before) await onDiskLater(path, () => rm(path, { force: true }));
    }
  }

  listBlobs(): Promise<readonly Hex[]> {
    return this.#blobs.listBlobs();
  }

  deleteBlob(hash: Hex): Promise<void> {
    return this.#blobs.deleteBlob(hash);
  }

  /** Removes what a crash left half-written. For the publisher, before it opens the store. */
  async clearTemporary(): Promise<void> {
    for (const folder of [this.#blobs.directory, this.#manifests]) {
      const temporary = temporaryOf(folder);
      await onDiskLater(temporary, () => rm(temporary, { recursive: true, force: true }));
    }
  }

  async #sequences(): Promise<number[]> {
    const names = await namesIn(this.#manifests);
    return names
      .filter((name) => /^\d{13}\.json$/.test(name))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b);
  }

  #path(sequence: number): string {
    return join(this.#manifests, `${String(sequence).padStart(13, '0')}.json`);
  }
}

const temporaryOf = (folder: string) => `${folder}.tmp`;

/** Writes and syncs a file beside `folder`, then makes it appear as `path`. */
async function appear(
  folder: string,
  path: string,
  chunks: Chunks,
  show: (staged: string, path: string) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const staged = join(temporaryOf(folder), randomUUID());
  await onDiskLater(path, async () => {
    await mkdir(folder, { recursive: true });
    await mkdir(temporaryOf(folder), { recursive: true });
    try {
      const file = await open(staged, 'wx');
      try {
        for (const chunk of chunks) {
          signal?.throwIfAborted();
          await file.writeFile(chunk);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await show(staged, path);
    } finally {
      await rm(staged, { force: true });
    }
    syncFolder(folder);
  });
}

async function readChunks(
  file: FileHandle,
  size: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < size; ) {
    signal?.throwIfAborted();
    const chunk = new Uint8Array(Math.min(READ_BYTES, size - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
  return chunks;
}

/** Null when the file went away. @throws GrailError MANIFEST_INVALID */
async function readManifest(path: string): Promise<{ value: unknown } | null> {
  const file = await openPlainFile(path);
  if (file === null) return null;
  try {
    const chunks = await readChunks(file, MAX_MANIFEST_BYTES + 1, undefined);
    const bytes = chunks[0] ?? new Uint8Array(0);
    if (bytes.length > MAX_MANIFEST_BYTES) throw new SyntaxError('too long');
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch (error) {
    const cause = diskError(error, path);
    if (cause instanceof GrailError) throw cause;
    throw new GrailError('MANIFEST_INVALID', `${path} is not a manifest: ask another relay`, {}, { cause });
  } finally {
    await file.close();
  }
}

async function statOf(path: string): Promise<{ size: number; mtimeMs: number } | null> {
  return stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw diskError(error, path);
  });
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw diskError(error, folder);
  });
}
