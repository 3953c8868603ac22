import { existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { GrailError } from '../protocol/errors.ts';
import { diskError } from './disk-errors.ts';
import type { LedgerStore, StoredEntry } from './ledger-store.ts';
import { lockFile, type ProcessLock } from './lock.ts';
import { walLosesTransactions } from './wal.ts';

/** Version of the tables below; another value is refused rather than guessed at. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL, leaf BLOB NOT NULL) STRICT;
  CREATE TABLE heads (position INTEGER PRIMARY KEY, bytes BLOB NOT NULL UNIQUE) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** What a file may hold besides the schema, and queries that find it. */
const STRANGE = [
  [
    'a table, view, index or trigger',
    `SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index')
     OR tbl_name NOT IN ('meta', 'entries', 'heads') OR (type = 'index' AND sql IS NOT NULL)`,
  ],
  ['a setting', "SELECT key AS name FROM meta WHERE key <> 'genesisHash'"],
  ['an entry', 'SELECT idx AS name FROM entries WHERE idx < 0'],
] as const;

/** Rows that one query fetches: a cursor left open would keep the write-ahead log from being folded in. */
const PAGE = 256;

/** Gives every failure of SQLite a code. `where` names the row that was being read, when one was. */
function translate(error: unknown, path: string, where: { index?: number; head?: number } = {}): GrailError {
  const known = diskError(error, path);
  if (known instanceof GrailError) return known;
  const reason = error instanceof Error ? error.message : String(error);
  const place = where.index !== undefined ? ` at entry ${where.index}` : '';
  return new GrailError(
    'LEDGER_CORRUPT',
    `${path} is damaged${place}: ${reason}`,
    { file: path, ...where, reason },
    { cause: error },
  );
}

/** A ledger in one SQLite file: write-ahead log, `synchronous = FULL`, one writer, any number of readers. */
export class SqliteLedgerStore implements LedgerStore {
  readonly readOnly: boolean;
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #lock: ProcessLock | null;
  readonly #inserts: { readonly entry: StatementSync; readonly head: StatementSync } | null;
  readonly #select: StatementSync;

  private constructor(path: string, database: DatabaseSync, lock: ProcessLock | null) {
    this.#path = path;
    this.#database = database;
    this.#lock = lock;
    this.readOnly = lock === null;
    this.#inserts = this.readOnly
      ? null
      : {
          entry: database.prepare('INSERT INTO entries VALUES (?, ?, ?)'),
          head: database.prepare('INSERT OR IGNORE INTO heads SELECT COUNT(*), ? FROM heads'),
        };
    this.#select = database.prepare(
      'SELECT idx, bytes, leaf FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?',
    );
  }

  /**
   * Opens a ledger for its one writer, making it when there is none. The lock is PATH.lock.
   * @param options.durable false for a copy that a crash may damage: it is made anew then
   * @throws GrailError ALREADY_RUNNING, LEDGER_CORRUPT, STORAGE_UNAVAILABLE
   */
  static open(path: string, { durable = true } = {}): SqliteLedgerStore {
    const lock = lockFile(`${path}.lock`, path);
    let database: DatabaseSync | undefined;
    try {
      checkWal(path);
      database = new DatabaseSync(path);
      // secure_delete: no stale copy of an entry stays behind in a page that was rearranged.
      database.exec(
        `PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durable ? 'FULL' : 'OFF'};
         PRAGMA secure_delete = ON`,
      );
      if (version(database) === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
      checkVersion(path, database);
      return new SqliteLedgerStore(path, database, lock);
    } catch (error) {
      closeQuietly(database);
      lock.release();
      throw translate(error, path);
    }
  }

  /**
   * Opens a ledger to read it, also while its writer runs. Nothing in the file can be changed through it.
   * @throws GrailError NOT_FOUND, LEDGER_CORRUPT, STORAGE_UNAVAILABLE
   */
  static openReadOnly(path: string): SqliteLedgerStore {
    if (!existsSync(path)) throw new GrailError('NOT_FOUND', `there is no ledger at ${path}`, { file: path });
    let database: DatabaseSync | undefined;
    try {
      checkWal(path);
      database = connectReadOnly(path);
      checkVersion(path, database);
      return new SqliteLedgerStore(path, database, null);
    } catch (error) {
      closeQuietly(database);
      throw translate(error, path);
    }
  }

  genesisHash(): Uint8Array | null {
    const value = this.#try(
      () => this.#database.prepare("SELECT value FROM meta WHERE key = 'genesisHash'").get()?.value,
    );
    if (value === undefined) return null;
    if (!(value instanceof Uint8Array) || value.length !== 32) {
      throw new GrailError('LEDGER_CORRUPT', `${this.#path}: the network's name is not 32 bytes`, {
        file: this.#path,
      });
    }
    return value;
  }

  setGenesisHash(hash: Uint8Array): void {
    this.#try(() =>
      this.#database.prepare("INSERT INTO meta (key, value) VALUES ('genesisHash', ?)").run(hash),
    );
  }

  append(rows: readonly StoredEntry[], heads: readonly Uint8Array[] = []): void {
    if (rows.length === 0 && heads.length === 0) return;
    const inserts = this.#inserts;
    if (inserts === null)
      throw new GrailError('INTERNAL', 'a ledger opened to be read cannot be appended to');
    this.#try(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        for (const row of rows) inserts.entry.run(row.index, row.bytes, row.leaf);
        for (const head of heads) inserts.head.run(head);
        this.#database.exec('COMMIT');
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
    // A head closes a phase: a good moment to fold the log into the file, as far as readers allow without waiting.
    if (heads.length > 0) this.#fold();
  }

  *read(from: number, limit: number): IterableIterator<StoredEntry> {
    let next = from;
    const end = from + limit;
    while (next < end) {
      const rows = this.#page(next, Math.min(PAGE, end - next));
      if (rows.length === 0) return;
      for (const row of rows) {
        const { idx, bytes, leaf } = row;
        if (idx !== next || !(bytes instanceof Uint8Array) || !(leaf instanceof Uint8Array)) {
          throw new GrailError('LEDGER_CORRUPT', `entry ${next} is missing or is not bytes`, { index: next });
        }
        yield { index: next, bytes, leaf };
        next += 1;
      }
    }
  }

  heads(): Uint8Array[] {
    const rows = this.#try(() =>
      this.#database.prepare('SELECT position, bytes FROM heads ORDER BY position').all(),
    );
    return rows.map(({ position, bytes }, index) => {
      if (position !== index || !(bytes instanceof Uint8Array)) {
        throw new GrailError('LEDGER_CORRUPT', `tree head ${index} is missing or is not bytes`, {
          head: index,
        });
      }
      return bytes;
    });
  }

  checkStorage(): void {
    const rows = this.#try(() => this.#database.prepare('PRAGMA integrity_check(1)').all());
    const result = rows[0]?.integrity_check;
    if (result !== 'ok') {
      throw new GrailError('LEDGER_CORRUPT', `${this.#path} is damaged: ${String(result)}`, {
        file: this.#path,
      });
    }
    // What no query of this store would ever look at is no part of a ledger.
    for (const [what, query] of STRANGE) {
      const found = this.#try(() => this.#database.prepare(query).get());
      if (found === undefined) continue;
      throw new GrailError(
        'LEDGER_CORRUPT',
        `${this.#path} holds ${what} that no ledger has: ${String(found.name)}`,
        {
          file: this.#path,
          got: String(found.name),
        },
      );
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
    this.#lock?.release();
  }

  /** What cannot be folded in now stays in the log, where it is as durable. */
  #fold(): void {
    try {
      this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch (error) {
      if (!(diskError(error, this.#path) instanceof GrailError)) throw translate(error, this.#path);
    }
  }

  /** One page of rows; when reading it fails, row by row, so that the failure names its row. */
  #page(from: number, limit: number): Record<string, unknown>[] {
    try {
      return this.#select.all(from, limit);
    } catch {
      const rows: Record<string, unknown>[] = [];
      for (let index = from; index < from + limit; index++) {
        try {
          const row = this.#select.get(index, 1);
          if (row === undefined) break;
          rows.push(row);
        } catch (error) {
          if (rows.length > 0) return rows;
          throw translate(error, this.#path, { index });
        }
      }
      return rows;
    }
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw translate(error, this.#path);
    }
  }
}

/**
 * A WAL database needs a shared-memory file beside it even to be read. Where none can be made (a read-only folder) and
 * no log is left to be folded in, the file alone is the whole ledger and is read as such.
 */
function connectReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    database.exec('PRAGMA busy_timeout = 5000');
    version(database);
    return database;
  } catch (error) {
    closeQuietly(database);
    const errcode = (error as { errcode?: number }).errcode ?? 0;
    if (![8, 14].includes(errcode & 255) || existsSync(`${path}-wal`)) throw error;
    const url = pathToFileURL(path);
    url.searchParams.set('immutable', '1');
    return new DatabaseSync(url, { readOnly: true });
  }
}

function version(database: DatabaseSync): unknown {
  return database.prepare('PRAGMA user_version').get()?.user_version;
}

/** Refuses a write-ahead log whose later half SQLite would forget, naming the first entry that would be lost. */
function checkWal(path: string): void {
  if (!walLosesTransactions(`${path}-wal`)) return;
  let index: number | null = null;
  let database: DatabaseSync | undefined;
  try {
    database = connectReadOnly(path);
    const rows = database.prepare('SELECT COUNT(*) AS size FROM entries').get();
    index = Number(rows?.size);
  } catch {
    // Nothing can be read without the log: it held everything, or something else is damaged too.
  } finally {
    closeQuietly(database);
  }
  throw new GrailError(
    'LEDGER_CORRUPT',
    `${path}-wal was altered: entries from ${index ?? 0} on cannot be read`,
    { file: `${path}-wal`, index: index ?? 0 },
  );
}

function checkVersion(path: string, database: DatabaseSync): void {
  const found = version(database);
  if (found === SCHEMA_VERSION) return;
  throw new GrailError('LEDGER_CORRUPT', `${path} is not a GRAIL ledger of version ${SCHEMA_VERSION}`, {
    file: path,
    expected: SCHEMA_VERSION,
    got: typeof found === 'number' ? found : null,
  });
}

function closeQuietly(database: DatabaseSync | undefined): void {
  if (database?.isOpen) database.close();
}
