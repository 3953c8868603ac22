import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from '../../bench/gpu/report.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { swiftShader } from '../runner/servers.ts';

let folder: string;
let file: string;

/** Runs the unpacked archive in its own folder, with nothing of this process's environment. */
function run(...flags: string[]) {
  const manifest = swiftShader.find();
  if (manifest === null) throw new Error('SwiftShader is not installed: apt-get install chromium');
  return spawnSync('grail-gpu/run.sh', flags, {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', HOME: folder, VK_ICD_FILENAMES: manifest, VK_DRIVER_FILES: manifest },
  });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-archive-'));
  file = join(folder, 'grail-gpu.tar.gz');
  const pack = join(packageRoot(), 'bench', 'gpu', 'pack.ts');
  // Level 9 takes twice as long and is smaller still.
  const { status, stderr } = spawnSync(process.execPath, [pack, '--out', file, '--level', '6'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`packing failed: ${stderr}`);
  spawnSync('tar', ['xf', file], { cwd: folder });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the archive stays below 60 MB', () => {
  expect(statSync(file).size).toBeLessThan(60_000_000);
});

test('unpacked, it runs without the repository, and writes that everything is the same on a device that it calls emulated', () => {
  const tiny = ['--batches', '1,8', '--seconds', '0.02', '--runs', '1', '--rows', '24', '--policies', '1'];
  const rollouts = ['--slots', '16', '--steps', '2', '--threads', '1'];
  const networks = ['--networks', 'CartPole,MinAtar Breakout'];
  const { status, stdout, stderr } = run('--json', 'result.json', ...tiny, ...rollouts, ...networks);
  expect(stderr).toContain('complete: result.json');
  expect(status).toBe(0);
  expect(stdout).toContain('emulated: not a GPU');
  const report: Report = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
  expect(report).toMatchObject({ complete: true, exact: true, emulated: true, target: { reached: null } });
  expect(report.rowsCompared).toBe(2 * 2 * 24);
  expect(report.compliance!.every(({ referenceRows }) => referenceRows > 0)).toBe(true);
  const measured = report.speed!.filter(({ on }) => on === 'webgpu' || on === 'simd');
  expect(measured.length).toBe(2 * 2 * 3);
  for (const { stepsPerSecond } of measured) expect(stepsPerSecond).toBeGreaterThan(0);
  expect(report.rollouts!.map(({ on, exact }) => [on, exact])).toEqual([
    ['simd', true],
    ['webgpu', true],
  ]);
});

test('a flag that it does not know gets the usage and exit code 2, and no file', () => {
  const { status, stderr } = run('--json', 'none.json', '--batch', '1');
  expect(status).toBe(2);
  expect(stderr).toContain('usage: run.sh');
  expect(existsSync(join(folder, 'none.json'))).toBe(false);
});
