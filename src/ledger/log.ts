import { equalBytes, type Hex, toHex } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { MerkleTree } from '../protocol/merkle.ts';
import type { LedgerBatch } from '../storage/ledger-database.ts';
import type { LedgerStore, StoredEntry } from '../storage/ledger-store.ts';
import { SqliteLedgerStore } from '../storage/sqlite.ts';
import {
  type EntryBody,
  entryBytes,
  entryLeaf,
  type LedgerEntry,
  MAX_ENTRY_BYTES,
  parseEntry,
} from './entry.ts';
import { headSchema, type TreeHead } from './head.ts';

/** Where an appended entry stands, and the tree that holds it: what an acknowledgement promises. */
export interface Appended {
  readonly index: number;
  /** Leaves of the tree once the entry is in: index + 1. */
  readonly treeSize: number;
  readonly treeRoot: Hex;
}

/** An entry with its place and its leaf hash. */
export interface IndexedEntry {
  readonly index: number;
  readonly entry: LedgerEntry;
  readonly bytes: Uint8Array;
  readonly leaf: Uint8Array;
}

type AnyEntry = LedgerEntry<EntryBody | { readonly type: string }>;

/**
 * The append-only log: entries in a store, their leaf hashes in an RFC 6962 tree in memory (64 bytes an entry and a bit).
 * Opening it reads every entry once and compares it with its stored leaf.
 *
 * Its writer may place entries before they are on disk (`stage`): they have an index and a root, and nobody can read
 * them until they are settled.
 */
export class Ledger {
  readonly genesisHash: Uint8Array;
  readonly #store: LedgerStore;
  /** Leaves of entries, staged ones included. */
  readonly #tree = new MerkleTree();
  #size = 0;
  #heads: TreeHead[] = [];
  #staged: { entries: StoredEntry[]; heads: Uint8Array[] } = { entries: [], heads: [] };

  /**
   * @param genesisHash the network whose ledger this must be; null accepts the one the store names
   * @throws GrailError GENESIS_MISMATCH, LEDGER_CORRUPT (with `index`, or `head`)
   */
  constructor(store: LedgerStore, genesisHash: Uint8Array | null) {
    this.#store = store;
    const stored = store.genesisHash();
    const name = stored ?? genesisHash;
    if (name === null)
      throw new GrailError('LEDGER_CORRUPT', 'the ledger does not say which network it is of');
    if (genesisHash !== null && !equalBytes(genesisHash, name)) {
      throw new GrailError('GENESIS_MISMATCH', 'the ledger in this directory is of another network', {
        expected: toHex(genesisHash),
        got: toHex(name),
      });
    }
    if (stored === null && !store.readOnly) store.setGenesisHash(name);
    this.genesisHash = name;
    this.refresh();
  }

  /** Entries that can be read. */
  get size(): number {
    return this.#size;
  }

  /** Entries, those that are staged included. */
  get stagedSize(): number {
    return this.#tree.size;
  }

  /**
   * Takes in what another process has appended since; a ledger opened to be read calls it to follow its writer.
   * @throws GrailError LEDGER_CORRUPT
   */
  refresh(): void {
    // Heads first: a writer may add entries and heads between the two reads, and a head needs its entries.
    const heads = this.#store.heads().map(parseHead);
    for (const row of this.#store.read(this.size, Number.MAX_SAFE_INTEGER - this.size)) {
      checkLeaf(this.genesisHash, row);
      this.#tree.append(row.leaf);
      this.#size = this.#tree.size;
    }
    for (const [position, head] of heads.entries()) this.#checkHeadRoot(heads, head, position);
    this.#heads = heads;
  }

