import type { Hex } from '../protocol/bytes.ts';
import type { BlobEntry, BlobStore } from './blobs.ts';

/** What a cache holds unless told otherwise, in bytes. */
export const BLOB_CACHE_BYTES = 134_217_728;

/** What a blob counts beside its bytes, so that very many small ones are bounded too. */
const ENTRY_BYTES = 256;

/**
 * A memory of the blobs that were used last, in front of a store that is far away. It holds at most `maxBytes`; beyond them
 * there is only what is being fetched. Many who ask for one blob at a time cause one request. Failures are not remembered.
 */
export class CachedBlobStore implements BlobStore {
  readonly maxBytes: number;
  readonly #remote: BlobStore;
  /** In the order of use: the oldest first. */
  readonly #blobs = new Map<Hex, Uint8Array>();
  readonly #fetching = new Map<Hex, Promise<Uint8Array>>();
  #bytes = 0;

  constructor(remote: BlobStore, maxBytes: number = BLOB_CACHE_BYTES) {
    this.#remote = remote;
    this.maxBytes = maxBytes;
  }

  /** What the cache holds, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  async put(bytes: Uint8Array): Promise<Hex> {
    // The caller may reuse its buffer.
    const copy = bytes.slice();
    const hash = await this.#remote.put(copy);
    this.#keep(hash, copy);
    return hash;
  }

  async get(hash: Hex): Promise<Uint8Array> {
    const held = this.#blobs.get(hash);
    if (held !== undefined) {
      this.#keep(hash, held);
      return held;
    }
    return await (this.#fetching.get(hash) ?? this.#fetch(hash));
  }

  has(hash: Hex): Promise<boolean> {
    return this.#remote.has(hash);
  }

  async delete(hash: Hex): Promise<void> {
    await this.#remote.delete(hash);
    this.#drop(hash);
    this.#fetching.delete(hash);
  }

  list(): AsyncIterable<BlobEntry> {
    return this.#remote.list();
  }

  async #fetch(hash: Hex): Promise<Uint8Array> {
    const fetching = this.#remote.get(hash);
    this.#fetching.set(hash, fetching);
    // Another one stands there when it was deleted, and asked for again, meanwhile.
    const current = () => this.#fetching.get(hash) === fetching;
    try {
      const bytes = await fetching;
      if (current()) this.#keep(hash, bytes);
      return bytes;
    } finally {
      if (current()) this.#fetching.delete(hash);
    }
  }

  /** Makes it the one that was used last, and lets the oldest go. */
  #keep(hash: Hex, bytes: Uint8Array): void {
    this.#drop(hash);
    if (costOf(bytes) > this.maxBytes) return;
    this.#blobs.set(hash, bytes);
    this.#bytes += costOf(bytes);
    for (const oldest of this.#blobs.keys()) {
      if (this.#bytes <= this.maxBytes) return;
      this.#drop(oldest);
    }
  }

  #drop(hash: Hex): void {
    const bytes = this.#blobs.get(hash);
    if (bytes === undefined) return;
    this.#blobs.delete(hash);
    this.#bytes -= costOf(bytes);
  }
}

const costOf = (bytes: Uint8Array) => bytes.length + ENTRY_BYTES;
