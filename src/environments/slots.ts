import type { MinerSeeds } from '../protocol/seeds.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';

/** A finished episode, for reports: training and pay never read it. */
export interface EpisodeSummary {
  readonly slot: number;
  /** Step of the slot at which it began. */
  readonly start: number;
  readonly length: number;
  readonly return: number;
}

/**
 * Rollouts of `slots` slots of `steps` steps each: what training reads. Arrays are slot-major, index = slot·steps + step.
 */
export interface Rollouts {
  readonly slots: number;
  readonly steps: number;
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
  /** Flat indices of the steps whose value must be bootstrapped: truncated ones and each slot's last, unless terminal. */
  readonly bootstrapIndex: Uint32Array;
  /** `[bootstrapIndex.length, observation]` int8: the state after such a step. */
  readonly bootstrapObservations: Int8Array;
  readonly episodes: readonly EpisodeSummary[];
}

/** Chooses the actions of all slots at one step. `observations` is `[slots, observation]`; writes `actions`. */
export type Actor = (step: number, observations: Int8Array, actions: Uint16Array) => void;

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
  const width = environment.observation;
  const batch: EnvironmentBatch = environment.create(slots);
  const group = (slot: number) => Math.floor(slot / groupSize);
  const episode = new Uint32Array(slots);
  const start = new Uint32Array(slots);
  const total = new Float64Array(slots);
  for (let slot = 0; slot < slots; slot++) {
    batch.seed(slot, seeds.environment(slot));
    batch.reset(slot, seeds.task(group(slot), 0));
  }
  const size = slots * steps;
  const out = {
    observations: new Int8Array(size * width),
    actions: new Uint16Array(size),
    rewards: new Float32Array(size),
    terminated: new Uint8Array(size),
    truncated: new Uint8Array(size),
  };
  const bootstrap: { index: number; observation: Int8Array }[] = [];
  const episodes: EpisodeSummary[] = [];
  const now = new Int8Array(slots * width);
  const next = new Int8Array(slots * width);
  const actions = new Uint16Array(slots);
  const rewards = new Float32Array(slots);
  const terminated = new Uint8Array(slots);
  const truncated = new Uint8Array(slots);
  for (let step = 0; step < steps; step++) {
    batch.observe(now);
    actor(step, now, actions);
    batch.step(actions, step, rewards, terminated, truncated);
    batch.observe(next);
    for (let slot = 0; slot < slots; slot++) {
      const at = slot * steps + step;
      const row = slot * width;
      out.observations.set(now.subarray(row, row + width), at * width);
      out.actions[at] = actions[slot]!;
      out.rewards[at] = rewards[slot]!;
      out.terminated[at] = terminated[slot]!;
      out.truncated[at] = truncated[slot]!;
      total[slot]! += rewards[slot]!;
      const ended = terminated[slot] === 1 || truncated[slot] === 1;
      if (terminated[slot] === 0 && (truncated[slot] === 1 || step === steps - 1)) {
        bootstrap.push({ index: at, observation: next.slice(row, row + width) });
      }
      if (ended) {
        episodes.push({ slot, start: start[slot]!, length: step + 1 - start[slot]!, return: total[slot]! });
        episode[slot]! += 1;
        start[slot] = step + 1;
        total[slot] = 0;
        if (step < steps - 1) batch.reset(slot, seeds.task(group(slot), episode[slot]!));
      }
    }
  }
  bootstrap.sort((a, b) => a.index - b.index);
  const bootstrapObservations = new Int8Array(bootstrap.length * width);
  for (const [i, { observation }] of bootstrap.entries()) bootstrapObservations.set(observation, i * width);
  return {
    slots,
    steps,
    ...out,
    bootstrapIndex: Uint32Array.from(bootstrap, ({ index }) => index),
    bootstrapObservations,
    episodes,
  };
}