  /**
   * Takes in rows that another ledger of this network has settled, in order.
   * @throws GrailError LEDGER_CORRUPT, STORAGE_UNAVAILABLE
   */
  mirror({ entries, heads }: LedgerBatch): void {
    const before = this.#size;
    try {
      for (const row of entries) {
        if (row.index !== this.#tree.size) {
          throw new GrailError('LEDGER_CORRUPT', `entry ${this.#tree.size} is missing`, {
            index: this.#tree.size,
          });
        }
        checkLeaf(this.genesisHash, row);
        this.#tree.append(row.leaf);
      }
      const parsed = heads.map((bytes, i) => parseHead(bytes, this.#heads.length + i));
      const all = [...this.#heads, ...parsed];
      for (let at = this.#heads.length; at < all.length; at++) this.#checkHeadRoot(all, all[at]!, at);
      this.#store.append(entries, heads);
      this.#size = this.#tree.size;
      this.#heads = all;
    } catch (error) {
      this.#tree.truncate(before);
      throw error;
    }
  }

  /** Appends one entry. It is on disk before this returns. */
  append(entry: AnyEntry): Appended {
    return this.appendAll([entry])[0]!;
  }

  /**
   * Appends entries in one transaction: all of them or none, on disk before this returns.
   * @throws GrailError LEDGER_INVALID when an entry breaks the log's own shape, TOO_LARGE when it is too big,
   *   STORAGE_UNAVAILABLE when the disk takes nothing now
   */
  appendAll(entries: readonly AnyEntry[]): Appended[] {
    return this.#atOnce(() =>
      entries.map((entry) => {
        const index = this.stage(entry);
        return { index, treeSize: index + 1, treeRoot: toHex(this.#tree.root()) };
      }),
    );
  }

  /**
   * Places an entry behind all others and gives its index. It is not durable and cannot be read until it is settled.
   * @throws GrailError LEDGER_INVALID, TOO_LARGE
   */
  stage(entry: AnyEntry): number {
    const bytes = entryBytes(entry);
    if (bytes.length > MAX_ENTRY_BYTES) {
      throw new GrailError('TOO_LARGE', `an entry has ${bytes.length} bytes, more than ${MAX_ENTRY_BYTES}`);
    }
    parseEntry(bytes);
    const row = { index: this.stagedSize, bytes, leaf: entryLeaf(this.genesisHash, bytes) };
    this.#staged.entries.push(row);
    this.#tree.append(row.leaf);
    return row.index;
  }

  /**
   * Places a signed head. Its signature is the caller's to check (`checkHead`), its root is compared with the tree's here.
   * @throws GrailError LEDGER_CORRUPT when the head is not one of this ledger
   */
  stageHead(head: TreeHead): void {
    this.#checkHeadRoot(this.#heads, head, this.#heads.length + this.#staged.heads.length);
    const bytes = canonicalBytes(head);
    const alike = this.#heads.filter(({ treeSize }) => treeSize === head.treeSize);
    const known = [...alike.map((other) => canonicalBytes(other)), ...this.#staged.heads];
    if (!known.some((other) => equalBytes(other, bytes))) this.#staged.heads.push(bytes);
  }

  /** What is staged, or null. */
  staged(): LedgerBatch | null {
    const { entries, heads } = this.#staged;
    if (entries.length + heads.length === 0) return null;
    return { entries: [...entries], heads: [...heads] };
  }

  /**
   * Writes the first part of what is staged to this ledger's own store, in one transaction, and lets it be read.
   * @param batch what `staged` gave
   * @throws GrailError STORAGE_UNAVAILABLE, and nothing has changed
   */
  settle(batch: LedgerBatch): void {
    this.#store.append(batch.entries, batch.heads);
    const { entries, heads } = this.#staged;
    this.#staged = {
      entries: entries.slice(batch.entries.length),
      heads: heads.slice(batch.heads.length),
    };
    this.#size += batch.entries.length;
    for (const bytes of batch.heads) this.#heads.push(parseHead(bytes, this.#heads.length));
  }

  /** Stages something and settles it; where either fails, nothing is left staged. */
  #atOnce<T>(stage: () => T): T {
    if (this.staged() !== null)
      throw new TypeError('entries are staged: append behind them through their journal');
    try {
      const result = stage();
      const batch = this.staged();
      if (batch !== null) this.settle(batch);
      return result;
    } catch (error) {
      this.#staged = { entries: [], heads: [] };
      this.#tree.truncate(this.#size);
      throw error;
    }
  }

  /** @throws GrailError NOT_FOUND, LEDGER_CORRUPT, LEDGER_INVALID */
  get(index: number): LedgerEntry {
    return this.read(index).entry;
  }

  /** The entry at `index` with its bytes. @throws GrailError NOT_FOUND, LEDGER_CORRUPT, LEDGER_INVALID */
  read(index: number): IndexedEntry {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new GrailError('NOT_FOUND', `the ledger has no entry ${index}`, { index, treeSize: this.size });
    }
    for (const found of this.range(index, 1)) return found;
    throw new GrailError('LEDGER_CORRUPT', `entry ${index} is missing`, { index });
  }

  /** Entries from `from` on, at most `limit`, in order. @throws GrailError LEDGER_CORRUPT, LEDGER_INVALID */
  *range(from = 0, limit = Number.MAX_SAFE_INTEGER): IterableIterator<IndexedEntry> {
    const count = Math.min(limit, this.size - from);
    for (const row of this.#store.read(from, count)) {
      checkLeaf(this.genesisHash, row);
      if (!equalBytes(row.leaf, this.#tree.leaf(row.index))) throw altered(row.index);
      yield { index: row.index, entry: parseAt(row), bytes: row.bytes, leaf: row.leaf };
    }
  }

  /** The leaf hash of an entry, 32 bytes. */
  leaf(index: number): Uint8Array {
    return this.#tree.leaf(index);
  }

  /** The RFC 6962 root of the first `size` entries, 32 bytes; up to `stagedSize`. */
  root(size = this.size): Uint8Array {
    return this.#tree.root(size);
  }

  /** The audit path of entry `index` in the tree of `size` entries. */
  inclusionProof(index: number, size = this.size): Uint8Array[] {
    return this.#tree.inclusionProof(index, size);
  }

  /** The proof that the tree of `from` entries is a prefix of that of `to`. */
  consistencyProof(from: number, to = this.size): Uint8Array[] {
    return this.#tree.consistencyProof(from, to);
  }

  /**
   * Keeps a signed head, on disk before this returns; the same again changes nothing.
   * @throws GrailError LEDGER_CORRUPT when the head is not one of this ledger, STORAGE_UNAVAILABLE
   */
  putHead(head: TreeHead): void {
    this.#atOnce(() => this.stageHead(head));
  }

  /** Signed heads, in the order in which they were put. */
  heads(): readonly TreeHead[] {
    return this.#heads;
  }

  /** Walks every page of the storage as well. @throws GrailError LEDGER_CORRUPT */
  checkStorage(): void {
    this.#store.checkStorage();
  }

  close(): void {
    this.#store.close();
  }

  #checkHeadRoot(heads: readonly TreeHead[], head: TreeHead, position: number): void {
    if (head.treeSize > this.stagedSize) {
      throw new GrailError(
        'LEDGER_CORRUPT',
        `the ledger ends at entry ${this.stagedSize - 1}, but a head was signed over ${head.treeSize} entries`,
        { head: position, index: this.stagedSize, treeSize: head.treeSize },
      );
    }
    const root = toHex(this.root(head.treeSize));
    if (root === head.treeRoot) return;
    const before = heads[position - 1]?.treeSize ?? 0;
    throw new GrailError(
      'LEDGER_CORRUPT',
      `tree head ${position} (window ${head.window}, ${head.phase}) does not match entries ${before} to ${head.treeSize - 1}`,
      { head: position, from: before, treeSize: head.treeSize, expected: head.treeRoot, got: root },
    );
  }
}

function altered(index: number): GrailError {
  return new GrailError('LEDGER_CORRUPT', `entry ${index} was altered: its bytes do not have its leaf hash`, {
    index,
  });
}

function checkLeaf(genesisHash: Uint8Array, row: StoredEntry): void {
  if (!equalBytes(entryLeaf(genesisHash, row.bytes), row.leaf)) throw altered(row.index);
}

function parseAt(row: StoredEntry): LedgerEntry {
  try {
    return parseEntry(row.bytes);
  } catch (error) {
    if (!(error instanceof GrailError)) throw error;
    throw new GrailError(error.code, `entry ${row.index}: ${error.message}`, {
      ...error.details,
      index: row.index,
    });
  }
}

function parseHead(bytes: Uint8Array, position: number): TreeHead {
  try {
    return headSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw new GrailError(
      'LEDGER_CORRUPT',
      `tree head ${position} was altered`,
      { head: position },
      { cause: error },
    );
  }
}

/**
 * Opens the ledger of a network directory for its one writer, making it when there is none.
 * @param path DIR/ledger.sqlite
 * @throws GrailError ALREADY_RUNNING, GENESIS_MISMATCH, LEDGER_CORRUPT
 */
export function openLedger(path: string, genesisHash: Uint8Array): Ledger {
  return opened(SqliteLedgerStore.open(path), genesisHash);
}

/**
 * Opens a ledger to read it, also while its writer runs.
 * @param genesisHash the network it must be of; without it, the one that the file names (compare it with entry 0)
 * @throws GrailError NOT_FOUND, GENESIS_MISMATCH, LEDGER_CORRUPT
 */
export function openLedgerReadOnly(path: string, genesisHash: Uint8Array | null = null): Ledger {
  return opened(SqliteLedgerStore.openReadOnly(path), genesisHash);
}

function opened(store: LedgerStore, genesisHash: Uint8Array | null): Ledger {
  try {
    return new Ledger(store, genesisHash);
  } catch (error) {
    store.close();
    throw error;
  }
}
