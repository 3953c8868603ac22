import { GrailError } from '../../protocol/errors.ts';
import type { LedgerBatch, LedgerWriter } from '../ledger-database.ts';
import { appendBatch } from './append.ts';
import type { PostgresConnection } from './connection.ts';

/** A lease that was taken. */
export interface TakenLease {
  readonly epoch: number;
  readonly ttlMs: number;
  /** `performance.now()` before the statement that took it was sent. */
  readonly sentAt: number;
}

/**
 * Holds a lease: renews it with every append and every third of its life. It counts its life from before a renewal was sent, and
 * the database from after it came: this side takes it for lost before anybody else can have it.
 */
export class PostgresWriter implements LedgerWriter {
  readonly epoch: number;
  readonly lost: Promise<Error>;
  readonly #connection: PostgresConnection;
  readonly #ttlMs: number;
  readonly #resolveLost: (error: Error) => void;
  #renewedAt: number;
  /** Why nothing can be appended any more. */
  #end: GrailError | null = null;
  #expiry: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(connection: PostgresConnection, { epoch, ttlMs, sentAt }: TakenLease) {
    this.#connection = connection;
    this.epoch = epoch;
    this.#ttlMs = ttlMs;
    this.#renewedAt = sentAt;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.lost = promise;
    this.#resolveLost = resolve;
    this.#renewed(sentAt);
  }

  async append(batch: LedgerBatch): Promise<void> {
    if (this.#end !== null) throw this.#end;
    const sentAt = performance.now();
    const lease = { epoch: this.epoch, ttlMs: this.#ttlMs };
    if (!(await appendBatch(this.#connection, lease, batch))) throw this.#lose('another process took it');
    this.#renewed(sentAt);
  }

  async release(): Promise<void> {
    if (this.#end !== null) return;
    this.#finish(new GrailError('LEASE_LOST', 'the writer’s lease was given back'));
    // Without a holder, a renewal that is still under way finds nothing to renew.
    const { schema } = this.#connection.address;
    const sql = `UPDATE "${schema}".lease SET holder = NULL WHERE epoch = $1`;
    // Where the database is away, the lease expires by itself.
    await this.#connection.query(sql, [this.epoch]).catch(() => {});
  }

  #renewed(sentAt: number): void {
    if (this.#end !== null) return;
    this.#renewedAt = Math.max(this.#renewedAt, sentAt);
    clearTimeout(this.#expiry);
    const leftMs = this.#renewedAt + this.#ttlMs - performance.now();
    this.#expiry = setTimeout(() => void this.#lose('it could not be renewed in time'), leftMs);
    this.#renewIn(this.#ttlMs / 3);
  }

  #renewIn(waitMs: number): void {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => void this.#renew(), waitMs);
  }

  async #renew(): Promise<void> {
    const sentAt = performance.now();
    const { schema } = this.#connection.address;
    try {
      const renewed = await this.#connection.query(
        `UPDATE "${schema}".lease SET expires = clock_timestamp() + $2 * interval '1 millisecond'
         WHERE epoch = $1 AND holder IS NOT NULL RETURNING epoch`,
        [this.epoch, this.#ttlMs],
        this.#ttlMs / 3,
      );
      if (renewed.length === 0) this.#lose('another process took it');
      else this.#renewed(sentAt);
    } catch {
      // The database is away: it may be back before the lease has run out.
      if (this.#end === null) this.#renewIn(this.#ttlMs / 12);
    }
  }

  #lose(why: string): GrailError {
    const error = new GrailError(
      'LEASE_LOST',
      `this process is not the ledger’s writer any more: ${why}; start it again, and it waits for its turn`,
      { database: this.#connection.address.name, epoch: this.epoch },
    );
    if (this.#end === null) {
      this.#finish(error);
      this.#resolveLost(error);
    }
    return error;
  }

  #finish(why: GrailError): void {
    this.#end = why;
    clearTimeout(this.#expiry);
    clearTimeout(this.#renewal);
  }
}
