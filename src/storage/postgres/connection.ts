import { Pool, type QueryConfig, type QueryResultRow } from 'pg';
import { translate } from './errors.ts';
import { type PostgresAddress, parsePostgresUrl } from './url.ts';

/** Connections of one process: its appends and renewals, and reads beside them. */
const CONNECTIONS = 4;
/** Waiting for a connection. */
const CONNECT_MS = 5_000;
/** Of one statement, by the server. */
const STATEMENT_MS = 15_000;
/** Of one statement, by this side: a server that is cut off says nothing. */
const ANSWER_MS = 20_000;

/**
 * What durability and fencing rest on, whatever the server's, the database's or the user's own settings are: a commit
 * is on disk before it is answered, and a statement that waited for a row's lock sees the row as it is then.
 */
const SESSION = '-c synchronous_commit=on -c default_transaction_isolation=read\\ committed';

/** Connections to one database. Nothing that is asked of it waits for ever. */
export class PostgresConnection {
  readonly address: PostgresAddress;
  readonly #pool: Pool;

  /** @throws GrailError USAGE */
  constructor(url: string) {
    this.address = parsePostgresUrl(url);
    this.#pool = new Pool({
      ...this.address.config,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: ANSWER_MS,
      application_name: 'grail',
      keepAlive: true,
      options: SESSION,
    });
    // An idle connection that breaks has left the pool; whoever asks next gets another, or the error.
    this.#pool.on('error', () => {});
  }

  /**
   * Runs one statement, or several without values, in a transaction of its own.
   * @throws GrailError STORAGE_UNAVAILABLE, LEDGER_CORRUPT; DatabaseError for what is wrong with the statement
   */
  async query<Row extends QueryResultRow>(
    text: string,
    values?: readonly unknown[],
    answerMs = ANSWER_MS,
  ): Promise<Row[]> {
    const query: QueryConfig & { query_timeout: number } = {
      text,
      query_timeout: answerMs,
      ...(values && { values: [...values] }),
    };
    try {
      return (await this.#pool.query<Row>(query)).rows;
    } catch (error) {
      throw translate(error, this.address);
    }
  }

  async close(): Promise<void> {
    if (!this.#pool.ended && !this.#pool.ending) await this.#pool.end();
  }
}
