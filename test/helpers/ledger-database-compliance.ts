import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { equalBytes } from '../../src/protocol/bytes.ts';
import type { GrailError } from '../../src/protocol/errors.ts';
import type { LedgerBatch, LedgerDatabase, LedgerWriter } from '../../src/storage/ledger-database.ts';
import type { StoredEntry } from '../../src/storage/ledger-store.ts';
import { untilStored } from '../../src/storage/retry.ts';
import { expectCode } from './expect-code.ts';

/** What the suite needs of a server. */
export interface DatabaseUnderTest {
  /** An empty place for a ledger. */
  makePlace(): Promise<Place>;
  /** As a power cut would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Stands still, and goes on. */
  freeze(frozen: boolean): void;
}

export interface Place {
  /** As another process would open it. */
  open(): LedgerDatabase;
  /** Deletes an entry behind the ledger's back. */
  deleteEntry(index: number): Promise<void>;
  deleteHead(position: number): Promise<void>;
  /** Makes the lease that is held run out. */
  expireLease(): Promise<void>;
}

export const NETWORK = new Uint8Array(32).fill(7);
const LONG_MS = 60_000;
const SHORT_MS = 2_000;
/** Renewed late enough for somebody else to take it before. */
const NOTICED_MS = 9_000;

export const never = new AbortController().signal;

/** A batch of `count` entries behind `first`, and heads. */
export function batch(
  first: number,
  count: number,
  options: { bytes?: number; heads?: number } = {},
): LedgerBatch {
  const { bytes = 200, heads = 0 } = options;
  const entries = Array.from({ length: count }, (_, i) => ({
    index: first + i,
    bytes: new Uint8Array(randomBytes(bytes)),
    leaf: new Uint8Array(randomBytes(32)),
  }));
  return { entries, heads: Array.from({ length: heads }, () => new Uint8Array(randomBytes(300))) };
}

/** Everything that is in a database, as plain bytes. */
export async function contents(database: LedgerDatabase): Promise<LedgerBatch> {
  const entries: StoredEntry[] = [];
  for (
    let more = await database.read(0, 1_000);
    more.length > 0;
    more = await database.read(entries.length, 1_000)
  ) {
    entries.push(...more);
  }
  return plain({ entries, heads: await database.heads(0) });
}

/** Buffers are not equal to other typed arrays. */
function plain({ entries, heads }: LedgerBatch): LedgerBatch {
  return {
    entries: entries.map(({ index, bytes, leaf }) => ({
      index,
      bytes: new Uint8Array(bytes),
      leaf: new Uint8Array(leaf),
    })),
    heads: heads.map((head) => new Uint8Array(head)),
  };
}

const joined = (batches: readonly LedgerBatch[]): LedgerBatch => ({
  entries: batches.flatMap(({ entries }) => entries),
  heads: batches.flatMap(({ heads }) => heads),
});

