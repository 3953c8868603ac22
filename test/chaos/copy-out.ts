import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Ledger } from '../../src/ledger/log.ts';
import { openPostgres } from '../../src/storage/postgres/index.ts';
import { SqliteLedgerStore } from '../../src/storage/sqlite.ts';

const PAGE = 4_096;

/**
 * Copies a network from a database and a folder of blobs into a folder that `grail audit` reads.
 * @throws GrailError LEDGER_CORRUPT, STORAGE_UNAVAILABLE
 */
export async function copyOut(parts: {
  readonly database: string;
  readonly blobs: string;
  readonly folder: string;
}): Promise<void> {
  mkdirSync(parts.folder, { recursive: true });
  for (const suffix of ['', '.tmp']) {
    const folder = `${parts.blobs}${suffix}`;
    if (existsSync(folder)) cpSync(folder, join(parts.folder, `blobs${suffix}`), { recursive: true });
  }
  const database = openPostgres(parts.database);
  const genesisHash = await database.genesisHash();
  const ledger = new Ledger(SqliteLedgerStore.open(join(parts.folder, 'ledger.sqlite')), genesisHash);
  try {
    for (;;) {
      const entries = await database.read(ledger.size, PAGE);
      if (entries.length === 0) break;
      ledger.mirror({ entries, heads: [] });
    }
    ledger.mirror({ entries: [], heads: await database.heads(0) });
  } finally {
    ledger.close();
    await database.close();
  }
}
