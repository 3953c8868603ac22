import { setTimeout as sleep } from 'node:timers/promises';
import { equalBytes, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { LedgerDatabase, LedgerWriter } from '../ledger-database.ts';
import type { StoredEntry } from '../ledger-store.ts';
import { PostgresConnection } from './connection.ts';
import { mayPass } from './errors.ts';
import { readEntries, readHeads } from './rows.ts';
import { checkVersion, creation } from './schema.ts';
import { PostgresWriter } from './writer.ts';

/** Longest wait between two looks at a lease that is held. */
const LOOK_MS = 250;

/** A ledger in PostgreSQL (12 or newer), in a schema of its own. */
export class PostgresLedgerDatabase implements LedgerDatabase {
  readonly name: string;
  readonly #connection: PostgresConnection;

  constructor(connection: PostgresConnection) {
    this.name = connection.address.name;
    this.#connection = connection;
  }

  async genesisHash(): Promise<Uint8Array | null> {
    const { address } = this.#connection;
    const meta = `to_regclass('"${address.schema}".meta')`;
    const [found] = await this.#connection.query<{ there: boolean }>(`SELECT ${meta} IS NOT NULL AS there`);
    if (!found!.there) return null;
    const rows = await this.#connection.query<{ version: number; genesis_hash: Buffer }>(
      `SELECT version, genesis_hash FROM "${address.schema}".meta`,
    );
    if (rows[0] === undefined) return null;
    checkVersion(address, rows[0].version);
    return rows[0].genesis_hash;
  }

  async create(genesisHash: Uint8Array): Promise<void> {
    let got = await this.genesisHash();
    if (got === null) {
      await this.#connection.query(creation(this.#connection.address, genesisHash));
      got = (await this.genesisHash())!;
    }
    if (equalBytes(got, genesisHash)) return;
    throw new GrailError(
      'GENESIS_MISMATCH',
      `${this.name} holds the ledger of another network: name another database or schema`,
      { expected: toHex(genesisHash), got: toHex(got) },
    );
  }

  read(from: number, limit: number): Promise<StoredEntry[]> {
    return readEntries(this.#connection, from, limit);
  }

  heads(from: number): Promise<Uint8Array[]> {
    return readHeads(this.#connection, from);
  }

  async acquire(options: Parameters<LedgerDatabase['acquire']>[0]): Promise<LedgerWriter> {
    const { holder, ttlMs, signal, onWait } = options;
    let told = false;
    while (!signal.aborted) {
      try {
        const taken = await this.#take(holder, ttlMs);
        if (taken instanceof PostgresWriter) {
          if (!signal.aborted) return taken;
          await taken.release();
        } else if (!told && taken.holder !== null) {
          told = true;
          onWait?.(taken.holder);
        }
      } catch (error) {
        if (!mayPass(error)) throw error;
      }
      await sleep(Math.min(LOOK_MS, ttlMs / 4), undefined, { signal }).catch(() => {});
    }
    throw new GrailError('STOPPED', 'stopped while waiting for the ledger’s lease');
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** The lease, or who holds it; null when that has just changed. */
  async #take(holder: string, ttlMs: number): Promise<PostgresWriter | { readonly holder: string | null }> {
    const { schema } = this.#connection.address;
    const sentAt = performance.now();
    const [row] = await this.#connection.query<{ epoch: string | null; holder: string | null }>(
      `WITH taken AS (
         UPDATE "${schema}".lease
         SET epoch = epoch + 1, holder = $1, expires = clock_timestamp() + $2 * interval '1 millisecond'
         WHERE holder IS NULL OR expires <= clock_timestamp() RETURNING epoch
       )
       SELECT (SELECT epoch FROM taken) AS epoch, holder FROM "${schema}".lease`,
      [holder, ttlMs],
    );
    if (row!.epoch === null) return { holder: row!.holder };
    return new PostgresWriter(this.#connection, { epoch: Number(row!.epoch), ttlMs, sentAt });
  }
}

/**
 * A ledger in the database that a URL names (see `parsePostgresUrl`). Nothing is connected before it is used.
 * @throws GrailError USAGE
 */
export function openPostgres(url: string): PostgresLedgerDatabase {
  return new PostgresLedgerDatabase(new PostgresConnection(url));
}
