import { openLedger } from '../src/ledger/log.ts';
import { genesisHash } from '../src/params/genesis.ts';
import { canonicalBytes } from '../src/protocol/canonical.ts';
import type { BlobStore } from '../src/storage/blobs.ts';
import type { LedgerDatabase } from '../src/storage/ledger-database.ts';
import type { NetworkDirectory } from './directory.ts';
import type { Log } from './log.ts';

/** Entries of one transaction. */
const BATCH = 32;
/** How long the copy waits for another that is under way. */
const LEASE_MS = 30_000;

/**
 * Copies the network of a folder, which one process ran, to where several meet: blobs, then entries and heads. What is there
 * already stays, so one that was killed in the middle is finished by the next.
 * @throws GrailError ALREADY_RUNNING while a process runs the folder; GENESIS_MISMATCH or LEDGER_CORRUPT when the database
 *   holds something else; STORAGE_UNAVAILABLE
 */
export async function importNetwork(
  directory: NetworkDirectory,
  {
    database,
    blobs,
    log,
    signal,
  }: { database: LedgerDatabase; blobs: BlobStore; log: Log; signal: AbortSignal },
): Promise<void> {
  const hash = genesisHash(directory.genesis());
  const ledger = openLedger(directory.ledgerPath, hash);
  try {
    await database.create(hash);
    if ((await database.read(ledger.size - 1, 1)).length > 0) return;
    for await (const { hash: blob } of directory.blobs.list()) {
      if (blob !== null) await blobs.put(await directory.blobs.get(blob));
    }
    const writer = await database.acquire({ holder: 'import', ttlMs: LEASE_MS, signal });
    try {
      for (let from = 0; from < ledger.size; from += BATCH) {
        const entries = [...ledger.range(from, BATCH)];
        const last = from + BATCH >= ledger.size;
        await writer.append({ entries, heads: last ? ledger.heads().map(canonicalBytes) : [] });
      }
    } finally {
      await writer.release();
    }
    log.info('copied the network of this folder', { entries: ledger.size, database: database.name });
  } finally {
    ledger.close();
  }
}
