import type { BlobStore } from '../../src/storage/blobs.ts';
import type { LedgerDatabase, LedgerWriter } from '../../src/storage/ledger-database.ts';
import type { StorageMetrics } from './storage.ts';

/** A blob store whose operations are timed and counted. */
export function observeBlobs(store: BlobStore, metrics: StorageMetrics): BlobStore {
  const timed = <T>(operation: string, work: () => Promise<T>) => metrics.timed('blobs', operation, work);
  return {
    async put(bytes) {
      const hash = await timed('put', () => store.put(bytes));
      metrics.blobBytes('put', bytes.length);
      return hash;
    },
    async get(hash) {
      const bytes = await timed('get', () => store.get(hash));
      metrics.blobBytes('get', bytes.length);
      return bytes;
    },
    has: (hash) => timed('has', () => store.has(hash)),
    delete: (hash) => timed('delete', () => store.delete(hash)),
    list: () => store.list(),
  };
}

/** A ledger database whose operations are timed and counted, and whose lease is watched. */
export function observeDatabase(database: LedgerDatabase, metrics: StorageMetrics): LedgerDatabase {
  const timed = <T>(operation: string, work: () => Promise<T>) => metrics.timed('database', operation, work);
  return {
    name: database.name,
    genesisHash: () => timed('genesis', () => database.genesisHash()),
    create: (hash) => timed('create', () => database.create(hash)),
    read: (from, limit) => timed('read', () => database.read(from, limit)),
    heads: (from) => timed('heads', () => database.heads(from)),
    // Not timed: it waits for as long as another process lives.
    async acquire(options) {
      metrics.leaseGone();
      return observeWriter(await database.acquire(options), metrics);
    },
    close: () => database.close(),
  };
}

function observeWriter(writer: LedgerWriter, metrics: StorageMetrics): LedgerWriter {
  metrics.leaseAcquired(writer.epoch);
  void writer.lost.then(() => metrics.leaseGone());
  return {
    epoch: writer.epoch,
    lost: writer.lost,
    append: (batch) => metrics.timed('database', 'append', () => writer.append(batch)),
    async release() {
      await writer.release();
      metrics.leaseGone();
    },
  };
}
