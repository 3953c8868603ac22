import type { StoredEntry } from './ledger-store.ts';

/** Entries and signed heads that become durable together, or not at all. */
export interface LedgerBatch {
  /** Consecutive, behind what is there. */
  readonly entries: readonly StoredEntry[];
  /** Canonical JSON, in the order in which they are put. */
  readonly heads: readonly Uint8Array[];
}

/**
 * A ledger that several processes share: the authority on what was acknowledged. Each process reads from a mirror of its
 * own (`Ledger` over a local store) and follows this; one at a time holds the writer's lease.
 */
export interface LedgerDatabase {
  /** Where it is, for people: never with a password. */
  readonly name: string;
  /** The network whose ledger this is, 32 bytes; null while nothing was created. @throws STORAGE_UNAVAILABLE */
  genesisHash(): Promise<Uint8Array | null>;
  /**
   * Makes the tables and names the network; the same network again changes nothing.
   * @throws GrailError GENESIS_MISMATCH, STORAGE_UNAVAILABLE
   */
  create(genesisHash: Uint8Array): Promise<void>;
  /**
   * Entries from `from` on, in order, as many as fit into one answer (at most `limit`, by bytes less); none at the end.
   * @throws GrailError LEDGER_CORRUPT (with `index`) when one is missing, STORAGE_UNAVAILABLE
   */
  read(from: number, limit: number): Promise<StoredEntry[]>;
  /** Heads from position `from` on, in the order in which they were put. @throws LEDGER_CORRUPT, STORAGE_UNAVAILABLE */
  heads(from: number): Promise<Uint8Array[]>;
  /**
   * Waits until no live process holds the writer's lease, and takes it. A holder that has not renewed it for `ttlMs`, by
   * the database's clock, is taken for dead; what it still writes is refused (fencing by epoch).
   * @throws GrailError STOPPED when aborted, STORAGE_UNAVAILABLE only when waiting does not help (a wrong password, no ledger
   *   was created)
   */
  acquire(options: {
    readonly holder: string;
    readonly ttlMs: number;
    readonly signal: AbortSignal;
    /** Called once when the lease is held by somebody else, and has to be waited for. */
    readonly onWait?: (holder: string) => void;
  }): Promise<LedgerWriter>;
  close(): Promise<void>;
}

/** The lease of a ledger's one writer. It renews itself until it is released or lost. */
export interface LedgerWriter {
  /** Counts up with every acquisition. */
  readonly epoch: number;
  /**
   * Appends a batch in one transaction that is durable when this resolves. The same batch again (after an answer that
   * was lost) changes nothing.
   * @throws GrailError LEASE_LOST when another process has taken over; STORAGE_UNAVAILABLE when the database takes nothing
   *   now: whether the batch was taken is then unknown, and it must be given again before any other; LEDGER_CORRUPT when
   *   other bytes are there
   */
  append(batch: LedgerBatch): Promise<void>;
  /** Resolves with LEASE_LOST when the lease is lost; never rejects. */
  readonly lost: Promise<Error>;
  /** Gives the lease back, so that another need not wait for it to expire. */
  release(): Promise<void>;
}
