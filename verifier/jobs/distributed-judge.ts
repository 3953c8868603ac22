import { type Genesis, genesisHash } from '../../src/params/genesis.ts';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { type AnchorDebt, applyPolicyPatch, encodePolicyAnchor } from '../../src/pulse/index.ts';
import type { CommitJudgement } from '../../src/replica/check.ts';
import {
  earlierPolicies,
  KEPT_POLICIES,
  type WindowInput,
  type WindowWork,
} from '../../src/replica/judge.ts';
import type { JudgeStart } from '../../src/replica/load-judge.ts';
import type { CommitInput } from '../../src/replica/replay.ts';
import { trainerStateRootOfBytes } from '../../src/training/index.ts';
import {
  type EvaluateJob,
  evaluateResultSchema,
  fromJob,
  fromOpening,
  type PolicyRef,
  type ReplayJob,
  replayResultSchema,
  type TrainJob,
  toJob,
  trainResultSchema,
} from '../compute/formats.ts';
import type { Log } from '../log.ts';
import type { WorkMetrics } from '../metrics/work.ts';
import type { WindowJudge } from '../window-outcomes.ts';
import { inParallel } from './in-parallel.ts';
import type { JobClient } from './job-client.ts';

/** Replays of one window that are in the queue at one time. */
const REPLAYS_AT_ONCE = 256;

/** Times that a window's jobs are begun anew when they failed or their results were lost. */
const ROUNDS = 3;

export interface DistributedJudgeParts {
  readonly jobs: JobClient;
  readonly start: JudgeStart;
  readonly log: Log;
  readonly metrics: WorkMetrics;
}

interface Checked {
  readonly judgement: CommitJudgement;
  readonly rollouts: Hex | null;
}

/**
 * Judges windows by jobs: a replay for every commitment, as many at once as there are hands, then one that trains. Replays of
 * a window run while the window before still trains.
 */
export class DistributedJudge implements WindowJudge {
  readonly #jobs: JobClient;
  readonly #log: Log;
  readonly #firstRound: number;
  readonly #metrics: WorkMetrics;
  readonly #policies: Map<number, Policy>;
  #refs = new WeakMap<Policy, Promise<PolicyRef>>();
  /** Blobs that later windows need, by version: policies and trainer states. */
  readonly #kept = new Map<number, Hex[]>();
  #version: number;
  #trainerState: Promise<Hex>;
  #debt: AnchorDebt;
  /** Done when the windows before are. */
  #before: Promise<unknown> = Promise.resolve();

  constructor({ jobs, start, log, metrics }: DistributedJudgeParts) {
    this.#jobs = jobs;
    this.#log = log;
    this.#firstRound = jobs.epoch * ROUNDS;
    this.#metrics = metrics;
    this.#policies = new Map(start.policies);
    this.#version = start.version;
    this.#debt = start.debt;
    this.#trainerState = jobs.work.put(start.trainerState);
    this.#trainerState.then((hash) => this.#keep(start.version, hash)).catch(() => {});
  }

  async process(input: WindowInput): Promise<WindowWork> {
    const before = this.#before;
    const work = this.#process(input, before);
    this.#before = work;
    return work;
  }

