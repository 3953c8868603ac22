import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { LedgerBatch, LedgerWriter } from '../../src/storage/ledger-database.ts';
import { Journal } from '../../verifier/journal.ts';
import { KEYS, TestNetwork } from '../helpers/network.ts';

/** A writer that keeps what it gets, when a test lets it. */
class HeldWriter implements LedgerWriter {
  readonly epoch = 1;
  readonly batches: LedgerBatch[] = [];
  readonly #lost = Promise.withResolvers<Error>();
  readonly lost = this.#lost.promise;
  /** What the next calls throw. */
  readonly failures: Error[] = [];
  held: Promise<void> = Promise.resolve();

  async append(batch: LedgerBatch): Promise<void> {
    await this.held;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.batches.push(batch);
  }

  lose(): void {
    this.#lost.resolve(leaseLost());
  }

  async release(): Promise<void> {}
}

const leaseLost = () => new GrailError('LEASE_LOST', 'another process has taken over');
const away = () => new GrailError('STORAGE_UNAVAILABLE', 'the database is away');

let network: TestNetwork;
let writer: HeldWriter;
let journal: Journal;
let troubles: (string | null)[];
let fatal: Error[];

beforeEach(() => {
  network = new TestNetwork();
  writer = new HeldWriter();
  troubles = [];
  fatal = [];
  journal = new Journal({
    ledger: network.ledger,
    writer,
    onDurable: () => {},
    onTrouble: (trouble) => troubles.push(trouble?.code ?? null),
    onFatal: (error) => fatal.push(error),
  });
});

afterEach(async () => {
  await journal.close(0);
  network.remove();
});

const entry = (window = 0): LedgerEntry => ({
  window,
  phase: 'enrol',
  view: 0,
  author: KEYS.miner.address,
  body: { type: 'enrol' },
});

/** Places entries behind genesis. */
const place = (count: number) => Array.from({ length: count }, (_, i) => journal.append(entry(i)));

describe('a journal', () => {
  test('writes entries that are placed together as one batch', async () => {
    expect(place(3)).toEqual([1, 2, 3]);
    await journal.durable();
    expect(writer.batches.map(({ entries }) => entries.map(({ index }) => index))).toEqual([[1, 2, 3]]);
  });

  test('lets nobody read an entry before the database has it', async () => {
    const hold = Promise.withResolvers<void>();
    writer.held = hold.promise;
    place(1);
    const durable = journal.durable();
    expect(journal.pending).toBe(1);
    expect(() => network.ledger.get(1)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    hold.resolve();
    await durable;
    expect(journal.pending).toBe(0);
    expect(network.ledger.get(1).window).toBe(0);
  });

  test('gathers what comes while it writes', async () => {
    const hold = Promise.withResolvers<void>();
    writer.held = hold.promise;
    place(1);
    await vi.waitFor(() => expect(journal.pending).toBe(1));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    place(2);
    hold.resolve();
    await journal.durable();
    expect(writer.batches.map(({ entries }) => entries.length)).toEqual([1, 2]);
  });

  test('splits what is more than a transaction takes, and writes heads with the last of it', async () => {
    place(1_500);
    journal.append(entry(), () => {
      const { ledger } = network;
      return { ...network.signedHead(), treeSize: ledger.stagedSize, treeRoot: rootOf(ledger.stagedSize) };
    });
    await journal.durable();
    expect(writer.batches.map(({ entries, heads }) => [entries.length, heads.length])).toEqual([
      [1_024, 0],
      [477, 1],
    ]);
  });

  test('tries the same batch again while the storage takes nothing, and says so', async () => {
    writer.failures.push(away(), away());
    place(2);
    await journal.durable();
    expect(troubles).toEqual(['STORAGE_UNAVAILABLE', 'STORAGE_UNAVAILABLE', null]);
    expect(journal.trouble).toBeNull();
    expect(writer.batches.length).toBe(1);
    expect(fatal).toEqual([]);
  });

  test('ends when its lease is lost while nothing is written', async () => {
    writer.lose();
    await vi.waitFor(() => expect(fatal).toMatchObject([{ code: 'LEASE_LOST' }]));
    expect(() => place(1)).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
  });

  test('tells those who wait that the lease was lost, and keeps nothing of what they placed', async () => {
    writer.failures.push(leaseLost());
    place(1);
    await expect(journal.durable()).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(fatal).toMatchObject([{ code: 'LEASE_LOST' }]);
    expect(network.ledger.size).toBe(1);
  });

  test('writes what is placed before it closes, and takes nothing more', async () => {
    place(2);
    await journal.close(60_000);
    expect(network.ledger.size).toBe(3);
    expect(() => place(1)).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect(fatal).toEqual([]);
  });

  test('gives up a storage that takes nothing when it closes', async () => {
    writer.failures.push(...Array.from({ length: 1_000 }, away));
    place(1);
    const durable = journal.durable();
    const refused = expect(durable).rejects.toMatchObject({ code: 'STOPPED' });
    await vi.waitFor(() => expect(troubles.length).toBeGreaterThan(0));
    await journal.close(1);
    await refused;
  });
});

function rootOf(size: number): `0x${string}` {
  return `0x${Buffer.from(network.ledger.root(size)).toString('hex')}`;
}
