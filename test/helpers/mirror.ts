import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger } from '../../src/ledger/log.ts';
import type { LedgerMirror } from '../../src/ledger/mirror.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { StoredEntry } from '../../src/storage/ledger-store.ts';
import { SqliteLedgerStore } from '../../src/storage/sqlite.ts';

/** A copy of a ledger of this process, as another process has one of a shared ledger. */
export class TestMirror implements LedgerMirror {
  readonly ledger: Ledger;
  /** While true the original cannot be reached. */
  away = false;
  readonly #original: Ledger;
  readonly #folder = mkdtempSync(join(tmpdir(), 'grail-test-mirror-'));

  constructor(original: Ledger) {
    this.#original = original;
    const store = SqliteLedgerStore.open(join(this.#folder, 'ledger.sqlite'), { durable: false });
    this.ledger = new Ledger(store, original.genesisHash);
    this.#take();
  }

  async catchUp(): Promise<number> {
    if (this.away) throw new GrailError('STORAGE_UNAVAILABLE', 'the database is away');
    return this.#take();
  }

  close(): void {
    this.ledger.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #take(): number {
    const entries: StoredEntry[] = [...this.#original.range(this.ledger.size)];
    const heads = this.#original.heads().slice(this.ledger.heads().length).map(canonicalBytes);
    this.ledger.mirror({ entries, heads });
    return entries.length;
  }
}
