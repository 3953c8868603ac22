import type { LoadedPolicy } from '../backends/backend.ts';
import type { Environment } from '../environments/environment.ts';
import { type Rollouts, runSlots } from '../environments/slots.ts';
import { POLICY_MISMATCH_FRACTION } from '../params/constants.ts';
import type { Genesis } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { forward } from '../policy/forward.ts';
import { noise, sample } from '../policy/sampler.ts';
import { policyRoot } from '../policy/snapshot.ts';
import { unpackActions } from '../protocol/actions.ts';
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { commitRoot, rolloutDigests } from '../protocol/commitment.ts';
import { GrailError, type Rejection } from '../protocol/errors.ts';
import { type MinerSeeds, minerSeeds } from '../protocol/seeds.ts';

/** Rows of one policy pass: bounds memory, and is large enough for any backend to be at full speed. */
const PASS_ROWS = 8192;

/** Slots whose seeds are tried, and policies that are, when a commitment fails and the reason is looked for. */
const DIAGNOSED_SLOTS = 1024;

/** What a commitment is checked against. */
export interface ReplayContext {
  readonly genesis: Genesis;
  readonly genesisHash: Uint8Array;
  readonly environment: Environment;
  readonly window: number;
  /** 32 bytes. */
  readonly windowSeed: Uint8Array;
  /** The window's policy on the checking backend. */
  readonly loaded: LoadedPolicy;
  /** Earlier policies, newest first: to tell a stale policy from another one. */
  readonly earlier: readonly Policy[];
}

export interface CommitInput {
  readonly miner: Hex;
  readonly slots: number;
  readonly actions: Hex;
  readonly commitRoot: Hex;
}

/** A checked commitment: its rollouts and the policy's logits for every step, or the first rule that it broke. */
export type CommitCheck =
  | { readonly miner: Hex; readonly rejection: Rejection }
  | {
      readonly miner: Hex;
      readonly rejection: null;
      readonly rollouts: Rollouts;
      /** `[slots · steps, actions]` int32. */
      readonly logits: Int32Array;
    };

/**
 * Replays a commitment: every environment step, and every action in one batched pass of the policy. Exact: an honest
 * commitment cannot fail, and one differing action rejects the whole of it, naming the first slot and step.
 */
export function checkCommit(context: ReplayContext, commit: CommitInput): CommitCheck {
  const { genesis, genesisHash, window } = context;
  const { miner, slots } = commit;
  const steps = genesis.stepsPerSlot;
  const actionCount = genesis.architecture.actions;
  let rollouts: Rollouts;
  try {
    rollouts = committedRollouts(context, commit);
  } catch (error) {
    if (!(error instanceof GrailError)) throw error;
    const { expected, got } = error.details;
    return { miner, rejection: { code: error.code, expected: expected ?? null, got: got ?? null } };
  }
  const { actions } = rollouts;
  const address = fromHex(miner);
  const seeds = minerSeeds(genesisHash, context.windowSeed, address);
  const logits = logitsOf(context.loaded, rollouts.observations, slots * steps, actionCount);
  const mismatch = firstMismatch(actions, logits, seeds, slots, steps, actionCount);
  if (mismatch !== null)
    return { miner, rejection: diagnose(context, seeds, actions, rollouts, slots, mismatch) };

  const root = toHex(
    commitRoot(rolloutDigests({ genesisHash, window, address, actions: actionCount }, rollouts)),
  );
  if (root !== commit.commitRoot) {
    return { miner, rejection: { code: 'COMMIT_ROOT_MISMATCH', expected: root, got: commit.commitRoot } };
  }
  return { miner, rejection: null, rollouts, logits };
}

/**
 * Every environment step of a commitment, from its actions and the seeds of its window.
 * @throws GrailError COMMIT_SHAPE when it does not hold the actions of all its steps
 */
export function committedRollouts(
  context: Pick<ReplayContext, 'genesis' | 'genesisHash' | 'environment' | 'windowSeed'>,
  { miner, slots, actions: packed }: CommitInput,
): Rollouts {
  const { genesis, genesisHash, environment, windowSeed } = context;
  const steps = genesis.stepsPerSlot;
  const actions = unpackActions(fromHex(packed), slots * steps, genesis.architecture.actions);
  const seeds = minerSeeds(genesisHash, windowSeed, fromHex(miner));
  return runSlots(environment, seeds, genesis.groupSize, slots, steps, (step, _observations, out) => {
    for (let slot = 0; slot < slots; slot++) out[slot] = actions[slot * steps + step]!;
  });
}

/** The policy's logits for `rows` observations, in passes of bounded size. `[rows, actions]` int32. */
function logitsOf(loaded: LoadedPolicy, observations: Int8Array, rows: number, actions: number): Int32Array {
  const width = observations.length / rows;
  const out = new Int32Array(rows * actions);
  for (let at = 0; at < rows; at += PASS_ROWS) {
    const batch = Math.min(PASS_ROWS, rows - at);
    out.set(loaded.logits(observations.subarray(at * width, (at + batch) * width), batch), at * actions);
  }
  return out;
}

