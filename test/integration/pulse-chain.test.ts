import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { verifyLog } from '../../src/pulse/chain/index.ts';
import { FolderPulseStore } from '../../src/storage/pulse-store.ts';
import { seededRandom } from '../support/pulse.ts';
import { trust } from '../support/pulse-run.ts';

/** Publisher and receivers as processes on one folder: the publisher is killed wherever it can be. */
const script = fileURLToPath(new URL('pulse-chain-process.ts', import.meta.url));
const STEPS = 120;

let home: string;
const children = new Set<ChildProcess>();
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'grail-pulse-chain-'));
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await rm(home, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Signal or exit code, and what it said on stderr. */
  readonly ended: Promise<string>;
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  const lines: string[] = [];
  let text = '';
  let errors = '';
  child.stdout!.on('data', (data: Buffer) => {
    text += data.toString();
    const parts = text.split('\n');
    text = parts.pop()!;
    lines.push(...parts);
  });
  child.stderr!.on('data', (data: Buffer) => {
    errors += data.toString();
  });
  const ended = new Promise<string>((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? `${code} ${errors}`.trim()));
  });
  return { child, lines, ended };
}

const publish = () => start('publish', join(home, 'store'), String(STEPS));
const receive = (cache: string) => start('receive', join(home, 'store'), join(home, cache), String(STEPS));

/** Every line of a receiver is a state of the run, and the last is its end. */
function expectFollowed(lines: readonly string[], truth: readonly string[]): void {
  for (const line of lines) expect(truth).toContain(line);
  expect(lines.at(-1)).toBe(truth.at(-1));
}

test('receivers that share a cache follow a publisher, and a late one catches up', async () => {
  const publisher = publish();
  const receivers = [receive('cache'), receive('cache'), receive('cache')];
  expect(await publisher.ended).toBe('0');
  receivers.push(receive('cache'), receive('other-cache'));
  expect(await Promise.all(receivers.map(({ ended }) => ended))).toEqual(['0', '0', '0', '0', '0']);
  expect(publisher.lines).toHaveLength(STEPS);
  for (const { lines } of receivers) expectFollowed(lines, publisher.lines);
  expect(receivers[0]!.lines.length).toBeGreaterThan(1);
});

test('a publisher that is killed again and again goes on, and receivers never hold anything but its states', async () => {
  const whole = start('publish', join(home, 'unbroken'), String(STEPS));
  const receivers = [receive('cache'), receive('cache')];
  const random = seededRandom(91);
  let kills = 0;
  for (let ended = ''; ended !== '0'; ) {
    const publisher = publish();
    // Wherever it is then: a blob half-written, a blob without its manifest, between retention's two halves.
    const kill = setInterval(() => {
      if (kills >= 12 || publisher.lines.length < 2 + random(8)) return;
      kills += 1;
      publisher.child.kill('SIGKILL');
      clearInterval(kill);
    }, 1);
    ended = await publisher.ended;
    clearInterval(kill);
    expect(['0', 'SIGKILL']).toContain(ended);
  }
  expect(kills).toBe(12);
  expect(await whole.ended).toBe('0');
  expect(await Promise.all(receivers.map(({ ended }) => ended))).toEqual(['0', '0']);
  for (const { lines } of receivers) expectFollowed(lines, whole.lines);
  const store = new FolderPulseStore(join(home, 'store'));
  const log = verifyLog(await store.listManifests(0), trust);
  expect(log.at(-1)!.step).toBe(STEPS - 1);
  const blobs = new Set(await store.listBlobs());
  for (const { blob } of log) expect(blobs.has(blob.hash)).toBe(true);
});