/** Holds an implementation of LedgerDatabase to what the interface says. */
export function ledgerDatabaseSuite(name: string, server: () => DatabaseUnderTest): void {
  describe(name, () => {
    let place: Place;
    let database: LedgerDatabase;
    let opened: LedgerDatabase[];
    let writers: LedgerWriter[];

    const open = (): LedgerDatabase => {
      const another = place.open();
      opened.push(another);
      return another;
    };
    const acquire = async (of: LedgerDatabase, ttlMs = LONG_MS, holder = 'first'): Promise<LedgerWriter> => {
      const writer = await of.acquire({ holder, ttlMs, signal: never });
      writers.push(writer);
      return writer;
    };

    beforeEach(async () => {
      opened = [];
      writers = [];
      place = await server().makePlace();
      database = open();
    });

    afterEach(async () => {
      await Promise.all(writers.map((writer) => writer.release()));
      await Promise.all(opened.map((each) => each.close()));
    });

    describe('a network', () => {
      test('is none before one is created, and then the one that was', async () => {
        expect(await database.genesisHash()).toBeNull();
        await database.create(NETWORK);
        expect(new Uint8Array((await open().genesisHash())!)).toEqual(NETWORK);
      });

      test('is created once by any number of processes at once', async () => {
        const all = Array.from({ length: 6 }, open);
        await Promise.all(all.map((each) => each.create(NETWORK)));
        await database.create(NETWORK);
        expect(await contents(database)).toEqual({ entries: [], heads: [] });
      });

      test('is not taken for another', async () => {
        await database.create(NETWORK);
        await expectCode('GENESIS_MISMATCH', open().create(new Uint8Array(32).fill(8)));
        expect(new Uint8Array((await database.genesisHash())!)).toEqual(NETWORK);
      });
    });

    describe('a batch', () => {
      let writer: LedgerWriter;

      beforeEach(async () => {
        await database.create(NETWORK);
        writer = await acquire(database);
      });

      test('is read back by everybody, from any place', async () => {
        const batches = [batch(0, 3, { heads: 1 }), batch(3, 1), batch(4, 500, { heads: 2 })];
        for (const each of batches) await writer.append(each);
        const { entries, heads } = joined(batches);
        const reader = open();
        expect(await contents(reader)).toEqual({ entries, heads });
        expect(plain({ entries: await reader.read(2, 3), heads: [] }).entries).toEqual(entries.slice(2, 5));
        expect(await reader.read(504, 10)).toEqual([]);
        expect((await reader.heads(1)).map((head) => new Uint8Array(head))).toEqual(heads.slice(1));
        expect(await reader.heads(3)).toEqual([]);
      });

      test('may hold heads alone, entries alone, or nothing', async () => {
        const [first, second] = [batch(0, 0, { heads: 2 }), batch(0, 1)];
        for (const each of [first, batch(0, 0), second]) await writer.append(each);
        expect(await contents(database)).toEqual(joined([first, second]));
      });

      test('changes nothing when it is given again', async () => {
        const batches = [batch(0, 4, { heads: 2 }), batch(4, 1), batch(5, 0, { heads: 1 })];
        for (const each of batches) {
          await writer.append(each);
          await writer.append(each);
        }
        expect(await contents(database)).toEqual(joined(batches));
      });

      test('keeps a head that is there already once', async () => {
        const first = batch(0, 1, { heads: 1 });
        await writer.append(first);
        const second = batch(1, 1, { heads: 1 });
        await writer.append({ entries: second.entries, heads: [...first.heads, ...second.heads] });
        expect(await contents(database)).toEqual(joined([first, second]));
      });

      const wrong: [what: string, of: (there: LedgerBatch) => LedgerBatch, index: number][] = [
        ['leaves a gap', () => batch(6, 2, { heads: 1 }), 6],
        ['begins where other bytes are', () => batch(4, 1, { heads: 1 }), 4],
        [
          'overlaps the end',
          (there) => ({ entries: [there.entries[4]!, ...batch(5, 1).entries], heads: [] }),
          5,
        ],
        [
          'has a gap in it',
          () => ({ entries: [batch(5, 1), batch(7, 1)].flatMap(({ entries }) => entries), heads: [] }),
          6,
        ],
        [
          'has another leaf than the entry that is there',
          (there) => ({ entries: [{ ...there.entries[4]!, leaf: new Uint8Array(32) }], heads: [] }),
          4,
        ],
      ];
      test.each(wrong)('that %s is refused whole, and the next that fits is taken', async (_, of, index) => {
        const there = batch(0, 5, { heads: 1 });
        await writer.append(there);
        const error = await expectCode('LEDGER_CORRUPT', writer.append(of(there)));
        expect(error.details.index).toBe(index);
        expect(await contents(database)).toEqual(there);
        const next = batch(5, 1);
        await writer.append(next);
        expect(await contents(database)).toEqual(joined([there, next]));
      });

      test('that is there with other heads is refused', async () => {
        const there = batch(0, 2, { heads: 1 });
        await writer.append(there);
        await expectCode(
          'LEDGER_CORRUPT',
          writer.append({ ...there, heads: batch(0, 0, { heads: 1 }).heads }),
        );
        expect(await contents(database)).toEqual(there);
      });

      test('of large entries comes back in answers of bounded size', async () => {
        const batches = [batch(0, 5, { bytes: 3_000_000 }), batch(5, 1, { bytes: 9_000_000 }), batch(6, 1)];
        for (const each of batches) await writer.append(each);
        const sizes: number[] = [];
        for (let at = 0; at < 7; at += sizes.at(-1)!) sizes.push((await database.read(at, 100)).length);
        expect(sizes).toEqual([2, 2, 1, 1, 1]);
        const got = await contents(database);
        for (const [i, { bytes }] of joined(batches).entries.entries()) {
          expect(equalBytes(got.entries[i]!.bytes, bytes)).toBe(true);
        }
      });

      test('of which an entry went missing is told with its index', async () => {
        await writer.append(batch(0, 10));
        await place.deleteEntry(4);
        expect((await expectCode('LEDGER_CORRUPT', database.read(0, 100))).details.index).toBe(4);
        expect((await expectCode('LEDGER_CORRUPT', database.read(4, 1))).details.index).toBe(4);
        expect(await database.read(5, 100)).toHaveLength(5);
      });

      test('does not hide that the last entry went missing', async () => {
        await writer.append(batch(0, 3));
        await place.deleteEntry(2);
        await expectCode('LEDGER_CORRUPT', writer.append(batch(3, 1)));
      });

      test('of which a head went missing is told with its position', async () => {
        await writer.append(batch(0, 1, { heads: 3 }));
        await place.deleteHead(1);
        expect((await expectCode('LEDGER_CORRUPT', database.heads(0))).details.head).toBe(1);
      });
    });

    describe('the lease', () => {
      beforeEach(() => database.create(NETWORK));

      test('is waited for, and handed over at once when it is released', async () => {
        const first = await acquire(database);
        const waits = Promise.withResolvers<string>();
        const second = open().acquire({
          holder: 'second',
          ttlMs: LONG_MS,
          signal: never,
          onWait: waits.resolve,
        });
        expect(await waits.promise).toBe('first');
        const there = batch(0, 1);
        await first.append(there);
        const released = performance.now();
        await first.release();
        const writer = await second;
        writers.push(writer);
        expect(performance.now() - released).toBeLessThan(LONG_MS / 4);
        expect(writer.epoch).toBeGreaterThan(first.epoch);
        await writer.append(batch(1, 1));
        await expectCode('LEASE_LOST', first.append(batch(2, 1)));
      });

      test('of a process that died is taken over when it has run out, and not before', async () => {
        const dead = open();
        await acquire(dead, SHORT_MS, 'dead');
        // Without its connections it can renew nothing.
        await dead.close();
        const began = performance.now();
        const waited: string[] = [];
        const options = { holder: 'second', ttlMs: LONG_MS, signal: never };
        writers.push(await database.acquire({ ...options, onWait: (holder) => waited.push(holder) }));
        expect(waited).toEqual(['dead']);
        expect(performance.now() - began).toBeGreaterThan(SHORT_MS / 3);
      });

      test('of one who lives is kept for as long as it is not released', async () => {
        const first = await acquire(database, SHORT_MS);
        const aborter = new AbortController();
        const second = open().acquire({ holder: 'second', ttlMs: SHORT_MS, signal: aborter.signal });
        await new Promise((resolve) => setTimeout(resolve, 3 * SHORT_MS));
        await first.append(batch(0, 1));
        aborter.abort();
        await expectCode('STOPPED', second);
      });

      test('that was taken over is lost to its first holder, whose batches are refused', async () => {
        const first = await acquire(database);
        const there = batch(0, 1);
        await first.append(there);
        await place.expireLease();
        const second = await acquire(open(), LONG_MS, 'second');
        await expectCode('LEASE_LOST', first.append(batch(1, 1, { heads: 1 })));
        expect(((await first.lost) as GrailError).code).toBe('LEASE_LOST');
        // What comes after is refused here already.
        await expectCode('LEASE_LOST', first.append(there));
        await first.release();
        const next = batch(1, 1);
        await second.append(next);
        expect(await contents(database)).toEqual(joined([there, next]));
      });

      test('that was taken over is noticed by a holder who appends nothing', async () => {
        const first = await acquire(database, NOTICED_MS);
        await place.expireLease();
        await acquire(open(), LONG_MS, 'second');
        expect(((await first.lost) as GrailError).code).toBe('LEASE_LOST');
        await expectCode('LEASE_LOST', first.append(batch(0, 1)));
      });

      test('is lost when it cannot be renewed for as long as it lasts', async () => {
        const first = await acquire(database, SHORT_MS);
        server().freeze(true);
        const error = (await first.lost.finally(() => server().freeze(false))) as GrailError;
        expect(error.code).toBe('LEASE_LOST');
        await expectCode('LEASE_LOST', first.append(batch(0, 1)));
        writers.push(await acquire(open(), LONG_MS, 'second'));
      });

      test('is not waited for by one who is told to stop', async () => {
        await acquire(database);
        const aborter = new AbortController();
        const waits = Promise.withResolvers<string>();
        const options = { holder: 'second', ttlMs: LONG_MS, signal: aborter.signal, onWait: waits.resolve };
        const second = open().acquire(options);
        await waits.promise;
        aborter.abort();
        await expectCode('STOPPED', second);
        await expectCode('STOPPED', open().acquire(options));
      });
    });

    describe('a server', () => {
      beforeEach(() => database.create(NETWORK));

      test('that is killed in the middle of appends keeps everything that was acknowledged, and nothing in part', async () => {
        const writer = await acquire(database);
        const aborter = new AbortController();
        const done: LedgerBatch[] = [];
        let size = 0;
        let troubles = 0;
        const appending = (async () => {
          while (!aborter.signal.aborted) {
            const next = batch(size, 1 + (size % 7), { heads: size % 2 });
            await untilStored(() => writer.append(next), { signal: never, onTrouble: () => troubles++ });
            done.push(next);
            size += next.entries.length;
          }
        })();
        const grown = async () => {
          for (const before = size; size < before + 20; )
            await new Promise((resolve) => setTimeout(resolve, 5));
        };
        for (let i = 0; i < 3; i++) {
          await grown();
          await server().kill();
          await server().start();
        }
        await grown();
        aborter.abort();
        await appending;
        expect(troubles).toBeGreaterThan(0);
        expect(await contents(open())).toEqual(joined(done));
      }, 120_000);

      test('that is away is STORAGE_UNAVAILABLE to every call, and works again when it is back', async () => {
        const writer = await acquire(database);
        const there = batch(0, 2, { heads: 1 });
        await server().kill();
        const calls: [string, () => Promise<unknown>][] = [
          ['genesisHash', () => database.genesisHash()],
          ['create', () => database.create(NETWORK)],
          ['read', () => database.read(0, 1)],
          ['heads', () => database.heads(0)],
          ['append', () => writer.append(there)],
        ];
        try {
          for (const [, call] of calls) await expectCode('STORAGE_UNAVAILABLE', call);
        } finally {
          await server().start();
        }
        await writer.append(there);
        expect(await contents(database)).toEqual(there);
      });

      test('that is away is waited for by one who wants the lease', async () => {
        await server().kill();
        const waiting = acquire(database);
        await server().start();
        await (await waiting).append(batch(0, 1));
      });
    });
  });
}
