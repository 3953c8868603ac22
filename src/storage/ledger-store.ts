/** One row of the log: its place, its canonical bytes and the leaf hash they had when they were appended. */
export interface StoredEntry {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly leaf: Uint8Array;
}

/**
 * Where a ledger's bytes lie. It stores and gives back; it judges nothing but its own integrity. Calls are synchronous:
 * what decides must not interleave with what is being written.
 */
export interface LedgerStore {
  readonly readOnly: boolean;
  /** The network whose ledger this is, 32 bytes; null while the store is new. */
  genesisHash(): Uint8Array | null;
  /** Names the network, once. */
  setGenesisHash(hash: Uint8Array): void;
  /**
   * Appends rows and heads (canonical JSON) in one transaction that is on disk before it returns. A head that is there
   * already changes nothing.
   * @throws GrailError STORAGE_UNAVAILABLE when the disk takes nothing now: nothing was changed then
   */
  append(rows: readonly StoredEntry[], heads?: readonly Uint8Array[]): void;
  /**
   * Rows from `from` on, at most `limit`, in order.
   * @throws GrailError LEDGER_CORRUPT when a row is missing or unreadable, with its `index`
   */
  read(from: number, limit: number): IterableIterator<StoredEntry>;
  /** Signed heads as canonical JSON, in the order in which they were put. */
  heads(): Uint8Array[];
  /** Walks every page of the storage. @throws GrailError LEDGER_CORRUPT naming what is broken. */
  checkStorage(): void;
  /** Releases the store and its lock. */
  close(): void;
}
