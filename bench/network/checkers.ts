import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '../../deploy/cluster.ts';
import { type Servers, startServers } from '../../deploy/servers/index.ts';
import type { Phase } from '../../src/protocol/phases.ts';
import { storagePlaces } from '../../src/storage/open-storage.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { lineLog } from '../../verifier/log.ts';
import { openNetwork } from '../../verifier/open-network.ts';
import { Followers } from './followers.ts';
import { play } from './phase.ts';
import { Population, SMALL, type WindowSize } from './population.ts';

export interface CheckersOptions {
  /** Checker processes, of one thread each. */
  readonly checkers: readonly number[];
  /** Miners whose proofs are checked. */
  readonly miners: number;
  readonly inFlight: number;
  readonly progress: (line: string) => void;
}

/** What a window took with so many checkers: seconds from when work could begin until its last result was there. */
export interface CheckersRow {
  readonly checkers: number;
  /** Of REPLAYED commitments. */
  readonly replaySeconds: number;
  /** Of one proof a miner. */
  readonly proofSeconds: number;
}

/** Commitments whose replays are timed: large enough to outweigh a job, and enough of them to outweigh a thread’s start. */
const REPLAYED = 384;
const REPLAYED_SIZE: WindowSize = { slots: 64, stepsPerSlot: 256 };

const METRICS_POLL_MS = 100;

type WorkStep = 'replay' | 'proofs' | 'train';

/** The same windows, replayed and their proofs checked by more and more processes, which meet in PostgreSQL and NATS. */
export async function checkersSection(options: CheckersOptions): Promise<CheckersRow[]> {
  const { miners, progress } = options;
  const rows: CheckersRow[] = [];
  for (const checkers of options.checkers) {
    const replayed = await Population.make(REPLAYED, REPLAYED_SIZE, progress);
    const replaySeconds = await timed(replayed, checkers, options, async (phase, work) => {
      for (const name of ['enrol', 'commit'] as const) await phase(name);
      return work('replay');
    });
    const proven = await Population.make(miners, SMALL, progress);
    const proofSeconds = await timed(proven, checkers, options, async (phase, work) => {
      for (const name of ['enrol', 'commit', 'opening'] as const) await phase(name);
      await work('train');
      await phase('prove');
      return work('proofs');
    });
    rows.push({ checkers, replaySeconds, proofSeconds });
  }
  return rows;
}

/**
 * Runs a verifier of several processes for a population, and gives what `use` made of it. Servers are new each time: a bus
 * keeps the results of jobs, and a network made from a seed would find its own.
 */
async function timed(
  population: Population,
  checkers: number,
  { inFlight, progress }: CheckersOptions,
  use: (
    phase: (name: Phase) => Promise<unknown>,
    work: (step: WorkStep) => Promise<number>,
  ) => Promise<number>,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'grail-bench-checkers-'));
  const servers = await startServers({ blobs: { folder }, fsync: true });
  try {
    return await onServers(servers, folder, population, checkers, { inFlight, progress }, use);
  } finally {
    await servers.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onServers(
  servers: Servers,
  folder: string,
  population: Population,
  checkers: number,
  { inFlight, progress }: Pick<CheckersOptions, 'inFlight' | 'progress'>,
  use: Parameters<typeof timed>[3],
): Promise<number> {
  const places = await servers.placesOf('network');
  const home = join(folder, 'processes');
  await openNetwork({
    directory: new NetworkDirectory(join(home, 'operator')),
    places: storagePlaces(places, {}),
    role: 'sequencer',
    log: lineLog(() => {}),
    make: async () => population.devnet,
  });
  const lost = Promise.withResolvers<never>();
  const cluster = new Cluster({
    folder: home,
    places,
    env: places.env,
    sizes: { sequencer: 1, gateway: 1, checker: checkers, trainer: 1 },
    port: 0,
    flags: ['--threads', '1'],
    // A loaded machine is slow, not gone.
    sequencerFlags: ['--windows', '1', '--phase-timeout', '86400', '--lease', '120'],
    onEnded: (member, reason) => lost.reject(new Error(`${member} ended: ${reason}`)),
  });
  const run = async () => {
    await cluster.start();
    const url = new URL((await cluster.urls())[0]!);
    const operator = await cluster.members.find(({ role }) => role === 'sequencer')!.url;
    const followers = await Followers.open(url, population.miners.slice(0, 1));
    await population.catchUp(url);
    const phase = (phaseName: Phase) => {
      progress(`${checkers} checkers, ${population.miners.length} miners: ${phaseName}`);
      return play({ url, population, followers }, phaseName, 0, { inFlight });
    };
    const seconds = await use(phase, (step) => workSeconds(operator, step));
    followers.close();
    return seconds;
  };
  try {
    return await Promise.race([run(), lost.promise]);
  } finally {
    await cluster.stop();
  }
}

/** What a step of the window took, once it is done. */
async function workSeconds(operator: string, step: WorkStep): Promise<number> {
  const line = new RegExp(
    `^grail_window_work_duration_seconds_sum\\{[^}]*step="${step}"[^}]*\\} (\\S+)$`,
    'm',
  );
  for (;;) {
    const metrics = await (await fetch(`${operator}/metrics`)).text();
    const found = line.exec(metrics);
    if (found !== null) return Number(found[1]);
    await new Promise((resolve) => setTimeout(resolve, METRICS_POLL_MS));
  }
}

export function printCheckers(rows: readonly CheckersRow[], miners: number): void {
  const first = rows[0]!;
  const { slots, stepsPerSlot } = REPLAYED_SIZE;
  console.log(
    `\n${REPLAYED} commitments to ${slots} × ${stepsPerSlot} steps, and ${miners} proofs, by checker processes of one thread`,
  );
  console.table(
    rows.map(({ checkers, replaySeconds, proofSeconds }) => ({
      checkers,
      'replays/s': Number((REPLAYED / replaySeconds).toFixed(2)),
      'replays, times the first': Number((first.replaySeconds / replaySeconds).toFixed(2)),
      'proofs/s': Number((miners / proofSeconds).toFixed(0)),
      'proofs, times the first': Number((first.proofSeconds / proofSeconds).toFixed(2)),
    })),
  );
}
