import { type Hex, toHex } from '../../protocol/bytes.ts';
import { sha256 } from '../../protocol/hash.ts';
import type { ByteSource } from '../tensor.ts';
import type { Manifest } from './manifest.ts';

/** Bytes in pieces, none of them near the 2 GiB that runtimes refuse. */
export type Chunks = readonly Uint8Array[];

/** What receivers read. Nothing of it is trusted: manifests are verified, blobs hashed. */
export interface PulseReader {
  /** The log's manifests from a sequence on, in order, as far as they are kept. */
  listManifests(from: number, signal?: AbortSignal): Promise<readonly unknown[]>;
  /**
   * @param bytes its length, so that a longer answer can be cut off
   * @throws GrailError BLOB_MISSING
   */
  getBlob(hash: Hex, bytes: number, signal?: AbortSignal): Promise<Chunks>;
}

/** What a publisher writes: a bucket, a folder, memory. One publisher a store. */
export interface PulseStore extends PulseReader {
  /** Durable when it returns. The same blob again replaces one that is torn. */
  putBlob(hash: Hex, chunks: Chunks, signal?: AbortSignal): Promise<void>;
  /**
   * Durable, and visible to all at once, when it returns.
   * @throws GrailError ALREADY_RUNNING when the log has a manifest of this sequence
   */
  appendManifest(manifest: Manifest, signal?: AbortSignal): Promise<void>;
  /** Forgets the manifests before a sequence, oldest first. */
  dropManifests(before: number): Promise<void>;
  /** Every blob that is stored, whether a manifest names it or not. */
  listBlobs(): Promise<readonly Hex[]>;
  /** The blob may be gone already. */
  deleteBlob(hash: Hex): Promise<void>;
}

/** The blobs of a store alone: what receivers share as a cache. */
export type BlobCache = Pick<PulseStore, 'getBlob' | 'putBlob' | 'deleteBlob'>;

export function chunksBytes(chunks: Chunks): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** SHA-256 of all of them together. */
export function chunksHash(chunks: Chunks): Hex {
  return toHex(sha256(...chunks));
}

export function chunkSource(chunks: Chunks): ByteSource {
  let index = 0;
  let at = 0;
  return {
    take(max) {
      while (index < chunks.length && at === chunks[index]!.length) {
        index++;
        at = 0;
      }
      const part = chunks[index]?.subarray(at, at + max) ?? new Uint8Array(0);
      at += part.length;
      return part;
    },
  };
}

/** Pieces of this size: few enough to pass to a hash, small enough to allocate. */
const CHUNK_BYTES = 4_194_304;

/** Collects small pieces, which it copies, into large ones. */
export class ChunkWriter {
  readonly #full: Uint8Array[] = [];
  #last = new Uint8Array(65_536);
  #used = 0;

  write(piece: Uint8Array): void {
    for (let rest = piece; rest.length > 0; ) {
      if (this.#used === this.#last.length) this.#grow();
      const part = rest.subarray(0, this.#last.length - this.#used);
      this.#last.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
    }
  }

  chunks(): Uint8Array[] {
    return [...this.#full, this.#last.subarray(0, this.#used)];
  }

  #grow(): void {
    if (this.#last.length < CHUNK_BYTES) {
      const larger = new Uint8Array(Math.min(4 * this.#last.length, CHUNK_BYTES));
      larger.set(this.#last);
      this.#last = larger;
      return;
    }
    this.#full.push(this.#last);
    this.#last = new Uint8Array(CHUNK_BYTES);
    this.#used = 0;
  }
}
