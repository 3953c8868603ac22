import type { Rollouts } from '../src/environments/index.ts';
import { type Opening, openChallenges } from '../src/proofs/opening.ts';
import type { ProofPool } from '../src/proofs/pool.ts';
import type { ProofStage } from '../src/proofs/prove.ts';
import { circuitSpec } from '../src/proofs/spec.ts';
import { type ProverInput, witnessInput } from '../src/proofs/witness-input.ts';
import type { MessageOf } from '../src/protocol/messages.ts';
import type { Conduct, WindowContext } from './conduct.ts';
import type { RolloutEngine } from './engine/index.ts';
import type { MinerEvent, Progress } from './events.ts';

/** What makes proofs: a ProofPool, or anything that proves. */
export type Prover = Pick<ProofPool, 'prove'>;

export interface WorkParts {
  readonly conduct: Conduct;
  readonly engine: RolloutEngine;
  readonly prover: Prover;
  readonly log: (event: MinerEvent) => void;
  readonly onProgress: (progress: Progress) => void;
  readonly signal: AbortSignal;
  /** Milliseconds of a clock that only moves forward, for reports. */
  readonly now: () => number;
}

/**
 * What one miner makes for one window. Each thing is made once and when it is first needed, so that a miner which was
 * killed makes again only what later phases stand on.
 */
export class WindowWork {
  readonly #context: WindowContext;
  readonly #parts: WorkParts;
  #rollouts: Promise<Rollouts> | null = null;
  #opening: Promise<Opening> | null = null;
  #commits: Promise<MessageOf<'commit'>[]> | null = null;
  #openings: Promise<MessageOf<'opening'>[]> | null = null;

  constructor(context: WindowContext, parts: WorkParts) {
    this.#context = context;
    this.#parts = parts;
  }

  commits(): Promise<MessageOf<'commit'>[]> {
    this.#commits ??= this.#parts.conduct
      .commits(this.#context, () => this.rollouts())
      .catch((error) => {
        // What failed for now (a blob that could not be fetched) is made when it is wanted again.
        this.#commits = null;
        throw error;
      });
    return this.#commits;
  }

  openings(): Promise<MessageOf<'opening'>[]> {
    this.#openings ??= this.opening()
      .then((opening) => this.#parts.conduct.openings(this.#context, opening))
      .catch((error) => {
        this.#openings = null;
        throw error;
      });
    return this.#openings;
  }

  async proofs(part: number): Promise<MessageOf<'proof'>[]> {
    return this.#parts.conduct.proofs(this.#context, part, () => this.#prove(part));
  }

  rollouts(): Promise<Rollouts> {
    this.#rollouts ??= this.#generate().catch((error) => {
      this.#rollouts = null;
      throw error;
    });
    return this.#rollouts;
  }

  opening(): Promise<Opening> {
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #generate(): Promise<Rollouts> {
    const { view, policies, window } = this.#context;
    const { conduct, engine, log, now } = this.#parts;
    const version = window.open!.policyVersion;
    const before = now();
    const { blobs, bytes } = await policies.reach(view.versions, version);
    const between = now();
    if (blobs > 0) {
      const seconds = (between - before) / 1000;
      log({ event: 'policy', window: window.window, version, blobs, bytes, seconds });
    }
    const rollouts = await conduct.rollouts(this.#context);
    const seconds = (now() - between) / 1000;
    log({
      event: 'rollouts',
      window: window.window,
      slots: rollouts.slots,
      steps: rollouts.steps,
      meanReturn: meanReturn(rollouts),
      seconds,
      stepsPerSecond: Math.round((rollouts.slots * rollouts.steps) / Math.max(seconds, 0.001)),
      backend: engine.backend,
      memory: {
        rollouts: bytesOf(rollouts),
        backends: engine.memoryBytes,
        resident: process.memoryUsage.rss(),
      },
    });
    return rollouts;
  }

  async #open(): Promise<Opening> {
    const { genesis, genesisHash, identity, view, policies, window } = this.#context;
    const rollouts = await this.rollouts();
    const { policy } = await policies.reach(view.versions, window.open!.policyVersion);
    const challenged = {
      window: window.window,
      windowSeed: window.open!.seed,
      challengeSeed: window.challenge!.seed,
    };
    return openChallenges(genesis, genesisHash, policy, challenged, identity.address, rollouts);
  }

  async #prove(part: number): Promise<Uint8Array> {
    const { genesis, view, policies, window } = this.#context;
    const { parts } = await this.opening();
    const { policy } = await policies.reach(view.versions, window.open!.policyVersion);
    const { context, steps } = parts[part]!;
    const input: ProverInput = {
      spec: circuitSpec(genesis),
      policy,
      rho: window.fold!.rho,
      context,
      steps,
    };
    const { prover, signal, onProgress } = this.#parts;
    const onStage = (stage: ProofStage) => {
      if (stage === 'witness') onProgress({ kind: 'proving', window: window.window, part });
    };
    const { proof } = await prover.prove(witnessInput(input), { signal, onStage });
    return proof;
  }
}

/** Mean return of the episodes that ended, or null without any: a report, nothing reads it. */
function meanReturn({ episodes }: Rollouts): number | null {
  if (episodes.length === 0) return null;
  return episodes.reduce((sum, episode) => sum + episode.return, 0) / episodes.length;
}

function bytesOf({ observations, actions, rewards, terminated, truncated }: Rollouts): number {
  const arrays = [observations, actions, rewards, terminated, truncated];
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
