import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { packageRoot, packageVersion } from '../../src/storage/package-root.ts';

const file = join(packageRoot(), 'bin', 'runtime.mjs');
const { supported } = (await import(pathToFileURL(file).href)) as { supported(version: string): boolean };

describe('the launchers', () => {
  test.each([
    ['20.20.2', false],
    ['22.17.1', false],
    ['22.18.0', true],
    ['23.0.0', true],
    ['24.21.0', true],
    ['100.0.0', true],
  ])('Node %s is supported: %s', (version, expected) => {
    expect(supported(version)).toBe(expected);
  });

  test('grail.mjs of a checkout runs the command line and passes its exit code on', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(packageRoot(), 'bin', 'grail.mjs'), ...args], { encoding: 'utf8' });
    expect(run('--version')).toMatchObject({ status: 0, stdout: `${packageVersion()}\n`, stderr: '' });
    expect(run('frobnicate')).toMatchObject({ status: 2, stdout: '' });
  });

  test('task.mjs refuses a task or benchmark that does not exist', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(packageRoot(), 'bin', 'task.mjs'), ...args], { encoding: 'utf8' });
    for (const args of [[], ['toString'], ['bench', 'none']]) {
      expect(run(...args)).toMatchObject({ status: 1, stderr: expect.stringMatching(/^USAGE: /) });
    }
  });
});
