import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrailError } from '../protocol/errors.ts';
import type { LedgerDatabase } from '../storage/ledger-database.ts';
import { SqliteLedgerStore } from '../storage/sqlite.ts';
import { Ledger } from './log.ts';

/** Entries asked for at one time; the database gives fewer where they are large. */
const PAGE = 4_096;

/** A process's own copy of a shared ledger, which it reads from; it is made anew at every start and removed at the end. */
export interface LedgerMirror {
  readonly ledger: Ledger;
  /** Takes in what the database has more, and gives the number of entries. @throws GrailError LEDGER_CORRUPT, STORAGE_UNAVAILABLE */
  catchUp(): Promise<number>;
  close(): void;
}

/**
 * Copies a shared ledger.
 * @param onProgress hears how many entries are copied
 * @throws GrailError NOT_FOUND when the database holds no network; LEDGER_CORRUPT, STORAGE_UNAVAILABLE, STOPPED
 */
export async function openMirror(
  database: LedgerDatabase,
  options: { readonly signal: AbortSignal; readonly onProgress?: (entries: number) => void },
): Promise<LedgerMirror> {
  const genesisHash = await database.genesisHash();
  if (genesisHash === null) {
    throw new GrailError('NOT_FOUND', `${database.name} holds no network: make one with a sequencer first`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'grail-mirror-'));
  let ledger: Ledger | null = null;
  const close = () => {
    ledger?.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    ledger = new Ledger(
      SqliteLedgerStore.open(join(folder, 'ledger.sqlite'), { durable: false }),
      genesisHash,
    );
    await catchUp(ledger, database, options);
    const { signal } = options;
    return { ledger, catchUp: () => catchUp(ledger!, database, { signal }), close };
  } catch (error) {
    close();
    throw error;
  }
}

async function catchUp(
  ledger: Ledger,
  database: LedgerDatabase,
  options: { readonly signal: AbortSignal; readonly onProgress?: (entries: number) => void },
): Promise<number> {
  const before = ledger.size;
  // Heads first: what they are signed over was there before them.
  const heads = await database.heads(ledger.heads().length);
  for (;;) {
    const entries = await database.read(ledger.size, PAGE);
    if (entries.length === 0) break;
    if (options.signal.aborted) throw new GrailError('STOPPED', 'stopped while the ledger was copied');
    ledger.mirror({ entries, heads: [] });
    options.onProgress?.(ledger.size);
  }
  ledger.mirror({ entries: [], heads });
  return ledger.size - before;
}
