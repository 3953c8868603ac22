import type { Hex } from '../../src/protocol/bytes.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';

/** Stores that a worker keeps open: of the present lease, and of one that has just ended. */
const OPEN_STORES = 4;

/**
 * What jobs take and give, in a store for each lease of the sequencer: one that has lost its lease and does not know it yet
 * cannot delete what its successor needs.
 */
export class WorkStores {
  readonly #open: (epoch: number) => Promise<BlobStore>;
  readonly #all: BlobStore | null;
  readonly #stores = new Map<number, Promise<BlobStore>>();

  /**
   * @param open the store of an epoch
   * @param all lists the blobs of all epochs as `EPOCH/HASH`; null where there is but one
   */
  constructor(open: (epoch: number) => Promise<BlobStore>, all: BlobStore | null) {
    this.#open = open;
    this.#all = all;
  }

  /** The store of a lease. @throws GrailError STORAGE_UNAVAILABLE */
  of(epoch: number): Promise<BlobStore> {
    const known = this.#stores.get(epoch);
    if (known !== undefined) return known;
    const opened = this.#open(epoch);
    opened.catch(() => this.#stores.delete(epoch));
    this.#stores.set(epoch, opened);
    if (this.#stores.size > OPEN_STORES) this.#stores.delete(this.#stores.keys().next().value!);
    return opened;
  }

  /** What earlier leases left, the newest first. */
  async left(epoch: number): Promise<{ readonly epoch: number; readonly hash: Hex }[]> {
    const found: { epoch: number; hash: Hex }[] = [];
    if (this.#all === null) return found;
    for await (const { name } of this.#all.list()) {
      const [, number, digits] = /^(0|[1-9]\d{0,15})\/([0-9a-f]{64})$/.exec(name) ?? [];
      if (digits === undefined || Number(number) >= epoch) continue;
      found.push({ epoch: Number(number), hash: `0x${digits}` });
    }
    return found.sort((a, b) => b.epoch - a.epoch);
  }

  /** Deletes what earlier leases left; jobs whose kept results name it are other jobs by now. */
  async clear(epoch: number): Promise<void> {
    for (const { epoch: earlier, hash } of await this.left(epoch))
      await (await this.of(earlier)).delete(hash);
  }
}
