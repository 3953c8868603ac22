import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Servers, startServers } from '../../deploy/servers/index.ts';
import { runSql } from '../../deploy/servers/postgres.ts';
import { besidePostgres } from '../../deploy/servers/programs.ts';
import { openPostgres } from '../../src/storage/postgres/index.ts';
import { LiveCluster } from '../helpers/cluster.ts';
import { killAll } from '../helpers/grail-process.ts';
import { LiveNetwork, runsOut } from '../helpers/live-network.ts';

/** The tests tell one story of one network, in order: a window each in one process, in several, and after a restore. */
const SIZES = { sequencer: 1, gateway: 1, checker: 1, trainer: 1 } as const;

let servers: Servers;
let folder: string;
let alone: LiveNetwork;
let moved: LiveCluster;
let restored: LiveCluster;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'grail-restore-'));
  servers = await startServers({ blobs: { folder: join(folder, 'blobs') }, fsync: false });
  alone = await LiveNetwork.make({ seed: 31, miners: 1 });
  const verifier = await alone.verifier({ windows: 1, phaseTimeout: 600 });
  alone.miner(0);
  await runsOut(verifier);
  await killAll();
});

afterAll(async () => {
  await killAll();
  await moved?.remove();
  await restored?.remove();
  alone?.remove();
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a network until it has a number of verdicts, and stops it. */
async function train(network: LiveCluster, windows: number): Promise<void> {
  await network.processes.start();
  const [url] = await network.processes.urls();
  network.miner(0, url!);
  await network.line(new RegExp(`window ${windows - 1}: verdict`));
  await killAll();
  await network.processes.stop();
}

test('the network of one process goes on in several, from a copy of its ledger', async () => {
  moved = LiveCluster.adopt(
    await servers.placesOf('moved'),
    { operator: alone.directory, miners: join(alone.directory, 'miners') },
    { sizes: SIZES, sequencerFlags: ['--windows', '2'] },
  );
  await train(moved, 2);
  const before = alone.entries();
  expect((await moved.entries()).slice(0, before.length)).toEqual(before);
  expect(await moved.audit()).toMatchObject({ divergence: null, windows: 2 });
}, 400_000);

test('a dump that is restored into another database passes an audit and goes on', async () => {
  const places = await servers.placesOf('restored');
  const dump = execFileSync(besidePostgres('pg_dump'), ['--schema=grail', moved.places.database]);
  const psql = ['--quiet', '--single-transaction', '--set', 'ON_ERROR_STOP=1', places.database];
  execFileSync(besidePostgres('psql'), psql, { input: dump });
  cpSync(moved.places.blobs, places.blobs, { recursive: true });
  restored = LiveCluster.adopt(
    places,
    { operator: moved.operator, miners: join(moved.folder, 'miners') },
    { sizes: SIZES, sequencerFlags: ['--windows', '3'] },
  );
  expect(await restored.audit()).toMatchObject({ divergence: null, windows: 2 });
  await train(restored, 3);
  expect(await restored.audit()).toMatchObject({ divergence: null, windows: 3 });
}, 400_000);

test('who may only read the database can follow it, and cannot become its writer', async () => {
  await runSql(
    restored.places.database,
    `CREATE ROLE reader LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA grail TO reader;
     GRANT SELECT ON ALL TABLES IN SCHEMA grail TO reader`,
  );
  const url = new URL(restored.places.database);
  url.username = 'reader';
  url.password = 'r';
  const database = openPostgres(url.href);
  try {
    expect((await database.read(0, 10)).length).toBe(10);
    const asked = database.acquire({ holder: 'reader', ttlMs: 1_000, signal: AbortSignal.timeout(60_000) });
    await expect(asked).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  } finally {
    await database.close();
  }
});
