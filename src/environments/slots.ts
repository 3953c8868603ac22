import type { MinerSeeds } from '../protocol/seeds.ts';
import type { Environment } from './environment.ts';
import { SlotRun, SUMMARY } from './slot-run.ts';

/** A finished episode, for reports: training and pay never read it. */
export interface EpisodeSummary {
  readonly slot: number;
  /** Step of the slot at which it began. */
  readonly start: number;
  readonly length: number;
  readonly return: number;
}

/** Where rollouts are written: arrays are slot-major, index = slot·steps + step. They may lie in shared memory. */
export interface RolloutArrays {
  /** `[slots · steps, observation]` int8: what the policy saw before each step. */
  readonly observations: Int8Array;
  /** `[slots · steps]`. */
  readonly actions: Uint16Array;
  /** `[slots · steps]`. */
  readonly rewards: Float32Array;
  /** `[slots · steps]`, 1 where the step ended its episode in a terminal state. */
  readonly terminated: Uint8Array;
  /** `[slots · steps]`, 1 where the step ended its episode by the time limit. */
  readonly truncated: Uint8Array;
}

/** What a run leaves beside the arrays, in typed arrays that travel between threads. Indices and slots are the whole window's. */
export interface SlotEnds {
  /** Ascending flat indices of the steps whose value must be bootstrapped: truncated ones and each slot's last, unless terminal. */
  readonly bootstrapIndex: Uint32Array;
  /** `[bootstrapIndex.length, observation]` int8: the state after such a step. */
  readonly bootstrapObservations: Int8Array;
  /** `[episodes, 3]`: slot, start and length of those that ended, by end step, then slot. */
  readonly summaries: Uint32Array;
  /** `[episodes]`. */
  readonly returns: Float64Array;
}

/** Rollouts of `slots` slots of `steps` steps each: what training reads. */
export interface Rollouts extends RolloutArrays, Pick<SlotEnds, 'bootstrapIndex' | 'bootstrapObservations'> {
  readonly slots: number;
  readonly steps: number;
  /** By end step, then slot. */
  readonly episodes: readonly EpisodeSummary[];
}

/** Chooses the actions of all slots at one step. `observations` is `[slots, observation]`; writes `actions`. */
export type Actor = (step: number, observations: Int8Array, actions: Uint16Array) => void;

/**
 * Arrays of zeros for `slots` slots of `steps` steps.
 *
 * @param options.shared one SharedArrayBuffer holds them all, so that workers may write into it
 * @throws RangeError when there is not so much memory
 */
export function rolloutArrays(
  slots: number,
  steps: number,
  observation: number,
  options: { shared?: boolean } = {},
): RolloutArrays {
  const size = slots * steps;
  if (options.shared !== true) {
    return {
      observations: new Int8Array(size * observation),
      actions: new Uint16Array(size),
      rewards: new Float32Array(size),
      terminated: new Uint8Array(size),
      truncated: new Uint8Array(size),
    };
  }
  let end = 0;
  const place = (bytes: number) => {
    const at = end;
    end += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return at;
  };
  const observations = place(size * observation);
  const actions = place(size * Uint16Array.BYTES_PER_ELEMENT);
  const rewards = place(size * Float32Array.BYTES_PER_ELEMENT);
  const terminated = place(size);
  const truncated = place(size);
  const buffer = new SharedArrayBuffer(end);
  return {
    observations: new Int8Array(buffer, observations, size * observation),
    actions: new Uint16Array(buffer, actions, size),
    rewards: new Float32Array(buffer, rewards, size),
    terminated: new Uint8Array(buffer, terminated, size),
    truncated: new Uint8Array(buffer, truncated, size),
  };
}

/** A cache line. */
const ALIGNMENT = 64;

/**
 * Joins runs that together cover slots 0 to slots − 1 of a window, given in the order of their first slots: the same
 * rollouts for every way of dividing them.
 */
export function joinRuns(
  slots: number,
  steps: number,
  out: RolloutArrays,
  ends: readonly SlotEnds[],
): Rollouts {
  const count = ends.reduce((sum, { bootstrapIndex }) => sum + bootstrapIndex.length, 0);
  const values = ends.reduce((sum, { bootstrapObservations }) => sum + bootstrapObservations.length, 0);
  const bootstrapIndex = new Uint32Array(count);
  const bootstrapObservations = new Int8Array(values);
  let index = 0;
  let value = 0;
  for (const run of ends) {
    bootstrapIndex.set(run.bootstrapIndex, index);
    bootstrapObservations.set(run.bootstrapObservations, value);
    index += run.bootstrapIndex.length;
    value += run.bootstrapObservations.length;
  }
  const episodes = ends.flatMap(episodesOf);
  // Sorting keeps the order of equals: slots ascend within the episodes that ended at a step.
  if (ends.length > 1) episodes.sort((a, b) => a.start + a.length - (b.start + b.length));
  return { slots, steps, ...out, bootstrapIndex, bootstrapObservations, episodes };
}

function episodesOf({ summaries, returns }: SlotEnds): EpisodeSummary[] {
  return Array.from(returns, (total, i) => ({
    slot: summaries[i * SUMMARY]!,
    start: summaries[i * SUMMARY + 1]!,
    length: summaries[i * SUMMARY + 2]!,
    return: total,
  }));
}

/**
 * Steps `slots` slots for exactly `steps` steps, restarting an episode when it ends. Miners call it with the policy
 * as actor, verifiers with the committed actions: the same code, hence the same bits.
 */
export function runSlots(
  environment: Environment,
  seeds: MinerSeeds,
  groupSize: number,
  slots: number,
  steps: number,
  actor: Actor,
): Rollouts {
  const out = rolloutArrays(slots, steps, environment.observation);
  const run = new SlotRun(environment, seeds, groupSize, { first: 0, slots, steps }, out);
  while (!run.done) {
    actor(run.step, run.observations, run.actions);
    run.advance();
  }
  return joinRuns(slots, steps, out, [run.ends()]);
}
