import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeystore } from '../../src/cli/keystore.ts';
import { GrailProcess, killAll } from '../helpers/grail-process.ts';
import { LiveNetwork } from '../helpers/live-network.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';

/** `grail miner --dry-run`: real rollouts and proofs on a private network, in processes of their own. */
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-dry-'));
});

afterAll(async () => {
  await killAll();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs one to its end, with a folder of its own for temporary files: gives its report and what it left there. */
async function dryRun(...args: string[]) {
  const temporary = mkdtempSync(join(folder, 'tmp-'));
  const child = new GrailProcess(['miner', '--dry-run', '--slots', '1', '--json', ...args], {
    env: { TMPDIR: temporary },
  });
  const { code } = await child.ended;
  return { code, report: printedJson({ out: child.out }), left: readdirSync(temporary), log: child.log };
}

describe('a dry run', () => {
  test('says that this machine would be accepted, how long it took, what it would earn, and leaves nothing', async () => {
    const { code, report, left, log } = await dryRun();
    expect(code, log).toBe(0);
    expect(report).toMatchObject({
      event: 'dry-run',
      accepted: true,
      inTime: true,
      slots: 1,
      limitSeconds: 60,
      credit: 10_000_000,
      othersSlots: 0,
      emission: 1_000_000_000,
      rejection: null,
      failure: null,
      windows: [
        { window: 0, accepted: true },
        { window: 1, accepted: true },
      ],
    });
    for (const { seconds, stepsPerSecond } of report.windows) {
      expect(Object.keys(seconds)).toEqual(['enrol', 'commit', 'opening', 'prove']);
      for (const took of Object.values(seconds)) expect(took).toBeGreaterThan(0);
      expect(stepsPerSecond).toBeGreaterThan(0);
    }
    expect(left).toEqual([]);
    expect(log).toContain('credits: 10,000,000 a window for 1 slot alone, 1.0% of its emission');
  });

  test('that takes longer than phases wait would be accepted, but too late', async () => {
    const { code, report } = await dryRun('--windows', '1', '--phase-timeout', '0.1');
    expect(code).toBe(1);
    expect(report).toMatchObject({ accepted: true, inTime: false, limitSeconds: 0.1 });
    expect(report.slowest.seconds).toBeGreaterThan(0.1);
  });

  test.each([
    ['flip-one-action', [], { code: 'ACTION_MISMATCH', at: 'verdict', window: 0 }],
    ['short-commit', [], { code: 'COMMIT_SHAPE', at: 'gate', message: 'commit' }],
    // Everybody waits for its enrolment until the phase's time is over.
    ['unenrolled', ['--phase-timeout', '8'], { code: 'NOT_ENROLLED', at: 'gate' }],
  ])('shows how the cheat %s is caught', async (kind, flags, rejection) => {
    const { code, report, left, log } = await dryRun('--cheat', kind, ...flags);
    expect(code).toBe(1);
    expect(report).toMatchObject({ accepted: false, rejection });
    expect(report.rejection.advice).not.toBe('');
    expect(log).toContain('what to do: ');
    expect(left).toEqual([]);
  });

  test('stops at Ctrl-C, and leaves nothing', async () => {
    const temporary = mkdtempSync(join(folder, 'tmp-'));
    const child = new GrailProcess(['miner', '--dry-run', '--slots', '1'], { env: { TMPDIR: temporary } });
    await child.line(/window 0: rollouts/);
    expect(await child.stop('SIGINT')).toMatchObject({ code: 130 });
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe('a dry run of a network', () => {
  let network: LiveNetwork;

  beforeAll(async () => {
    network = await LiveNetwork.make({ seed: 29, miners: 1 });
    await network.verifier();
  }, 400_000);

  afterAll(() => network?.remove());

  test('is its copy, with the key that will mine, and sends it nothing', async () => {
    const keystore = join(network.directory, 'miners', '0.json');
    const { code, report, log } = await dryRun(
      '--verifier',
      network.url,
      '--keystore',
      keystore,
      '--windows',
      '1',
    );
    expect(code, log).toBe(0);
    expect(report).toMatchObject({ accepted: true, windows: [{ window: 0, accepted: true }] });
    expect(log).toContain('dry run on a private copy of devnet-29');
    expect(network.entries()).toHaveLength(1);
  });
});

describe('the flags of a dry run', () => {
  test.each([
    [['--dry-run', '--receipts', 'x'], '--receipts'],
    [['--dry-run', '--verifier', 'http://127.0.0.1:1', '--environment', 'CartPole-v1'], '--environment'],
    [
      ['--verifier', 'http://127.0.0.1:1', '--keystore', 'x', '--environment', 'CartPole-v1'],
      '--environment',
    ],
    [['--verifier', 'http://127.0.0.1:1', '--keystore', 'x', '--phase-timeout', '5'], '--phase-timeout'],
    [['--keystore', 'x'], '--verifier'],
    [['--verifier', 'http://127.0.0.1:1'], '--keystore'],
  ])('%j is USAGE, naming %s', async (args, flag) => {
    const printed = await runHere(['miner', ...args, '--json']);
    expect(printed.code).toBe(2);
    expect(printedJson(printed).error).toMatchObject({ code: 'USAGE', details: { flag } });
  });

  test('an environment that there is not, slots that do not fit, and a verifier that is away have their codes', async () => {
    const codeOf = async (...args: string[]) =>
      printedJson(await runHere(['miner', '--dry-run', '--json', ...args])).error.code;
    expect(await codeOf('--environment', 'Pong')).toBe('GENESIS_INVALID');
    expect(await codeOf('--slots', '257')).toBe('SLOTS_INVALID');
    expect(await codeOf('--verifier', 'http://127.0.0.1:1')).toBe('UNREACHABLE');
    const keystore = join(folder, 'key.json');
    await createKeystore(keystore, 'a password', 'fast');
    const printed = await runHere(['miner', '--dry-run', '--json', '--keystore', keystore], {
      GRAIL_PASSWORD: 'another',
    });
    expect(printedJson(printed).error.code).toBe('KEYSTORE_INVALID');
  });
});
