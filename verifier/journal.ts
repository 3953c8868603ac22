import type { LedgerEntry } from '../src/ledger/entry.ts';
import type { TreeHead } from '../src/ledger/head.ts';
import type { Ledger } from '../src/ledger/log.ts';
import { GrailError } from '../src/protocol/errors.ts';
import type { LedgerBatch, LedgerWriter } from '../src/storage/ledger-database.ts';
import { untilStored } from '../src/storage/retry.ts';

/** Entries and bytes of one transaction. */
const BATCH_ENTRIES = 1_024;
const BATCH_BYTES = 16_777_216;

export interface JournalOptions {
  readonly ledger: Ledger;
  /** The shared database that entries go to first; null where the ledger's own store is all there is. */
  readonly writer: LedgerWriter | null;
  /** Hears of every batch that became durable, with the seconds that it took, before anyone who waits for it. */
  readonly onDurable: (batch: LedgerBatch, seconds: number) => void;
  /** Hears why the storage takes nothing, at every attempt, and null when it does again. */
  readonly onTrouble: (trouble: GrailError | null) => void;
  /** Hears what ends the journal: a lost lease, a ledger that holds something else. */
  readonly onFatal: (error: Error) => void;
}

interface Waiter {
  /** Entries that must be durable. */
  readonly size: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * The way of a ledger's one writer to the disk. Entries are placed at once and in order; they become durable in batches, one
 * transaction at a time, so that a hundred messages that arrive together cost one. While the storage takes nothing the
 * journal keeps what it has and tries again, for as long as it takes.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #stop = new AbortController();
  #waiters: Waiter[] = [];
  #flushing: Promise<void> | null = null;
  #closing = false;
  #failure: Error | null = null;
  #trouble: GrailError | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
    void options.writer?.lost.then((error) => this.#fail(error));
  }

  /** Entries that are placed and not durable yet. */
  get pending(): number {
    const { ledger } = this.#options;
    return ledger.stagedSize - ledger.size;
  }

  /** Why the storage takes nothing now, or null. */
  get trouble(): GrailError | null {
    return this.#trouble;
  }

  /** Places an entry, and a head over everything up to it; gives the entry's index. @throws GrailError LEDGER_INVALID, TOO_LARGE */
  append(entry: LedgerEntry, head?: () => TreeHead): number {
    if (this.#failure !== null) throw this.#failure;
    const { ledger } = this.#options;
    const index = ledger.stage(entry);
    if (head !== undefined) ledger.stageHead(head());
    this.#flush();
    return index;
  }

  /** Places a head. @throws GrailError LEDGER_CORRUPT when it is not one of this ledger */
  putHead(head: TreeHead): void {
    this.#options.ledger.stageHead(head);
    this.#flush();
  }

  /** Resolves when the first `size` entries are durable. @throws what ends the journal, or STOPPED */
  durable(size = this.#options.ledger.stagedSize): Promise<void> {
    if (this.#options.ledger.size >= size) return Promise.resolve();
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ size, resolve, reject }));
  }

  /** Waits for what is placed, at most `graceMs`, and takes nothing more. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const timer = setTimeout(() => this.#stop.abort(), graceMs);
    while (this.#flushing !== null) await this.#flushing;
    clearTimeout(timer);
    this.#fail(stopped());
  }

  #flush(): void {
    if (this.#flushing !== null || this.#failure !== null) return;
    this.#flushing = this.#run().finally(() => {
      this.#flushing = null;
      if (this.#options.ledger.staged() !== null) this.#flush();
    });
  }

  async #run(): Promise<void> {
    // Everything else that has arrived by now goes with it.
    await new Promise((resolve) => setImmediate(resolve));
    const { ledger } = this.#options;
    try {
      for (let batch = ledger.staged(); batch !== null; batch = ledger.staged()) {
        await this.#write(bounded(batch));
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  async #write(batch: LedgerBatch): Promise<void> {
    const { ledger, writer, onDurable, onTrouble } = this.#options;
    const began = performance.now();
    await untilStored(
      async () => {
        await writer?.append(batch);
        ledger.settle(batch);
      },
      {
        signal: this.#stop.signal,
        onTrouble: (trouble) => {
          this.#trouble = trouble;
          onTrouble(trouble);
        },
      },
    );
    onDurable(batch, (performance.now() - began) / 1000);
    const { size } = ledger;
    const done = this.#waiters.filter((waiter) => waiter.size <= size);
    this.#waiters = this.#waiters.filter((waiter) => waiter.size > size);
    for (const { resolve } of done) resolve();
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#stop.abort();
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters = [];
    if (!this.#closing) this.#options.onFatal(error);
  }
}

/** The first part of a batch that makes a transaction of bounded size. Heads go with the last of its entries. */
function bounded(batch: LedgerBatch): LedgerBatch {
  let bytes = 0;
  let count = 0;
  for (const entry of batch.entries) {
    bytes += entry.bytes.length;
    if (count > 0 && (count === BATCH_ENTRIES || bytes > BATCH_BYTES)) break;
    count += 1;
  }
  if (count === batch.entries.length) return batch;
  return { entries: batch.entries.slice(0, count), heads: [] };
}

function stopped(): GrailError {
  return new GrailError('STOPPED', 'this verifier is stopping: try again soon');
}
