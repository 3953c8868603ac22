import { cpus } from 'node:os';
import { startRolloutEngine } from '../../rollouts/engine/index.ts';
import type { Rollouts } from '../../src/environments/index.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import { loadArtefacts } from '../../src/proofs/artefacts.ts';
import { openChallenges } from '../../src/proofs/opening.ts';
import { createProofPool, type ProofPool } from '../../src/proofs/pool.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { recipePolicy } from '../support/networks.ts';
import { median } from '../support/timing.ts';
import { windowInput } from '../support/window.ts';
import { playWindows } from './whole.ts';

export interface CostOptions {
  readonly runs: number;
  /** Of a window without anything verifiable. */
  readonly windowSeconds: number;
  readonly threads: number;
  readonly progress: (line: string) => void;
}

/** Challenged steps of a window: one proof. */
const CHALLENGES = 8;
const SLOTS = 256;
const STEPS = 512;

const ENVIRONMENTS = ['CartPole-v1', 'MinAtar/Breakout-v1'] as const;

export interface CostResult {
  readonly environment: string;
  readonly verifiable: 'commitments' | 'commitments, openings and proofs';
  /** Medians of whole windows, seconds. */
  readonly without: number;
  readonly with: number;
  /** Median over the runs of (with − without) / without, each pair of one run. */
  readonly cost: number;
}

/**
 * What being verifiable costs: the same rollouts without and with it, the window before being opened and proven while
 * they are played, as a miner does. A window is as many parts as take `windowSeconds` without.
 */
export async function costSection({ runs, windowSeconds, threads, progress }: CostOptions) {
  const results: CostResult[] = [];
  const proofSeconds: number[] = [];
  for (const environment of ENVIRONMENTS) {
    const policy = recipePolicy(environment);
    const { architecture } = policy;
    // The demo's circuit; a proof of MinAtar's network takes a key that is made for minutes.
    const proves = environment === 'CartPole-v1';
    const prover = proves
      ? await startProver({ architecture, stepsPerProof: CHALLENGES, variant: 'folds' })
      : null;
    const engine = await startRolloutEngine({ candidates: [{ name: 'simd', threads }], architecture });
    const part = (index: number) => windowInput(environment, policy, SLOTS, STEPS, index);
    const opened = await engine.play(part(0));
    const parts = await partsOf(windowSeconds, (more) => playWindows(engine, part, false, more));
    const play = (commits: boolean) => playWindows(engine, part, commits, (played) => played < parts);
    const without: number[] = [];
    const withIt: number[] = [];
    for (let run = 0; run < runs; run++) {
      const began = performance.now();
      await play(false);
      const between = performance.now();
      const proving = prover === null ? null : prover.prove(part(0), opened);
      await play(true);
      if (proving !== null) proofSeconds.push(await proving);
      without.push((between - began) / 1000);
      withIt.push((performance.now() - between) / 1000);
      progress(`cost, ${environment}: run ${run + 1} of ${runs}`);
    }
    await Promise.all([engine.close(), prover?.close()]);
    results.push({
      environment,
      verifiable: proves ? 'commitments, openings and proofs' : 'commitments',
      without: median(without),
      with: median(withIt),
      cost: median(without.map((seconds, run) => withIt[run]! / seconds - 1)),
    });
  }
  return { threads, processor: cpus()[0]?.model ?? '', proofSeconds: median(proofSeconds), results };
}

/** How many parts take so long; the first ones, in which code is compiled, do not count. */
async function partsOf(
  seconds: number,
  play: (more: (played: number) => boolean) => Promise<number>,
): Promise<number> {
  await play((played) => played < 10);
  const began = performance.now();
  const took = () => (performance.now() - began) / 1000;
  const parts = await play(() => took() < Math.min(seconds, 5));
  return Math.max(1, Math.round((parts * seconds) / took()));
}

/** A proving process, as a miner has it. */
async function startProver(spec: CircuitSpec) {
  const artefacts = await loadArtefacts(spec);
  const pool: ProofPool = createProofPool({ size: 1, artefacts });
  const prove = async (input: ReturnType<typeof windowInput>, rollouts: Rollouts): Promise<number> => {
    const began = performance.now();
    const genesis: Genesis = { ...input.genesis, challengesPerMiner: CHALLENGES, stepsPerProof: CHALLENGES };
    const { genesisHash, policy, windowSeed, miner } = input;
    const window = { window: 1, windowSeed, challengeSeed: sha256(new Uint8Array([4])) };
    const { parts } = openChallenges(genesis, genesisHash, policy, window, miner, rollouts);
    for (const { context, steps } of parts) {
      await pool.prove(witnessInput({ spec, policy, rho: 7n, context, steps }));
    }
    return (performance.now() - began) / 1000;
  };
  // The first proof loads code and keys.
  const warm = windowInput('CartPole-v1', recipePolicy('CartPole-v1'), SLOTS, STEPS, 0);
  const engine = await startRolloutEngine({
    candidates: [{ name: 'simd', threads: 1 }],
    architecture: warm.policy.architecture,
  });
  await prove(warm, await engine.play(warm));
  await engine.close();
  return { prove, close: () => pool.close() };
}

export function printCost({ proofSeconds, results }: Awaited<ReturnType<typeof costSection>>): void {
  console.log(
    `\nThe cost of being verifiable, ${CHALLENGES} challenged steps a window; opening and proof take ${proofSeconds.toFixed(2)} s beside the rollouts`,
  );
  console.table(
    Object.fromEntries(
      results.map((result) => [
        `${result.environment}: ${result.verifiable}`,
        {
          'without, s': Number(result.without.toFixed(2)),
          'with, s': Number(result.with.toFixed(2)),
          cost: `${(100 * result.cost).toFixed(1)}%`,
        },
      ]),
    ),
  );
}
