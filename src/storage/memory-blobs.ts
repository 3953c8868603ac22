import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import type { BlobEntry, BlobStore } from './blobs.ts';

/** Blobs in memory: what the parts of one process hand each other. Whoever puts them deletes them. */
export class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<Hex, Uint8Array>();

  async put(bytes: Uint8Array): Promise<Hex> {
    const copy = bytes.slice();
    const hash = toHex(sha256(copy));
    this.#blobs.set(hash, copy);
    return hash;
  }

  async get(hash: Hex): Promise<Uint8Array> {
    const bytes = this.#blobs.get(hash);
    if (bytes !== undefined) return bytes;
    throw new GrailError('BLOB_MISSING', 'the blob is not in memory', { hash });
  }

  async has(hash: Hex): Promise<boolean> {
    return this.#blobs.has(hash);
  }

  async delete(hash: Hex): Promise<void> {
    this.#blobs.delete(hash);
  }

  async *list(): AsyncIterable<BlobEntry> {
    for (const hash of [...this.#blobs.keys()].sort()) yield { name: hash.slice(2), hash };
  }
}