interface Mismatch {
  readonly slot: number;
  readonly step: number;
  readonly expected: number;
  readonly got: number;
  /** Steps that differ, this one included. */
  readonly count: number;
}

function firstMismatch(
  actions: Uint16Array,
  logits: Int32Array,
  seeds: MinerSeeds,
  slots: number,
  steps: number,
  actionCount: number,
): Mismatch | null {
  const gumbel = new Int32Array(actionCount);
  let first: Omit<Mismatch, 'count'> | null = null;
  let count = 0;
  for (let slot = 0; slot < slots; slot++) {
    const seed = seeds.sample(slot);
    for (let step = 0; step < steps; step++) {
      const at = slot * steps + step;
      noise(seed, step, actionCount, gumbel);
      const expected = sample(logits.subarray(at * actionCount, (at + 1) * actionCount), gumbel);
      if (expected === actions[at]) continue;
      first ??= { slot, step, expected, got: actions[at]! };
      count++;
    }
  }
  return first === null ? null : { ...first, count };
}

/**
 * Why a commitment failed, as precisely as a bounded search can say. The verdict is the same whatever it finds; an
 * honest miner with a fault of its own learns where to look.
 */
function diagnose(
  context: ReplayContext,
  seeds: MinerSeeds,
  actions: Uint16Array,
  rollouts: Rollouts,
  slots: number,
  mismatch: Mismatch,
): Rejection {
  const { genesis } = context;
  const { slot, step, expected, got, count } = mismatch;
  const steps = genesis.stepsPerSlot;
  const mine = actions.subarray(slot * steps, (slot + 1) * steps);
  const width = genesis.architecture.observation;
  const observations = rollouts.observations.subarray(slot * steps * width, (slot + 1) * steps * width);

  for (const policy of context.earlier) {
    if (matches(policy, observations, mine, seeds.sample(slot))) {
      return {
        code: 'POLICY_STALE',
        slot,
        step,
        expected: toHex(policyRoot(context.loaded.policy)),
        got: toHex(policyRoot(policy)),
      };
    }
  }
  for (let other = 0; other < Math.min(genesis.maxSlots, DIAGNOSED_SLOTS); other++) {
    if (other !== slot && madeWithSeedsOf(context, seeds, other, mine)) {
      return {
        code: 'SEED_MISMATCH',
        slot,
        step,
        expected: `seeds of slot ${slot}`,
        got: `seeds of slot ${other}`,
      };
    }
  }
  const total = slots * steps;
  if (count > total * POLICY_MISMATCH_FRACTION) {
    return {
      code: 'POLICY_MISMATCH',
      slot,
      step,
      expected: `all ${total} actions of policy ${toHex(policyRoot(context.loaded.policy)).slice(0, 18)}…`,
      got: `${count} other actions`,
    };
  }
  return { code: 'ACTION_MISMATCH', slot, step, expected, got };
}

/** Whether a policy gives all `actions` on these observations with this noise. */
function matches(policy: Policy, observations: Int8Array, actions: Uint16Array, seed: Uint8Array): boolean {
  const { observation: width, actions: actionCount } = policy.architecture;
  const gumbel = new Int32Array(actionCount);
  for (let step = 0; step < actions.length; step++) {
    noise(seed, step, actionCount, gumbel);
    const logits = forward(policy, observations.subarray(step * width, (step + 1) * width), 1);
    if (sample(logits, gumbel) !== actions[step]) return false;
  }
  return true;
}

/** Whether the actions are what the policy does from the seeds of slot `other`. Stops at the first that is not. */
function madeWithSeedsOf(
  context: ReplayContext,
  seeds: MinerSeeds,
  other: number,
  actions: Uint16Array,
): boolean {
  const { genesis, environment, loaded } = context;
  const { observation: width, actions: actionCount } = genesis.architecture;
  const batch = environment.create(1);
  const group = Math.floor(other / genesis.groupSize);
  const seed = seeds.sample(other);
  const observation = new Int8Array(width);
  const gumbel = new Int32Array(actionCount);
  const action = new Uint16Array(1);
  const reward = new Float32Array(1);
  const terminated = new Uint8Array(1);
  const truncated = new Uint8Array(1);
  let episode = 0;
  batch.seed(0, seeds.environment(other));
  batch.reset(0, seeds.task(group, episode));
  for (let step = 0; step < actions.length; step++) {
    batch.observe(observation);
    noise(seed, step, actionCount, gumbel);
    action[0] = sample(forward(loaded.policy, observation, 1), gumbel);
    if (action[0] !== actions[step]) return false;
    batch.step(action, step, reward, terminated, truncated);
    if (terminated[0] === 1 || truncated[0] === 1) batch.reset(0, seeds.task(group, ++episode));
  }
  return true;
}
