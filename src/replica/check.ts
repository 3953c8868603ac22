import type { Backend, LoadedPolicy } from '../backends/backend.ts';
import type { Environment } from '../environments/environment.ts';
import { environmentById } from '../environments/index.ts';
import type { Rollouts } from '../environments/slots.ts';
import { type Genesis, genesisHash } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { type Opening, openChallenges } from '../proofs/opening.ts';
import type { Hex } from '../protocol/bytes.ts';
import type { Rejection } from '../protocol/errors.ts';
import { type CommitInput, checkCommit } from './replay.ts';

/** What every commitment of a window is checked against. */
export interface CheckedWindow {
  readonly window: number;
  /** 32 bytes. */
  readonly windowSeed: Uint8Array;
  readonly challengeSeed: Uint8Array;
}

/** The judgement of one commitment. */
export interface CommitJudgement {
  readonly miner: Hex;
  readonly rejection: Rejection | null;
  readonly meanReturn: number | null;
  /** What the challenged steps open to, null with a rejection. */
  readonly opening: Opening | null;
}

/** What a commitment that passes gives to training. */
export interface AcceptedRollouts {
  readonly rollouts: Rollouts;
  /** `[slots · steps, actions]` int32: logits of the window's policy. */
  readonly logits: Int32Array;
}

export interface CheckedCommit {
  readonly judgement: CommitJudgement;
  /** Null with a rejection. */
  readonly accepted: AcceptedRollouts | null;
}

/** Earlier policies that a stale commitment is compared with. */
export const EARLIER_POLICIES = 4;

/**
 * Checks commitments one at a time: a pure function of the window's seeds, the policies and the commitment, so that any
 * number of machines may share them out.
 */
export class CommitChecker {
  readonly #genesis: Genesis;
  readonly #genesisHash: Uint8Array;
  readonly #environment: Environment;
  readonly #backend: Backend;
  #loaded: { readonly policy: Policy; readonly loaded: LoadedPolicy } | null = null;

  constructor(genesis: Genesis, backend: Backend) {
    this.#genesis = genesis;
    this.#genesisHash = genesisHash(genesis);
    this.#environment = environmentById(genesis.environment);
    this.#backend = backend;
  }

  /** @param earlier policies before the window's, newest first: to tell a stale policy from another one */
  check(
    window: CheckedWindow,
    policy: Policy,
    earlier: readonly Policy[],
    commit: CommitInput,
  ): CheckedCommit {
    const context = {
      genesis: this.#genesis,
      genesisHash: this.#genesisHash,
      environment: this.#environment,
      window: window.window,
      windowSeed: window.windowSeed,
      loaded: this.#load(policy),
      earlier,
    };
    const check = checkCommit(context, commit);
    const { miner } = check;
    if (check.rejection !== null) {
      const judgement = { miner, rejection: check.rejection, meanReturn: null, opening: null };
      return { judgement, accepted: null };
    }
    const { rollouts, logits } = check;
    const { episodes } = rollouts;
    const sum = episodes.reduce((total, episode) => total + episode.return, 0);
    const opening = openChallenges(this.#genesis, this.#genesisHash, policy, window, miner, rollouts);
    const meanReturn = episodes.length === 0 ? null : sum / episodes.length;
    return { judgement: { miner, rejection: null, meanReturn, opening }, accepted: { rollouts, logits } };
  }

  #load(policy: Policy): LoadedPolicy {
    if (this.#loaded?.policy !== policy) {
      this.#loaded?.loaded.dispose();
      this.#loaded = { policy, loaded: this.#backend.load(policy) };
    }
    return this.#loaded.loaded;
  }

  dispose(): void {
    this.#loaded?.loaded.dispose();
    this.#loaded = null;
  }
}
