import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/storage/package-root.ts';
import { GRAIL_MAIN } from '../helpers/grail-process.ts';
import { safetensors } from '../helpers/safetensors.ts';
import { onSmallDisk } from '../helpers/small-disk.ts';

const CHILD = join(packageRoot(), 'test', 'helpers', 'disk-child.ts');
const LARGE = 8_388_608;
const STORES = ['blobs', 'pulse', 'file', 'trainer', 'ledger'];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-disk-errors-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lines = ({ stdout, stderr }: { stdout: string; stderr: string }) => {
  expect(stderr).toBe('');
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
};

describe('a disk that is full', () => {
  test.each(STORES)('is STORAGE_UNAVAILABLE for %s, which lose nothing and take what fits', (store) => {
    const [large, small] = lines(onSmallDisk(process.execPath, [CHILD, store, 'FOLDER']));
    expect(large.code, large.message).toBe('STORAGE_UNAVAILABLE');
    expect(large.message).toMatch(/free space|raise the limit|check it/);
    expect(large.details).toMatchObject({ file: expect.stringContaining('grail-small-disk-') });
    expect(small, small.message).toEqual({ code: null });
  });

  test('is told by grail pulse, without a stack', () => {
    const state = join(folder, 'state.safetensors');
    writeFileSync(
      state,
      safetensors([{ name: 'w', dtype: 'I8', shape: [LARGE], bytes: randomBytes(LARGE) }]),
    );
    const run = onSmallDisk(process.execPath, [
      GRAIL_MAIN,
      'pulse',
      'anchor',
      state,
      '-o',
      'FOLDER/anchor',
      '--json',
    ]);
    expect(run.status, run.stderr).toBe(1);
    expect(run.stderr).toContain('STORAGE_UNAVAILABLE: ');
    expect(run.stderr).not.toContain('    at ');
    expect(JSON.parse(run.stdout.trim().split('\n').at(-1)!).error.code).toBe('STORAGE_UNAVAILABLE');
  });
});

describe('a folder that may not be written', () => {
  test.each(STORES)('is STORAGE_UNAVAILABLE for %s', (store) => {
    const closed = mkdtempSync(join(folder, 'closed-'));
    chmodSync(folder, 0o755);
    chmodSync(closed, 0o555);
    const [outcome] = lines(
      spawnSync(process.execPath, [CHILD, store, closed, 'forbidden'], { encoding: 'utf8' }),
    );
    expect(outcome.code, outcome.message).toBe('STORAGE_UNAVAILABLE');
    expect(outcome.message).toMatch(/permission is denied|cannot be opened/);
  });
});
