import { DatabaseError } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GrailError } from '../../src/protocol/errors.ts';
import { PostgresConnection } from '../../src/storage/postgres/connection.ts';
import { openPostgres, type PostgresLedgerDatabase } from '../../src/storage/postgres/index.ts';
import { expectCode } from '../helpers/expect-code.ts';
import {
  batch,
  contents,
  ledgerDatabaseSuite,
  NETWORK,
  never,
} from '../helpers/ledger-database-compliance.ts';
import { PASSWORD, type PostgresServer, runSql, startPostgres } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(() => server?.stop());

ledgerDatabaseSuite('a ledger in PostgreSQL', () => ({
  async makePlace() {
    const url = await server.createDatabase();
    return {
      open: () => openPostgres(url),
      deleteEntry: async (index) =>
        void (await runSql(url, `DELETE FROM grail.entries WHERE idx = ${index}`)),
      deleteHead: async (position) =>
        void (await runSql(url, `DELETE FROM grail.heads WHERE position = ${position}`)),
      expireLease: async () => void (await runSql(url, `UPDATE grail.lease SET expires = '-infinity'`)),
    };
  },
  kill: () => server.kill(),
  start: () => server.start(),
  freeze: (frozen) => server.freeze(frozen),
}));

/** Opens a database for one test. */
async function using<T>(url: string, use: (database: PostgresLedgerDatabase) => Promise<T>): Promise<T> {
  const database = openPostgres(url);
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

/** Changes a part of a URL. */
function changed(url: string, change: (url: URL) => void): string {
  const copy = new URL(url);
  change(copy);
  return copy.href;
}

describe('a batch whose answer was lost', () => {
  test('is taken once when it is given again while the first attempt is still under way', async () => {
    const url = await server.createDatabase();
    const proxy = await startTcpProxy(server.port);
    const proxied = changed(url, (copy) => {
      copy.port = String(proxy.port);
    });
    await using(proxied, async (database) => {
      await database.create(NETWORK);
      const writer = await database.acquire({ holder: 'writer', ttlMs: 60_000, signal: never });
      const there = batch(0, 3, { heads: 1 });
      // Somebody else holds the table for as long as it takes to cut the line to the first attempt.
      const locked = runSql(
        url,
        `BEGIN; LOCK TABLE grail.entries IN EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT`,
      );
      await until(
        url,
        "SELECT 1 FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'grail.entries'::regclass",
      );
      const first = writer.append(there);
      await until(url, 'SELECT 1 FROM pg_locks WHERE NOT granted');
      proxy.cut();
      await expectCode('STORAGE_UNAVAILABLE', first);
      await writer.append(there);
      await locked;
      expect(await contents(database)).toEqual(there);
      await writer.release();
    });
    await proxy.stop();
  });
});

/** Waits until a query gives a row. */
async function until(url: string, query: string): Promise<void> {
  while ((await runSql(url, query)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a session', () => {
  test('is durable and reads committed rows, whatever the database’s own settings are', async () => {
    const url = await server.createDatabase();
    const name = new URL(url).pathname.slice(1);
    await runSql(
      url,
      `ALTER DATABASE ${name} SET synchronous_commit = off;
       ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`,
    );
    const connection = new PostgresConnection(url);
    expect(await connection.query('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
    expect(await connection.query('SHOW transaction_isolation')).toEqual([
      { transaction_isolation: 'read committed' },
    ]);
    await connection.close();
  });

  test('ends a statement that takes too long', async () => {
    const connection = new PostgresConnection(await server.createDatabase());
    await expectCode('STORAGE_UNAVAILABLE', connection.query('SELECT pg_sleep(60)', [], 200));
    expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await connection.close();
  });

  test('leaves errors in a statement as they are', async () => {
    const connection = new PostgresConnection(await server.createDatabase());
    await expect(connection.query('SELECT 1 / 0')).rejects.toThrow(DatabaseError);
    await connection.close();
  });
});

describe('ledgers of one database', () => {
  test('lie in schemas of their own, also under names that SQL has a meaning for', async () => {
    const url = await server.createDatabase();
    for (const [i, schema] of ['grail', 'user', 'other_1'].entries()) {
      await using(`${url}?schema=${schema}`, (database) => database.create(new Uint8Array(32).fill(i)));
    }
    await using(`${url}?schema=user`, async (database) => {
      expect(new Uint8Array((await database.genesisHash())!)).toEqual(new Uint8Array(32).fill(1));
    });
  });

  test('may be made in a schema by one who may make none', async () => {
    const url = await server.createDatabase();
    await runSql(url, `CREATE ROLE maker LOGIN PASSWORD 'm'; CREATE SCHEMA mine AUTHORIZATION maker`);
    const asMaker = changed(url, (copy) => {
      copy.username = 'maker';
      copy.password = 'm';
    });
    await using(`${asMaker}?schema=mine`, (database) => database.create(NETWORK));
    await using(asMaker, async (database) => {
      const error = await expectCode('STORAGE_UNAVAILABLE', database.create(NETWORK));
      expect(error.message).toContain('grant');
    });
  });

  test('of another version are refused', async () => {
    const url = await server.createDatabase();
    await using(url, async (database) => {
      await database.create(NETWORK);
      await runSql(url, 'UPDATE grail.meta SET version = 2');
      const error = await expectCode('LEDGER_CORRUPT', database.genesisHash());
      expect(error.details).toMatchObject({ expected: 1, got: 2 });
      await expectCode('LEDGER_CORRUPT', database.create(NETWORK));
    });
  });
});

describe('what a person has to change', () => {
  const acquire = (database: PostgresLedgerDatabase) =>
    database.acquire({ holder: 'me', ttlMs: 10_000, signal: never });

  const faults: [what: string, change: (url: URL) => void, advice: string][] = [
    [
      'a wrong password',
      (url) => {
        url.password = 'wrong-password';
      },
      'set PGPASSWORD',
    ],
    [
      'no password',
      (url) => {
        url.password = '';
      },
      'set PGPASSWORD',
    ],
    [
      'an unknown database',
      (url) => {
        url.pathname = '/nowhere';
      },
      'createdb nowhere',
    ],
  ];
  test.each(faults)(
    '%s is told with what to do, and ends the wait for a lease',
    async (_, change, advice) => {
      const url = changed(await server.createDatabase(), change);
      await using(url, async (database) => {
        for (const call of [() => database.genesisHash(), () => acquire(database)]) {
          const error = await expectCode('STORAGE_UNAVAILABLE', call);
          expect(error.message).toContain(advice);
          expectNoPassword(error, database.name);
        }
      });
    },
  );

  test('a ledger that was never created ends the wait for a lease', async () => {
    await using(await server.createDatabase(), async (database) => {
      const error = await expectCode('STORAGE_UNAVAILABLE', acquire(database));
      expect(error.message).toContain('create it first');
    });
  });

  test('a server that is away is told with its address', async () => {
    const url = changed(await server.createDatabase(), (copy) => {
      copy.port = '1';
    });
    await using(url, async (database) => {
      const error = await expectCode('STORAGE_UNAVAILABLE', database.genesisHash());
      expect(error.message).toContain('127.0.0.1:1');
      expect(error.message).toContain('ECONNREFUSED');
      expectNoPassword(error, database.name);
    });
  });

  test('a read-only database takes nothing, and is read', async () => {
    const url = await server.createDatabase();
    const settings = async (readOnly: 'on' | 'off') => {
      await runSql(url, `ALTER SYSTEM SET default_transaction_read_only = ${readOnly}`);
      await runSql(url, 'SELECT pg_reload_conf()');
      await until(url, `SELECT 1 WHERE current_setting('default_transaction_read_only') = '${readOnly}'`);
    };
    await using(url, async (database) => {
      await database.create(NETWORK);
      const writer = await acquire(database);
      const there = batch(0, 2);
      await writer.append(there);
      await settings('on');
      const error = await expectCode('STORAGE_UNAVAILABLE', writer.append(batch(2, 1)));
      expect(error.message).toContain('read-only');
      expect(await contents(database)).toEqual(there);
      await settings('off');
      await writer.append(batch(2, 1));
      await writer.release();
    });
  });

  test('a full disk of the server takes nothing until it is freed', async () => {
    const url = await server.createDatabase();
    await using(url, async (database) => {
      await database.create(NETWORK);
      const writer = await acquire(database);
      // The server's own answer to a disk without space, given by a trigger.
      await runSql(
        url,
        `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON grail.entries EXECUTE FUNCTION full_disk()`,
      );
      const there = batch(0, 2);
      const error = await expectCode('STORAGE_UNAVAILABLE', writer.append(there));
      expect(error.message).toContain('free space');
      expect(await contents(database)).toEqual({ entries: [], heads: [] });
      await runSql(url, 'DROP TRIGGER full_disk ON grail.entries');
      await writer.append(there);
      expect(await contents(database)).toEqual(there);
      await writer.release();
    });
  });
});

function expectNoPassword(error: GrailError, name: string): void {
  const everything = `${name} ${JSON.stringify(error)} ${error.stack} ${String(error.cause)}`;
  for (const password of [PASSWORD, 'wrong-password']) expect(everything).not.toContain(password);
}
