import type { Backend, LoadedPolicy } from '../backends/backend.ts';
import type { Environment } from '../environments/environment.ts';
import { environmentById } from '../environments/index.ts';
import { type Genesis, genesisHash } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { policyRoot, tensorBytes } from '../policy/snapshot.ts';
import { type Opening, openChallenges } from '../proofs/opening.ts';
import { type Hex, toHex, u64 } from '../protocol/bytes.ts';
import { GrailError, type Rejection } from '../protocol/errors.ts';
import { networkHash, sha256 } from '../protocol/hash.ts';
import {
  type AnchorDebt,
  anchorPays,
  encodePolicyAnchor,
  encodePolicyPatch,
  nextDebt,
} from '../pulse/index.ts';
import {
  decodeTrainerState,
  encodeTrainerState,
  type Trainer,
  trainerStateRootOfBytes,
} from '../training/index.ts';
import type { PolicyUpdate } from './bodies.ts';
import { type CommitCheck, type CommitInput, checkCommit } from './replay.ts';

/** Everything of a window that is fixed when its commit phase closes. */
export interface WindowInput {
  readonly window: number;
  readonly policyVersion: number;
  /** 32 bytes. */
  readonly windowSeed: Uint8Array;
  readonly challengeSeed: Uint8Array;
  readonly commitPhaseRoot: Uint8Array;
  /** Commitments that count, sorted by address. */
  readonly commits: readonly CommitInput[];
}

/** The judgement of one commitment. */
export interface CommitJudgement {
  readonly miner: Hex;
  readonly rejection: Rejection | null;
  readonly meanReturn: number | null;
  /** What the challenged steps open to, null with a rejection. */
  readonly opening: Opening | null;
}

/** What the window's commitments alone decide: who is rejected, what challenged steps open to, the next policy. */
export interface WindowWork {
  readonly window: number;
  readonly judgements: readonly CommitJudgement[];
  readonly update: PolicyUpdate;
  /** The next policy, version window + 1. */
  readonly policy: Policy;
  readonly patch: Uint8Array;
  readonly anchor: Uint8Array | null;
  readonly trainerState: Uint8Array;
}

/** Policies kept to check windows in flight and to recognise stale ones. */
export const KEPT_POLICIES = 12;

/**
 * Replays, checks and trains, window by window: what every verifier and every audit computes alike. It holds the
 * policies and the trainer's state; given the same inputs it gives the same bytes on any machine.
 */
export class Judge {
  readonly genesis: Genesis;
  readonly #genesisHash: Uint8Array;
  readonly #environment: Environment;
  readonly #trainer: Trainer;
  readonly #backend: Backend;
  readonly #policies = new Map<number, Policy>();
  #loaded: { version: number; policy: LoadedPolicy } | null = null;
  #state: Uint8Array;
  #version: number;
  #debt: AnchorDebt;

  /**
   * @param start the newest policy and the trainer's state at it, with the policies before it that windows in flight use
   */
  constructor(
    genesis: Genesis,
    parts: { trainer: Trainer; backend: Backend },
    start: {
      version: number;
      policies: ReadonlyMap<number, Policy>;
      trainerState: Uint8Array;
      debt: AnchorDebt;
    },
  ) {
    this.genesis = genesis;
    this.#genesisHash = genesisHash(genesis);
    this.#environment = environmentById(genesis.environment);
    this.#trainer = parts.trainer;
    this.#backend = parts.backend;
    this.#version = start.version;
    this.#state = start.trainerState;
    this.#debt = start.debt;
    for (const [version, policy] of start.policies) this.#policies.set(version, policy);
  }

  /** The newest policy version; `process` takes the window of that number. */
  get version(): number {
    return this.#version;
  }

  /** The newest policy's trainer state, encoded. */
  get trainerState(): Uint8Array {
    return this.#state;
  }

  get debt(): AnchorDebt {
    return this.#debt;
  }

  policy(version: number): Policy {
    const policy = this.#policies.get(version);
    if (policy === undefined) throw new GrailError('INTERNAL', `policy ${version} is not held`, { version });
    return policy;
  }