  async evaluate(policy: Policy, episodes: number): Promise<number> {
    return this.#inRounds('an evaluation', async (round) => {
      const job: EvaluateJob = { policy: await this.#ref(policy), episodes, round: this.#firstRound + round };
      const result = await this.#jobs.run('evaluate', toJob(job));
      return fromJob(evaluateResultSchema, result).meanReturn;
    });
  }

  #process(input: WindowInput, before: Promise<unknown>): Promise<WindowWork> {
    return this.#inRounds(`window ${input.window}`, async (round) => {
      const checked = await this.#timed('replay', () => this.#replay(input, round));
      await before;
      return this.#timed('train', () => this.#train(input, checked, round));
    });
  }

  /** Begins anew, as other jobs, when jobs failed or their results were lost. */
  async #inRounds<T>(what: string, action: (round: number) => Promise<T>): Promise<T> {
    for (let round = 0; ; round++) {
      try {
        return await action(round);
      } catch (error) {
        const again = error instanceof GrailError && ['JOB_FAILED', 'BLOB_MISSING'].includes(error.code);
        if (!again || round + 1 === ROUNDS) throw error;
        this.#log.warn(`${what}: its jobs are begun anew: ${error.message}`, {
          code: error.code,
          round: round + 1,
        });
        // What is missing may be a policy: they are all put again.
        this.#refs = new WeakMap();
      }
    }
  }

  async #timed<T>(step: 'replay' | 'train', action: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await action();
    this.#metrics.windowWork(step, (performance.now() - began) / 1000);
    return result;
  }

  async #replay(input: WindowInput, round: number): Promise<Checked[]> {
    const policy = this.#policy(input.policyVersion);
    const earlier = earlierPolicies(this.#policies, input.policyVersion);
    const shared = {
      window: input.window,
      windowSeed: toHex(input.windowSeed),
      challengeSeed: toHex(input.challengeSeed),
      policy: await this.#ref(policy),
      earlier: await Promise.all(earlier.map((other) => this.#ref(other))),
      round: this.#firstRound + round,
    };
    return inParallel(input.commits, REPLAYS_AT_ONCE, (commit) => this.#replayOne(shared, commit));
  }

  async #replayOne(shared: Omit<ReplayJob, 'commit'>, commit: CommitInput): Promise<Checked> {
    const job: ReplayJob = { ...shared, commit };
    const result = fromJob(replayResultSchema, await this.#jobs.run('replay', toJob(job)));
    const { rejection, meanReturn, opening, rollouts } = result;
    const judgement: CommitJudgement = {
      miner: commit.miner,
      rejection,
      meanReturn,
      opening: opening === null ? null : fromOpening(opening),
    };
    if ((rejection === null) !== (opening !== null) || (rejection === null) !== (rollouts !== null)) {
      throw new GrailError('INTERNAL', 'a replay was both accepted and rejected', { miner: commit.miner });
    }
    return { judgement, rollouts };
  }

  async #train(input: WindowInput, checked: readonly Checked[], round: number): Promise<WindowWork> {
    if (input.window !== this.#version) {
      throw new GrailError('INTERNAL', `window ${input.window} is judged out of order`, {
        expected: this.#version,
      });
    }
    const base = this.#policy(this.#version);
    const accepted = checked.flatMap(({ rollouts }) => (rollouts === null ? [] : [rollouts]));
    const job: TrainJob = {
      window: input.window,
      policyVersion: input.policyVersion,
      commitPhaseRoot: toHex(input.commitPhaseRoot),
      base: await this.#ref(base),
      behaviour: await this.#ref(this.#policy(input.policyVersion)),
      trainerState: await this.#trainerState,
      debt: this.#debt,
      accepted,
      round: this.#firstRound + round,
    };
    const result = fromJob(trainResultSchema, await this.#jobs.run('train', toJob(job)));
    const { update, debt } = result;
    const { work } = this.#jobs;
    const patch = await work.get(update.patch.hash);
    const anchor = update.anchor === null ? null : await work.get(update.anchor.hash);
    const trainerState = await work.get(result.trainerState);
    if (toHex(trainerStateRootOfBytes(trainerState)) !== update.trainerStateRoot) {
      throw new GrailError('INTERNAL', 'a trained state does not have the root that it came with');
    }
    const policy = applyPolicyPatch(base, policyRoot(base), patch, fromHex(update.policyRoot));
    this.#version += 1;
    this.#policies.set(this.#version, policy);
    this.#policies.delete(this.#version - KEPT_POLICIES);
    this.#trainerState = Promise.resolve(result.trainerState);
    this.#debt = debt;
    this.#keep(this.#version, result.trainerState);
    this.#forget([...accepted, update.patch.hash, ...(update.anchor === null ? [] : [update.anchor.hash])]);
    return {
      window: input.window,
      judgements: checked.map(({ judgement }) => judgement),
      update,
      policy,
      patch,
      anchor,
      trainerState,
    };
  }

  #policy(version: number): Policy {
    const policy = this.#policies.get(version);
    if (policy === undefined) throw new GrailError('INTERNAL', `policy ${version} is not held`, { version });
    return policy;
  }

  /** The policy as a blob for jobs; put there once. */
  #ref(policy: Policy): Promise<PolicyRef> {
    const known = this.#refs.get(policy);
    if (known !== undefined) return known;
    const made = (async () => {
      const hash = await this.#jobs.work.put(encodePolicyAnchor(policy));
      for (const [version, other] of this.#policies) if (other === policy) this.#keep(version, hash);
      return { hash, root: toHex(policyRoot(policy)) };
    })();
    this.#refs.set(policy, made);
    made.catch(() => this.#refs.delete(policy));
    return made;
  }

  #keep(version: number, hash: Hex): void {
    this.#kept.set(version, [...(this.#kept.get(version) ?? []), hash]);
    for (const [old, hashes] of this.#kept) {
      if (old > this.#version - KEPT_POLICIES) continue;
      this.#kept.delete(old);
      this.#forget(hashes);
    }
  }

  /** Deletes blobs, but not those that later windows need: a policy that did not change is the same blob. */
  #forget(hashes: readonly Hex[]): void {
    const kept = new Set([...this.#kept.values()].flat());
    this.#jobs.forget(hashes.filter((hash) => !kept.has(hash)));
  }
}

/** The name of a network in the bus: the first half of its genesis hash. */
export function busNamespace(genesis: Genesis): string {
  return toHex(genesisHash(genesis)).slice(2, 18);
}
