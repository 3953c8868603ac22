import type { Backend } from '../backends/backend.ts';
import type { Genesis } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { GrailError } from '../protocol/errors.ts';
import type { AnchorDebt } from '../pulse/index.ts';
import type { Trainer } from '../training/index.ts';
import { type CheckedWindow, CommitChecker, type CommitJudgement, EARLIER_POLICIES } from './check.ts';
import type { CommitInput } from './replay.ts';
import { type TrainedWindow, trainWindow } from './train-window.ts';

/** Everything of a window that is fixed when its commit phase closes. */
export interface WindowInput extends CheckedWindow {
  readonly policyVersion: number;
  /** 32 bytes. */
  readonly commitPhaseRoot: Uint8Array;
  /** Commitments that count, sorted by address. */
  readonly commits: readonly CommitInput[];
}

/** What the window's commitments alone decide: who is rejected, what challenged steps open to, the next policy. */
export interface WindowWork extends Omit<TrainedWindow, 'debt'> {
  readonly window: number;
  readonly judgements: readonly CommitJudgement[];
}

/** Policies kept to check windows in flight and to recognise stale ones. */
export const KEPT_POLICIES = 12;

/**
 * Replays, checks and trains, window by window: what every verifier and every audit computes alike. It holds the
 * policies and the trainer's state; given the same inputs it gives the same bytes on any machine.
 */
export class Judge {
  readonly genesis: Genesis;
  readonly #trainer: Trainer;
  readonly #checker: CommitChecker;
  readonly #policies = new Map<number, Policy>();
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
    this.#trainer = parts.trainer;
    this.#checker = new CommitChecker(genesis, parts.backend);
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
    const policy = this.policy(input.policyVersion);
    const earlier = earlierPolicies(this.#policies, input.policyVersion);
    const checked = input.commits.map((commit) => this.#checker.check(input, policy, earlier, commit));
    const { debt, ...trained } = trainWindow(this.genesis, this.#trainer, {
      ...input,
      base: this.policy(this.#version),
      behaviour: policy,
      trainerState: this.#state,
      debt: this.#debt,
      accepted: checked.flatMap(({ accepted }) => (accepted === null ? [] : [accepted])),
    });
    this.#debt = debt;
    this.#version += 1;
    this.#policies.set(this.#version, trained.policy);
    this.#policies.delete(this.#version - KEPT_POLICIES);
    this.#state = trained.trainerState;
    return { window: input.window, judgements: checked.map(({ judgement }) => judgement), ...trained };
  }

  dispose(): void {
    this.#checker.dispose();
  }
}

/** The policies before a version, newest first, as far as they are held. */
export function earlierPolicies(policies: ReadonlyMap<number, Policy>, version: number): Policy[] {
  const earlier: Policy[] = [];
  while (earlier.length < EARLIER_POLICIES) {
    const policy = policies.get(version - 1 - earlier.length);
    if (policy === undefined) break;
    earlier.push(policy);
  }
  return earlier;
}
