import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareLogits, firstDifference } from '../../bench/gpu/compare.ts';
import { type AnyBackend, simdBackend } from '../../src/backends/index.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { swiftShader } from '../runner/servers.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';

describe('the archive for a machine with a GPU', () => {
  let folder: string;
  let archive: string;

  /** Runs the unpacked archive with nothing of this checkout, and nothing of npm, in its environment. */
  const run = (args: readonly string[], driver = swiftShader.find()!) =>
    spawnSync(join(folder, 'grail-gpu', 'run.sh'), args, {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', HOME: folder, VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver },
    });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'grail-gpu-test-'));
    archive = join(folder, 'grail-gpu.tar.gz');
    const pack = join(packageRoot(), 'bench', 'gpu', 'pack.ts');
    const args = [pack, '--out', archive, '--level', '6'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the archive was not packed:\n${stderr}`);
    spawnSync('tar', ['-xzf', archive, '-C', folder]);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('has less than 60 MB', () => {
    expect(statSync(archive).size).toBeLessThan(60_000_000);
  });

  test('finds the device exact and measures it, and says that it is emulated', () => {
    const slots = process.env.GRAIL_LONG ? '8' : '0';
    const args = ['--json', 'result.json', '--batches', '1,5', '--seconds', '0.01', '--runs', '1'];
    const { status, stdout } = run([...args, '--rows', '9', '--slots', slots]);
    expect(stdout).toContain('exact: every logit is the reference’s');
    expect(stdout).toContain('emulated: these are not figures of a GPU');
    expect(status).toBe(0);
    const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
    expect(result).toMatchObject({
      exact: true,
      emulated: true,
      gpu: expect.stringContaining('SwiftShader'),
    });
    for (const comparison of result.compliance) {
      expect(comparison).toMatchObject({ rows: 9, referenceRows: 9, difference: null });
    }
    expect(result.compliance).toHaveLength(6);
    // Three networks, two batches, three contenders.
    expect(result.rates).toHaveLength(18);
    for (const { stepsPerSecond } of result.rates) expect(stepsPerSecond).toBeGreaterThan(0);
  });

  test('without a driver it says what is missing, and leaves that in its result', () => {
    const { status, stderr } = run(['--json', 'result.json'], '/nowhere.json');
    expect(status).toBe(1);
    expect(stderr).toContain('BACKEND_UNAVAILABLE: the webgpu backend finds no adapter');
    const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
    expect(result.error.code).toBe('BACKEND_UNAVAILABLE');
  });

  test('wrong flags are answered with the right ones', () => {
    for (const args of [['--frobnicate'], ['--batches', '0'], ['--runs', 'many']]) {
      const { status, stderr } = run(args);
      expect(status).toBe(2);
      expect(stderr).toContain('USAGE: run.sh');
    }
  });
});

describe('the comparison of logits', () => {
  test('names the first integer that differs', () => {
    const right = Int32Array.of(1, 2, 3, 4, 5, 6);
    expect(firstDifference(right, right, 2)).toBeNull();
    expect(firstDifference(Int32Array.of(1, 2, 3, 5, 5, 7), right, 2)).toEqual({
      row: 1,
      action: 1,
      expected: 4,
      got: 5,
    });
    expect(firstDifference(right.subarray(0, 5), right, 2)).toMatchObject({ row: 2, action: 1, expected: 6 });
  });

  test('finds one wrong logit in the last row of the last batch', async () => {
    const kernel = simdBackend();
    const wrong: AnyBackend = {
      ...kernel,
      load(policy) {
        const loaded = kernel.load(policy);
        return {
          ...loaded,
          logits(observations, batch) {
            const logits = loaded.logits(observations, batch);
            if (batch === 50) logits[99]! += 1;
            return logits;
          },
        };
      },
    };
    const policy = randomPolicy(CARTPOLE_MLP, 1);
    const batches = [3, 50].map((rows) => ({ rows, observations: randomObservations(rows, 4, rows) }));
    expect(await compareLogits(kernel, kernel, policy, batches)).toEqual({
      rows: 53,
      referenceRows: 19,
      difference: null,
    });
    const { difference } = await compareLogits(wrong, kernel, policy, batches);
    expect(difference).toMatchObject({ batch: 50, row: 49, action: 1 });
    expect(difference!.got).toBe(difference!.expected + 1);
  });
});
