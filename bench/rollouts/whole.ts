import { fileURLToPath } from 'node:url';
import { commitMessage } from '../../rollouts/commit.ts';
import { type RolloutEngine, type RolloutInput, startRolloutEngine } from '../../rollouts/engine/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { recipePolicy } from '../support/networks.ts';
import { Peer } from '../support/peer.ts';
import { median } from '../support/timing.ts';
import { windowInput } from '../support/window.ts';

export interface WholeOptions {
  readonly python: string | null;
  readonly runs: number;
  /** Of one turn, about. */
  readonly seconds: number;
  readonly threads: number;
  readonly progress: (line: string) => void;
}

export interface WholeResult {
  readonly environment: string;
  readonly slots: number;
  readonly on: string;
  readonly stepsPerSecond: number;
}

/** Environments side by side: those of a large miner, and those of a small one. */
const SLOTS = [64, 1024] as const;
const ENVIRONMENTS = ['CartPole-v1', 'MinAtar/Breakout-v1'] as const;

/** Steps of each slot of a window that is played over and over. */
const STEPS = 256;

/**
 * Plays windows, and commits to each unless told not to, while the next one is played: a miner's windows overlap.
 * @param more whether another window shall be played, given how many there are
 * @returns how many were played
 */
export async function playWindows(
  engine: RolloutEngine,
  input: (window: number) => RolloutInput,
  commits: boolean,
  more: (windows: number) => boolean,
): Promise<number> {
  const policyRoot = toHex(sha256(new Uint8Array([3])));
  let windows = 0;
  let playing = engine.play(input(windows), { digests: commits });
  for (;;) {
    const rollouts = await playing;
    const { genesis, genesisHash, miner } = input(windows);
    const goesOn = more(++windows);
    if (goesOn) playing = engine.play(input(windows), { digests: commits });
    if (commits) commitMessage({ genesis, genesisHash, window: windows - 1, miner, policyRoot }, rollouts);
    if (!goesOn) return windows;
  }
}

/** Steps a second of windows that take about so many seconds. */
export async function wholeRate(
  engine: RolloutEngine,
  input: (window: number) => RolloutInput,
  seconds: number,
): Promise<number> {
  const began = performance.now();
  const took = () => (performance.now() - began) / 1000;
  const windows = await playWindows(engine, input, true, () => took() < seconds);
  const { slots, genesis } = input(0);
  return (windows * slots * genesis.stepsPerSlot) / took();
}

/** Whole rollouts, commitments included, beside Gymnasium's vector environments with a PyTorch policy. */
export async function wholeSection({ python, runs, seconds, threads, progress }: WholeOptions) {
  const peer = python === null ? null : new Peer(python, fileURLToPath(new URL('whole.py', import.meta.url)));
  const versions = (await peer?.ask({ versions: true })) ?? {};
  const engines: RolloutEngine[] = [];
  const all: { result: Omit<WholeResult, 'stepsPerSecond'>; turn: () => Promise<number> }[] = [];
  for (const environment of ENVIRONMENTS) {
    const policy = recipePolicy(environment);
    const { architecture } = policy;
    const engine = await startRolloutEngine({ candidates: [{ name: 'simd', threads }], architecture });
    engines.push(engine);
    for (const slots of SLOTS) {
      all.push({
        result: { environment, slots, on: `grail, ${threads} threads` },
        turn: () =>
          wholeRate(engine, (window) => windowInput(environment, policy, slots, STEPS, window), seconds),
      });
      const hows = environment === 'CartPole-v1' ? ['vectorised', 'sync'] : ['sync'];
      for (const how of peer === null ? [] : hows) {
        const question = { environment, envs: slots, processes: threads, how, seconds, architecture };
        all.push({
          result: { environment, slots, on: `gymnasium ${how} + torch, ${threads} processes` },
          turn: async () => Number((await peer!.ask(question)).rate),
        });
      }
    }
  }
  const rates = all.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, { turn }] of all.entries()) rates[index]!.push(await turn());
    progress(`whole rollouts: run ${run + 1} of ${runs}`);
  }
  peer?.end();
  await Promise.all(engines.map((engine) => engine.close()));
  const results = all.map(
    ({ result }, index): WholeResult => ({ ...result, stepsPerSecond: median(rates[index]!) }),
  );
  return { versions, threads, results };
}

export function printWhole({ results }: Awaited<ReturnType<typeof wholeSection>>): void {
  console.log('\nWhole rollouts (environment, policy, sampling, commitment); thousand steps a second');
  const rows: Record<string, Record<string, number | string>> = {};
  for (const { environment, slots, on, stepsPerSecond } of results) {
    const ours = results.find(
      (one) => one.environment === environment && one.slots === slots && one.on.startsWith('grail'),
    )!;
    rows[`${environment}, ${slots} slots: ${on}`] = {
      'k steps/s': Number((stepsPerSecond / 1000).toPrecision(3)),
      'grail is faster by': Number((ours.stepsPerSecond / stepsPerSecond).toPrecision(3)),
    };
  }
  console.table(rows);
}
