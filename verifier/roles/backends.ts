import type { Genesis } from '../../src/params/genesis.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import { BLOB_CACHE_BYTES, CachedBlobStore } from '../../src/storage/cached-blobs.ts';
import type { LedgerDatabase } from '../../src/storage/ledger-database.ts';
import { MemoryBlobStore } from '../../src/storage/memory-blobs.ts';
import { openBlobStore, type StoragePlace, type StorageRole } from '../../src/storage/open-storage.ts';
import { formatS3Url, parseS3Url } from '../../src/storage/s3/index.ts';
import type { Bus } from '../bus/bus.ts';
import { createInProcessBus } from '../bus/in-process.ts';
import type { NetworkDirectory } from '../directory.ts';
import { busNamespace } from '../jobs/distributed-judge.ts';
import { WorkStores } from '../jobs/work-stores.ts';

/** Where a verifier keeps things; null is its own folder, or its own process. */
export type Places = Readonly<Record<StorageRole, StoragePlace | null>>;

export const EMBEDDED: Places = { database: null, blobs: null, bus: null };

/** Opens the shared ledger database, where there is one. @throws GrailError USAGE, STORAGE_UNAVAILABLE */
export async function openDatabase({ database }: Places): Promise<LedgerDatabase | null> {
  if (database === null) return null;
  // Loaded where it is used: a verifier of one process starts without it.
  const { openPostgres } = await import('../../src/storage/postgres/index.ts');
  return openPostgres(database.url);
}

/** The network's blobs. @throws GrailError USAGE, STORAGE_UNAVAILABLE */
export async function openBlobs({ blobs }: Places, directory: NetworkDirectory): Promise<BlobStore> {
  if (blobs === null) return directory.blobs;
  const store = await openBlobStore(blobs.url);
  return blobs.kind === 's3' ? new CachedBlobStore(store, BLOB_CACHE_BYTES) : store;
}

/**
 * What processes of the verifier hand each other: beside the network's blobs, since no entry of the ledger names it; in memory
 * where there is one process.
 * @throws GrailError USAGE, STORAGE_UNAVAILABLE
 */
export async function openWork(places: Places, genesis: Genesis): Promise<WorkStores> {
  if (places.bus === null || places.blobs === null) {
    const memory = new MemoryBlobStore();
    return new WorkStores(async () => memory, null);
  }
  const { blobs } = places;
  const place = (...folders: string[]) => workPlace(blobs, [busNamespace(genesis), ...folders].join('/'));
  return new WorkStores(
    async (epoch) => new CachedBlobStore(await openBlobStore(place(String(epoch)))),
    await openBlobStore(place()),
  );
}

function workPlace(blobs: StoragePlace, folder: string): string {
  if (blobs.kind === 'folder') return `${blobs.url}-work/${folder}`;
  const location = parseS3Url(blobs.url);
  if (location.prefix === '') {
    throw new GrailError('USAGE', '--blobs needs a prefix, s3://BUCKET/PREFIX: other things lie beside it', {
      flag: '--blobs',
    });
  }
  return formatS3Url({ ...location, prefix: `${location.prefix}-work/${folder}` });
}

/** @throws GrailError USAGE, UNREACHABLE */
export async function openBus(
  { bus }: Places,
  genesis: Genesis,
  name: string,
  signal: AbortSignal,
): Promise<Bus> {
  if (bus === null) return createInProcessBus();
  const { connectNats } = await import('../bus/nats.ts');
  return connectNats(bus.url, { name, namespace: busNamespace(genesis), signal });
}
