import type { Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { fetchBlob } from './prefetch.ts';
import type { BlobCache, Chunks, PulseReader } from './store.ts';

/**
 * A reader that looks into a cache before it asks another one. Several receivers may share the cache: a blob in it that is
 * not what its name says is fetched again, and only sound ones are put there.
 */
export class CachedReader implements PulseReader {
  readonly #remote: PulseReader;
  readonly #cache: BlobCache;

  constructor(remote: PulseReader, cache: BlobCache) {
    this.#remote = remote;
    this.#cache = cache;
  }

  listManifests(from: number, signal?: AbortSignal): Promise<readonly unknown[]> {
    return this.#remote.listManifests(from, signal);
  }

  async getBlob(hash: Hex, bytes: number, signal?: AbortSignal): Promise<Chunks> {
    try {
      return await fetchBlob(this.#cache, hash, bytes, signal);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
    }
    const chunks = await fetchBlob(this.#remote, hash, bytes, signal);
    // A full disk is no reason to do without the blob.
    await this.#cache.putBlob(hash, chunks, signal).catch(() => undefined);
    return chunks;
  }
}
