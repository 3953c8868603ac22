import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from './examine.ts';
import { ManyProcesses } from './many.ts';
import type { Network } from './network.ts';
import type { Outcome, Run } from './outcome.ts';
import { type Disturbance, type PartOptions, runPart } from './part.ts';

/** Lease of these networks, and longer than it. */
const LEASE_SECONDS = 3;
const LONGER_MS = 9_000;
const SHORTER_MS = 1_500;

export type Many = Network<ManyProcesses>;

/** A network of many processes that something is done to. */
export function runMany(
  part: string,
  run: Run,
  disturb: (network: Many, told: Disturbance) => Promise<void>,
  options: { readonly databaseEnv?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const parts: PartOptions<ManyProcesses> = {
    part,
    make: (given) => new ManyProcesses({ ...given, ...options, leaseSeconds: LEASE_SECONDS }),
    disturb,
  };
  return runPart(parts, run);
}

/** A database that goes away and comes back, and one that says nothing for a while; writers that stand still or die. */
export function runDatabase(run: Run): Promise<Outcome> {
  return runMany('database away, writers that fail', run, async (network, told) => {
    for (const ms of [SHORTER_MS, LONGER_MS]) {
      await away(network.actor('postgres'), ms);
      told.count('database killed');
      await network.verdicts(1);
    }
    for (const ms of [SHORTER_MS, LONGER_MS]) {
      await frozen((on) => network.side.postgres.freeze(on), ms);
      told.count('database frozen');
      await network.verdicts(1);
    }
    await failOver(network, told);
    await freezeHolder(network, told);
  });
}

/** A bus that goes away and comes back, and one that says nothing for a while. */
export function runBus(run: Run): Promise<Outcome> {
  return runMany('bus away', run, async (network, told) => {
    for (const ms of [SHORTER_MS, LONGER_MS]) {
      await away(network.actor('nats'), ms);
      told.count('bus killed');
      await network.verdicts(1);
    }
    for (const ms of [SHORTER_MS, LONGER_MS]) {
      await frozen((on) => process.kill(network.side.nats.pid, on ? 'SIGSTOP' : 'SIGCONT'), ms);
      told.count('bus frozen');
      await network.verdicts(1);
    }
  });
}

/** Kills the sequencer that writes, in the middle of a window: the standby takes over. */
export async function failOver(network: Many, told: Disturbance): Promise<void> {
  const { side } = network;
  const before = side.holder;
  const { mark } = network;
  const began = performance.now();
  await network.actor(before).kill();
  told.count('writer killed');
  const { name } = await network.line(/has the lease/, mark);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  told.observe(
    `the standby had the lease ${seconds} s after the kill of the writer (lease: ${LEASE_SECONDS} s)`,
  );
  if (name === before) told.found('alive', `${name} was killed and took the lease again`);
  await network.actor(before).launch();
  await network.verdicts(1);
}

/** Lets the sequencer that writes stand still for longer than its lease: when it wakes, it is not the writer any more. */
async function freezeHolder(network: Many, told: Disturbance): Promise<void> {
  const { side } = network;
  const before = side.holder;
  const { mark } = network;
  const { pid } = side.member(before)!.child;
  process.kill(pid, 'SIGSTOP');
  told.count('writer frozen');
  await network.line(/has the lease/, mark);
  const end = network.nextEnd(before);
  process.kill(pid, 'SIGCONT');
  const code = codeOf(await end);
  if (code !== 'LEASE_LOST') told.found('ends', `${before} woke up without its lease and ended with ${code}`);
  told.observe('a writer that stood still for longer than its lease ends with LEASE_LOST when it wakes');
  await network.verdicts(1);
}

/** Kills a server, and starts it again after a while. */
export async function away(
  server: { kill(): Promise<void>; launch(): Promise<void> },
  ms: number,
): Promise<void> {
  await server.kill();
  await sleep(ms);
  await server.launch();
}

async function frozen(freeze: (on: boolean) => void, ms: number): Promise<void> {
  freeze(true);
  await sleep(ms);
  freeze(false);
}
