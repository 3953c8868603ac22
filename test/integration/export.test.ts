import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { TestNetwork } from '../helpers/network.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';

const network = new TestNetwork();
const folder = mkdtempSync(join(tmpdir(), 'grail-export-'));
let made = 0;

beforeAll(async () => {
  await network.run(0);
  await network.run(1);
});

afterAll(() => {
  network.remove();
  rmSync(folder, { recursive: true, force: true });
});

const fresh = () => join(folder, `out-${made++}`);

test('the default is every table but the steps, as Parquet, and a summary', async () => {
  const out = fresh();
  const { code, out: lines } = await runHere(['export', network.directory, '--out', out]);
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual([
    'episodes.parquet',
    'metrics.parquet',
    'policies.parquet',
    'rewards.parquet',
    'windows.parquet',
  ]);
  expect(lines).toContain(`network   ${toHex(network.state.genesisHash)}  (insecure-dev)`);
  expect(lines).toContain('rewards   4 rows');
});

test('the summary as JSON counts the rows of the files', async () => {
  const out = fresh();
  const args = ['--out', out, '--format', 'csv,parquet', '--tables', 'rewards,windows', '--steps', '--json'];
  const { rows, files, windows } = printedJson(await runHere(['export', network.directory, ...args]));
  expect(windows).toBe(2);
  expect(rows).toEqual({ windows: 2, rewards: 4, steps: 128 });
  expect(files).toEqual(readdirSync(out).sort());
  for (const [table, count] of Object.entries(rows)) {
    const file = readFileSync(join(out, `${table}.parquet`));
    expect(await parquetReadObjects({ file: new Uint8Array(file).buffer })).toHaveLength(count as number);
    const lines = readFileSync(join(out, `${table}.csv`), 'utf8').split('\r\n');
    expect(lines).toHaveLength((count as number) + 2);
  }
});

test('for TensorBoard alone there is one file', async () => {
  const out = fresh();
  const { code } = await runHere(['export', network.directory, '--out', out, '--format', 'tensorboard']);
  expect(code).toBe(0);
  expect(readdirSync(out, { recursive: true })).toEqual([
    'tensorboard',
    join('tensorboard', 'events.out.tfevents.0.grail'),
  ]);
});

test.each([
  ['a format that there is not', ['--format', 'xlsx'], /--format takes parquet, csv, jsonl, tensorboard/],
  ['a table that there is not', ['--tables', 'windows,slots'], /--tables takes .* not 'slots'/],
  ['no format', ['--format', ''], /--format takes/],
])('%s is USAGE, and nothing is written', async (_, args, message) => {
  const out = fresh();
  const { code, err } = await runHere(['export', network.directory, '--out', out, ...args]);
  expect([code, err[0]]).toEqual([2, expect.stringMatching(message)]);
  expect(existsSync(out)).toBe(false);
});

test('a bundle of a window without a verdict is NOT_FOUND, and no file is left', async () => {
  const out = fresh();
  const { code, err } = await runHere(['export', network.directory, '--bundle', '2', '--out', out]);
  expect([code, err[0]]).toEqual([1, expect.stringContaining('NOT_FOUND: window 2 has no verdict')]);
  expect(readdirSync(folder).filter((name) => name.includes(`out-${made - 1}`))).toEqual([]);
});

test('a file that is no bundle is BAD_REQUEST', async () => {
  const file = join(folder, 'notes.txt');
  writeFileSync(file, 'no bundle at all');
  const { code, err } = await runHere(['export', file, '--out', fresh()]);
  expect([code, err[0]]).toEqual([1, expect.stringContaining('BAD_REQUEST: the file is not a bundle')]);
});
