import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { GrailProcess, grail, killAll } from '../helpers/grail-process.ts';
import { auditFolder } from '../helpers/live-network.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-demo-'));
});

afterAll(async () => {
  await killAll();
  rmSync(folder, { recursive: true, force: true });
});

describe('wrong usage of grail demo is a sentence and exit code 2', () => {
  test.each([
    [['--windows', '0'], '--windows'],
    [['--seed', '-1'], '--seed'],
    [['--slots', '1.5'], '--slots'],
    [['--miners', 'three'], '--miners'],
    [['--cheat', 'politely'], '--cheat'],
    [['--speed', '9'], '--speed'],
    [['extra'], 'extra'],
  ])('%j', async (args, named) => {
    const { code, out, err } = await grail(['demo', ...args]);
    expect([code, out]).toEqual([2, []]);
    expect(err).toMatch(/^USAGE: /);
    expect(err).toContain(named);
  });

  test('a folder that holds something else', async () => {
    const dir = join(folder, 'photographs');
    mkdirSync(dir);
    writeFileSync(join(dir, 'holiday.jpg'), '');
    const { code, err } = await grail(['demo', '--dir', dir]);
    expect([code, err]).toEqual([2, expect.stringContaining('is not empty and holds no demo')]);
    expect(readdirSync(dir)).toEqual(['holiday.jpg']);
  });

  test('a folder that holds a demo with other settings', async () => {
    const dir = join(folder, 'other');
    mkdirSync(dir);
    const settings = { seed: 3, miners: 2, slots: 4, cheat: null, keep: false };
    writeFileSync(join(dir, 'demo.json'), JSON.stringify(settings));
    const { code, err } = await grail(['demo', '--dir', dir, '--slots', '5']);
    expect([code, err]).toEqual([2, expect.stringContaining('holds a demo with --slots 4')]);
  });

  test('a folder whose settings are damaged', async () => {
    const dir = join(folder, 'damaged');
    mkdirSync(dir);
    writeFileSync(join(dir, 'demo.json'), '{"seed":');
    const { code, err } = await grail(['demo', '--dir', dir]);
    expect([code, err]).toEqual([2, expect.stringContaining('is damaged')]);
  });
});

/** Process numbers whose command line names a folder. */
function processesOf(dir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(join('/proc', pid, 'cmdline'), 'utf8').includes(dir);
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

/** Waits until no process of a folder is left, and gives how many are after all that time. */
async function leftOf(dir: string): Promise<number> {
  for (let i = 0; i < 300 && processesOf(dir).length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return processesOf(dir).length;
}

describe.runIf(existsSync('/proc/self/cmdline'))('a demo of two windows, stopped, killed and resumed', () => {
  let dir: string;
  let end: { code: number | null; result: Record<string, unknown> };

  const start = (...flags: string[]) =>
    new GrailProcess(['demo', '--windows', '2', '--dir', dir, '--phase-timeout', '120', '--json', ...flags]);

  beforeAll(() => {
    dir = join(folder, 'run');
  });

  test('Ctrl-C ends it with exit code 130 and leaves no process', async () => {
    const demo = start('--seed', '5', '--slots', '1', '--miners', '2');
    // The first line of the table: its first window is over.
    await demo.line(/^ +0 +0 /);
    expect(processesOf(dir).length).toBeGreaterThanOrEqual(4);
    expect(await demo.stop('SIGINT')).toEqual({ code: 130, signal: null });
    expect(demo.log).toContain('stopped');
    expect(await leftOf(dir)).toBe(0);
  }, 300_000);

  test('when it is killed its children end, and the network stays as it was', async () => {
    const demo = start();
    await demo.line(/Going on with/);
    await demo.line(/window +policy +return/);
    // The verifier and both miners, beside the demo itself.
    while (processesOf(dir).length < 4) await new Promise((resolve) => setTimeout(resolve, 50));
    await demo.stop('SIGKILL');
    expect(await leftOf(dir)).toBe(0);
  }, 300_000);

  test('it goes on, ends with exit code 0, and its last line is the result', async () => {
    const demo = start();
    const { code } = await demo.ended;
    end = { code, result: JSON.parse(demo.out.at(-1)!) };
    expect(code, demo.log).toBe(0);
    expect(demo.out).toHaveLength(1);
    expect(end.result).toMatchObject({
      dir,
      insecureDev: true,
      windows: 2,
      policyVersion: 2,
      rollouts: 4,
      steps: 1024,
      proofs: 4,
      rejections: 0,
      rejectionCodes: {},
      policyRoot: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      trainerStateRoot: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      meanReturn: expect.any(Number),
    });
    expect(await leftOf(dir)).toBe(0);
  }, 300_000);

  test('two windows have trained the policy', () => {
    const genesis = new NetworkDirectory(dir).genesis();
    expect(end.result.policyRoot).not.toBe(genesis.initialPolicyRoot);
    expect(end.result.trainerStateRoot).not.toBe(genesis.initialTrainerStateRoot);
  });

  test('its ledger audits', async () => {
    const { policyRoot, trainerStateRoot } = end.result;
    expect(await auditFolder(dir)).toMatchObject({ divergence: null, policyRoot, trainerStateRoot });
  });

  test('resumed when nothing is left to do, it gives the same result again', async () => {
    const demo = start();
    const { code } = await demo.ended;
    const { seconds: _, ...again } = JSON.parse(demo.out.at(-1)!);
    const { seconds: __, ...before } = end.result;
    expect([code, again]).toEqual([0, before]);
  }, 300_000);
});
