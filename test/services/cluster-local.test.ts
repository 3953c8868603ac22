import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../deploy/servers/process.ts';

const LOCAL = fileURLToPath(new URL('../../deploy/local.ts', import.meta.url));

interface Running {
  readonly gateways: readonly string[];
  readonly processes: readonly { readonly name: string; readonly pid: number; readonly url: string }[];
}

/** PostgreSQL runs as somebody else when the tests run as root, who must reach the folder. */
const folder = join(tmpdir(), `grail-local-${process.pid}`);
let flags: string[];
let child: ChildProcess | undefined;

beforeAll(async () => {
  mkdirSync(folder);
  const ports = ['--port', String(await freePort()), '--operator-port', String(await freePort())];
  const one = ['sequencers', 'gateways', 'checkers', 'trainers'].flatMap((role) => [`--${role}`, '1']);
  flags = ['--dir', folder, '--json', '--seed', '5', ...ports, ...one];
});

afterAll(async () => {
  if (child?.exitCode === null) await stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts everything, and waits until it runs. */
async function start(): Promise<Running> {
  child = spawn(process.execPath, [LOCAL, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout! })) return JSON.parse(line);
  throw new Error('it ended');
}

async function stop(): Promise<number> {
  const closed = once(child!, 'close');
  child!.kill('SIGINT');
  const [code] = await closed;
  return code;
}

const statusOf = async ({ gateways }: Running) =>
  (await (await fetch(`${gateways[0]}/v1/status`)).json()) as { genesisHash: string };

test('the whole set runs on one machine, starts again what ends, stops in order, and goes on', async () => {
  const first = await start();
  expect(first.processes.map(({ name }) => name)).toEqual([
    'sequencer-0',
    'gateway-0',
    'checker-0',
    'trainer-0',
  ]);
  const { genesisHash } = await statusOf(first);
  const checker = first.processes.find(({ name }) => name === 'checker-0')!;
  process.kill(checker.pid, 'SIGKILL');
  await expect.poll(() => ready(checker.url), { timeout: 60_000 }).toBe(false);
  await expect.poll(() => ready(checker.url), { timeout: 100_000 }).toBe(true);

  expect(await stop()).toBe(130);
  for (const { url } of first.processes) expect(await ready(url)).toBe(false);

  const second = await start();
  expect((await statusOf(second)).genesisHash).toBe(genesisHash);
  expect(await stop()).toBe(130);
}, 400_000);

/** Whether a process answers. */
async function ready(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`)).ok;
  } catch {
    return false;
  }
}