  /** Judges a window's commitments and trains the next policy. Windows come in order. */
  process(input: WindowInput): WindowWork {
    if (input.window !== this.#version) {
      throw new GrailError('INTERNAL', `window ${input.window} is judged out of order`, {
        expected: this.#version,
      });
    }
    const checks = this.#check(input);
    const accepted = checks.filter((check) => check.rejection === null);
    const base = this.policy(this.#version);
    const trained = this.#trainer.update({
      state: decodeTrainerState(this.genesis.architecture, this.genesis.algorithm, this.#state),
      policy: base,
      rollouts: accepted.map(({ rollouts }) => rollouts),
      behaviour: this.policy(input.policyVersion),
      staleness: this.#version - input.policyVersion,
      logits: accepted.map(({ logits }) => logits),
      shuffleSeed: networkHash('shuffle', this.#genesisHash, u64(input.window), input.commitPhaseRoot),
    });
    const version = this.#version + 1;
    const baseRoot = policyRoot(base);
    const targetRoot = policyRoot(trained.policy);
    const patch = encodePolicyPatch({ base, target: trained.policy, baseRoot, targetRoot });
    const anchor = anchorPays(this.#debt, patch.length, this.genesis.anchorEvery)
      ? encodePolicyAnchor(trained.policy)
      : null;
    const trainerState = encodeTrainerState(trained.state);
    const work: WindowWork = {
      window: input.window,
      judgements: checks.map((check) => this.#judgement(input, check)),
      update: {
        version,
        policyRoot: toHex(targetRoot),
        trainerStateRoot: toHex(trainerStateRootOfBytes(trainerState)),
        patch: { hash: toHex(sha256(patch)), bytes: patch.length },
        anchor: anchor === null ? null : { hash: toHex(sha256(anchor)), bytes: anchor.length },
        fullBytes: tensorBytes(trained.policy).length,
        metrics: { ...trained.metrics },
      },
      policy: trained.policy,
      patch,
      anchor,
      trainerState,
    };
    this.#debt = nextDebt(this.#debt, patch.length, anchor?.length ?? null);
    this.#policies.set(version, trained.policy);
    this.#policies.delete(version - KEPT_POLICIES);
    this.#state = trainerState;
    this.#version = version;
    return work;
  }

  #check(input: WindowInput): CommitCheck[] {
    const loaded = this.#load(input.policyVersion);
    const earlier: Policy[] = [];
    for (
      let version = input.policyVersion - 1;
      earlier.length < 4 && this.#policies.has(version);
      version--
    ) {
      earlier.push(this.policy(version));
    }
    const context = {
      genesis: this.genesis,
      genesisHash: this.#genesisHash,
      environment: this.#environment,
      window: input.window,
      windowSeed: input.windowSeed,
      loaded,
      earlier,
    };
    return input.commits.map((commit) => checkCommit(context, commit));
  }

  #load(version: number): LoadedPolicy {
    if (this.#loaded?.version !== version) {
      this.#loaded?.policy.dispose();
      this.#loaded = { version, policy: this.#backend.load(this.policy(version)) };
    }
    return this.#loaded.policy;
  }

  #judgement(input: WindowInput, check: CommitCheck): CommitJudgement {
    if (check.rejection !== null) {
      return { miner: check.miner, rejection: check.rejection, meanReturn: null, opening: null };
    }
    const { episodes, slots, observations, actions } = check.rollouts;
    const sum = episodes.reduce((total, episode) => total + episode.return, 0);
    const opening = openChallenges(
      this.genesis,
      this.#genesisHash,
      this.policy(input.policyVersion),
      input,
      check.miner,
      { slots, observations, actions },
    );
    return {
      miner: check.miner,
      rejection: null,
      meanReturn: episodes.length === 0 ? null : sum / episodes.length,
      opening,
    };
  }

  dispose(): void {
    this.#loaded?.policy.dispose();
    this.#loaded = null;
  }
}
