import type { Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { type Chunks, chunksBytes, chunksHash, type PulseReader } from './store.ts';

export interface PrefetchLimits {
  /** Blobs to fetch before they are asked for. */
  readonly blobs: number;
  /** Bytes of them together; one is always fetched when it is asked for. */
  readonly bytes: number;
}

/** Fetches blobs of a plan in order, the next ones while the one at hand is applied. */
export class Prefetch {
  readonly #reader: PulseReader;
  readonly #plan: readonly { readonly hash: Hex; readonly bytes: number }[];
  readonly #limits: PrefetchLimits;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #fetching: Promise<Chunks>[] = [];
  #next = 0;

  constructor(
    reader: PulseReader,
    plan: readonly { readonly hash: Hex; readonly bytes: number }[],
    limits: PrefetchLimits,
    signal: AbortSignal | undefined,
  ) {
    this.#reader = reader;
    this.#plan = plan;
    this.#limits = limits;
    this.#signal = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
  }

  /** The plan's next blob. @throws GrailError BLOB_MISSING, BLOB_CORRUPT, or what the reader throws */
  async next(): Promise<Chunks> {
    const index = this.#next++;
    if (this.#fetching.length === index) this.#start();
    this.#ahead();
    const chunks = await this.#fetching[index]!;
    // Its memory is the caller's now.
    this.#fetching[index] = GONE;
    return chunks;
  }

  /** Ends what is under way. */
  close(): void {
    this.#stop.abort();
  }

  #ahead(): void {
    const sizes = this.#plan.map(({ bytes }) => bytes);
    let waiting = sizes.slice(this.#next, this.#fetching.length).reduce((sum, bytes) => sum + bytes, 0);
    for (;;) {
      const index = this.#fetching.length;
      if (index >= this.#plan.length || index - this.#next >= this.#limits.blobs) return;
      waiting += sizes[index]!;
      if (waiting > this.#limits.bytes) return;
      this.#start();
    }
  }

  #start(): void {
    const { hash, bytes } = this.#plan[this.#fetching.length]!;
    const blob = fetchBlob(this.#reader, hash, bytes, this.#signal);
    // Whoever asks for it gets the failure; nobody may.
    blob.catch(() => undefined);
    this.#fetching.push(blob);
  }
}

const GONE: Promise<Chunks> = Promise.resolve([]);

/** A blob with the hash and length that its manifest names. @throws GrailError BLOB_MISSING, BLOB_CORRUPT */
export async function fetchBlob(
  reader: Pick<PulseReader, 'getBlob'>,
  hash: Hex,
  bytes: number,
  signal?: AbortSignal,
): Promise<Chunks> {
  signal?.throwIfAborted();
  const chunks = await reader.getBlob(hash, bytes, signal);
  signal?.throwIfAborted();
  requireBlob(chunks, hash, bytes);
  return chunks;
}

/** @throws GrailError BLOB_CORRUPT when a blob has not the hash and length that name it */
export function requireBlob(chunks: Chunks, hash: Hex, bytes: number): void {
  const got = chunksBytes(chunks);
  // A wrong length needs no hash to be told from the right blob.
  if (got === bytes && chunksHash(chunks) === hash) return;
  throw new GrailError('BLOB_CORRUPT', 'a blob does not have the hash that names it: fetch it elsewhere', {
    hash,
    expected: `${bytes} bytes`,
    got: `${got} bytes with hash ${chunksHash(chunks)}`,
  });
}
