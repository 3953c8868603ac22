import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPostgres } from '../../src/storage/postgres/index.ts';
import { createMetrics, observeDatabase } from '../../verifier/metrics/index.ts';
import { batch, NETWORK, never } from '../helpers/ledger-database-compliance.ts';
import { samples } from '../helpers/metrics.ts';
import { type PostgresServer, runSql, startPostgres } from '../support/postgres.ts';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(() => server?.stop());

test('a shared ledger shows who holds its lease, how long it takes and how it fails', async () => {
  const url = await server.createDatabase();
  const metrics = createMetrics();
  const value = async (series: string) => (await samples(metrics)).get(series);
  const database = observeDatabase(openPostgres(url), metrics.storage);
  const other = openPostgres(url);
  await database.create(NETWORK);
  const options = { ttlMs: 5_000, signal: never };

  const writer = await database.acquire({ holder: 'one', ...options });
  expect(await value('grail_lease_held')).toBe(1);
  expect(await value('grail_lease_epoch')).toBe(writer.epoch);
  await writer.append(batch(0, 2));
  expect(await value('grail_storage_duration_seconds_count{store="database",operation="append"}')).toBe(1);

  await runSql(url, `UPDATE grail.lease SET expires = '-infinity'`);
  const next = await other.acquire({ holder: 'two', ...options });
  await expect(writer.append(batch(2, 1))).rejects.toMatchObject({ code: 'LEASE_LOST' });
  await writer.lost;
  expect(await value('grail_lease_held')).toBe(0);
  const append = 'grail_storage_errors_total{store="database",operation="append"';
  expect(await value(`${append},code="LEASE_LOST"}`)).toBe(1);

  await next.release();
  const again = await database.acquire({ holder: 'one', ...options });
  expect(await value('grail_lease_epoch')).toBe(again.epoch);
  await again.release();
  expect(await value('grail_lease_held')).toBe(0);

  await server.kill();
  await expect(database.read(0, 10)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  const read = 'grail_storage_errors_total{store="database",operation="read"';
  expect(await value(`${read},code="STORAGE_UNAVAILABLE"}`)).toBe(1);
  await server.start();
  expect((await database.read(0, 10)).length).toBe(2);
  await database.close();
  await other.close();
});
