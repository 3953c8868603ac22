import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ExportOptions, type ExportSummary, exportTables } from '../../src/export/export.ts';
import { EPISODES, METRIC_NAMES, STEPS, TABLES } from '../../src/export/tables.ts';
import { replayLedger } from '../../src/export/visit.ts';
import { TestNetwork } from '../helpers/network.ts';

const GUIDE = new URL('../../docs/guides/researchers.md', import.meta.url);

type Cells = Record<string, unknown>;

const network = new TestNetwork();
const folders: string[] = [];
let folder = '';
let summary: ExportSummary;

function fresh(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'grail-export-')));
  return folders.at(-1)!;
}

function write(options: Partial<ExportOptions> = {}): Promise<ExportSummary> {
  return exportTables({
    replay: replayLedger(network.ledger, network.genesis),
    tables: TABLES,
    formats: ['jsonl'],
    folder,
    onProgress: () => {},
    signal: new AbortController().signal,
    ...options,
  });
}

function rows(table: string): Cells[] {
  const lines = readFileSync(join(folder, `${table}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as Cells);
}

/** Two windows; in the second one miner is rejected. A third has no verdict yet. */
beforeAll(async () => {
  await network.run(0);
  for (const miner of [network.miner, network.other]) network.take(miner.enrol(1));
  await network.close(1);
  for (const miner of [network.miner, network.other]) network.take(miner.commit(1));
  await network.close(1);
  network.take(network.miner.opening(1));
  await network.close(1);
  for (const part of [0, 1]) network.take(network.miner.proof(1, part, 'bb'));
  const { address } = network.other.identity;
  const got = { list: [1, 2] };
  await network.close(1, {
    [address]: { code: 'ACTION_MISMATCH', slot: 1, step: 3, expected: 'left', got },
  });
  network.take(network.miner.enrol(2));
  folder = fresh();
  summary = await write();
});

afterAll(() => {
  network.remove();
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

test('windows without a verdict are in no table', () => {
  expect(summary).toEqual({
    windows: 2,
    rows: {
      windows: 2,
      rewards: 4,
      metrics: expect.any(Number),
      episodes: expect.any(Number),
      steps: 128,
      policies: 3,
    },
    files: TABLES.map(({ name }) => `${name}.jsonl`).sort(),
  });
});

test('a window has the entries that closed its phases, its miners, credits and bytes', () => {
  expect(rows('windows')[0]).toMatchObject({
    window: 0,
    openEntry: 3,
    challengeEntry: 6,
    foldEntry: 9,
    verdictEntry: 14,
    messages: 10,
    policyVersion: 0,
    policyRoot: network.genesis.initialPolicyRoot,
    enrolled: 2,
    slots: 4,
    accepted: 2,
    rejected: 0,
    trained: 2,
  });
  expect(rows('windows')[1]).toMatchObject({ window: 1, accepted: 1, rejected: 1, trained: 1, messages: 7 });
});

test('the indices of a window lead to the entries that closed its phases', () => {
  for (const row of rows('windows')) {
    const indices = [row.openEntry, row.challengeEntry, row.foldEntry, row.verdictEntry] as number[];
    expect(indices.map((index) => network.ledger.get(index).body.type)).toEqual([
      'open',
      'challenge',
      'fold',
      'verdict',
    ]);
    expect(network.ledger.get(row.openEntry as number).body.enrolRoot).toBe(row.enrolRoot);
    expect(network.ledger.get(row.challengeEntry as number).body.commitRoot).toBe(row.commitRoot);
    expect(network.ledger.get(row.foldEntry as number).body.openingsRoot).toBe(row.openingsRoot);
  }
});

test('a reward names the rule that was broken, where, and what was expected and came', () => {
  const rejected = rows('rewards').filter(({ rejectionCode }) => rejectionCode !== null);
  expect(rejected).toEqual([
    expect.objectContaining({
      window: 1,
      miner: network.other.identity.address,
      credit: 0,
      rejectionCode: 'ACTION_MISMATCH',
      rejectionSlot: 1,
      rejectionStep: 3,
      rejectionPart: null,
      expected: 'left',
      got: '{"list":[1,2]}',
      trained: false,
    }),
  ]);
});

test('the credits of a window are the sum of its rewards', () => {
  for (const { window, credits } of rows('windows')) {
    const earned = rows('rewards').filter((row) => row.window === window);
    expect(earned.reduce((sum, { credit }) => sum + (credit as number), 0)).toBe(credits);
  }
});

test('metrics are in long form what the windows have in columns', () => {
  for (const { window, name, value, text } of rows('metrics')) {
    if (!METRIC_NAMES.includes(name as string)) continue;
    expect(rows('windows')[window as number]![name as string]).toBe(value ?? text);
  }
});

test('the steps of a slot add up to its episodes, the one that the slot cut off included', () => {
  const steps = rows('steps');
  const episodes = rows('episodes');
  expect(episodes.reduce((sum, { length }) => sum + (length as number), 0)).toBe(steps.length);
  for (const episode of episodes) {
    const own = steps.filter(
      ({ window, miner, slot, episode: number }) =>
        window === episode.window &&
        miner === episode.miner &&
        slot === episode.slot &&
        number === episode.episode,
    );
    expect(own.map(({ step }) => step)).toEqual(
      Array.from({ length: episode.length as number }, (_, i) => (episode.start as number) + i),
    );
    expect(own.reduce((sum, { reward }) => sum + (reward as number), 0)).toBe(episode.return);
    const { terminated, truncated } = own.at(-1)!;
    expect({ terminated, truncated }).toEqual({
      terminated: episode.terminated,
      truncated: episode.truncated,
    });
    expect(own.slice(0, -1).some((step) => step.terminated || step.truncated)).toBe(false);
  }
});

test('the actions of the steps are those that the miner committed', () => {
  const first = rows('steps').filter(
    ({ window, miner }) => window === 0 && miner === network.miner.identity.address,
  );
  const bits = [0x00, 0xff, 0x00, 0xff].flatMap((byte) =>
    Array.from({ length: 8 }, (_, i) => (byte >> i) & 1),
  );
  expect(first.map(({ action }) => action)).toEqual(bits);
});

test('policies are those that were published, genesis’s first', () => {
  expect(
    rows('policies').map(({ version, window, policyRoot }) => ({ version, window, policyRoot })),
  ).toEqual(
    network.state.versions.map(({ version, policyRoot }) => ({
      version,
      window: version === 0 ? null : version - 1,
      policyRoot,
    })),
  );
});

test('the same ledger gives the same bytes in every format', async () => {
  const [one, two] = [fresh(), fresh()];
  const formats = ['parquet', 'csv', 'jsonl', 'tensorboard'] as const;
  const { files } = await write({ folder: one, formats });
  await write({ folder: two, formats });
  expect(files).toHaveLength(3 * TABLES.length + 1);
  for (const file of files) expect(readFileSync(join(one, file))).toEqual(readFileSync(join(two, file)));
});

test('only the tables and formats that were asked for are written', async () => {
  const one = fresh();
  const { files } = await write({ folder: one, tables: [EPISODES], formats: ['csv'] });
  expect(files).toEqual(['episodes.csv']);
  expect(readdirSync(one)).toEqual(files);
});

test('when it is stopped it leaves what an earlier export wrote, and nothing half', async () => {
  const one = fresh();
  await write({ folder: one, tables: [EPISODES], formats: ['csv'] });
  const before = readFileSync(join(one, 'episodes.csv'), 'utf8');
  const stop = new AbortController();
  const stopped = write({
    folder: one,
    tables: [EPISODES, STEPS],
    formats: ['csv', 'parquet'],
    onProgress: () => stop.abort(),
    signal: stop.signal,
  });
  await expect(stopped).rejects.toThrow();
  expect(readdirSync(one)).toEqual(['episodes.csv']);
  expect(readFileSync(join(one, 'episodes.csv'), 'utf8')).toBe(before);
});

test('the guide lists every table and column with its type', () => {
  const guide = readFileSync(GUIDE, 'utf8');
  for (const { name, columns } of TABLES) {
    const section = guide.split(`### ${name}\n`)[1]?.split('\n### ')[0] ?? '';
    const listed = [...section.matchAll(/^\| `(\w+)` \| (\w+)(, none)? \| (.*) \|$/gm)];
    expect(
      listed.map(([, column, type, nullable, doc]) => ({
        name: column,
        type,
        nullable: nullable !== undefined,
        doc,
      })),
      name,
    ).toEqual(columns);
  }
});
