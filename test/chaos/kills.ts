import { setTimeout as sleep } from 'node:timers/promises';
import { Seeded } from '../helpers/steps.ts';
import type { Actor, Kind } from './actor.ts';
import { ManyProcesses } from './many.ts';
import { type Network, STALL_MS } from './network.ts';
import type { Outcome, Run } from './outcome.ts';
import { type Disturbance, runPart } from './part.ts';
import { OneProcess } from './side.ts';
import { undisturbed } from './undisturbed.ts';

export type Mode = 'one' | 'many';

/** How often each kind is killed, of all kinds together. */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  verifier: 12,
  sequencer: 5,
  gateway: 2,
  checker: 2,
  trainer: 3,
  miner: 3,
  postgres: 3,
  nats: 3,
};

/** Entries that come between two moments, at most. */
const MOST_ENTRIES = 3;
/** From the entry to the kill: a phase of this network takes about as long. */
const DELAY_MS = 600;
/** Until a process is started again, unless at once. */
const AWAY_MS = 3_000;

/** Kills one process after the other, at moments that the seed and the ledger choose, and starts each again. */
export function runKills(mode: Mode, moments: number, run: Run): Promise<Outcome> {
  const parts = {
    disturb: (network: Network, told: Disturbance) => killAtMoments(network, moments, told, run),
  };
  const policies = (windows: number) => undisturbed(run, windows);
  if (mode === 'one') {
    const make = (options: ConstructorParameters<typeof OneProcess>[0]) => new OneProcess(options);
    return runPart({ part: 'kills, one process', make, policies, ...parts }, run);
  }
  return runPart(
    {
      part: 'kills, many processes',
      make: (options) => new ManyProcesses({ ...options, leaseSeconds: 3 }),
      policies,
      ...parts,
    },
    run,
  );
}

/** Kills as many times, at moments that the seed chooses; what is killed is started again at once or a little later. */
export async function killAtMoments(
  network: Network,
  moments: number,
  told: Disturbance,
  run: Run,
): Promise<void> {
  const { witness, signal } = network;
  const random = new Seeded(run.seed);
  const began = performance.now();
  const restarts: Promise<void>[] = [];
  const places = new Set<string>();
  let size = witness.size;
  for (let moment = 1; moment <= moments; moment++) {
    const wanted = size + random.int(1, MOST_ENTRIES);
    const what = `entry ${wanted} after moment ${moment - 1}`;
    await witness.until(() => witness.size >= wanted, { what, patienceMs: STALL_MS, signal });
    await sleep(random.int(0, DELAY_MS), undefined, { signal });
    size = witness.size;
    const victim = drawn(network.actors, random);
    const { part } = victim;
    places.add(witness.place.replace(/window \d+, /, ''));
    await victim.kill();
    told.count(part);
    const awayMs = random.int(0, 1) === 0 ? 0 : random.int(0, AWAY_MS);
    restarts.push(sleep(awayMs, undefined, { signal }).then(() => victim.launch()));
    const minutes = ((performance.now() - began) / 60_000).toFixed(1);
    run.log(
      `moment ${moment} of ${moments}: ${part} killed in ${witness.place}, ${size} entries, ${minutes} min`,
    );
  }
  await Promise.all(restarts);
  told.observe(`phases in which something was killed: ${[...places].sort().join(', ')}`);
}

/** A process that runs, drawn by the weights of their kinds. */
function drawn(actors: readonly Actor[], random: Seeded): Actor {
  const tickets = actors.flatMap((actor) =>
    actor.running ? Array.from({ length: WEIGHTS[actor.kind] }, () => actor) : [],
  );
  return random.pick(tickets);
}
