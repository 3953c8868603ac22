import type { Environment } from '../environments/environment.ts';
import type { Policy } from '../policy/architecture.ts';
import { forward } from '../policy/forward.ts';
import { packSeeds, sampleBatch } from '../policy/sampler.ts';
import { u8, u64 } from '../protocol/bytes.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { SEED_BYTES } from '../protocol/seeds.ts';

/** What a seed is for. */
const TASK = 0;
const SAMPLE = 1;
const ENVIRONMENT = 2;

/** The first 16 bytes of SHA-256(tag("play") ‖ u64 seed ‖ u8 purpose). */
const derive = (seed: number, purpose: number) =>
  sha256(tag('play'), u64(seed), u8(purpose)).slice(0, SEED_BYTES);

/** Chooses the action of one step from the `[observation]` int8, or ends the episode. */
export type Player = (step: number, observation: Int8Array) => number | Stop | Promise<number | Stop>;

/** `quit`: the person at the keyboard has had enough. `interrupted`: Ctrl-C or SIGTERM. */
export type Stop = 'quit' | 'interrupted';

/** Samples as miners do. Without a policy every action has the same logit. */
export function samplingPlayer(environment: Environment, seed: number, policy: Policy | null): Player {
  const seeds = packSeeds([derive(seed, SAMPLE)]);
  const equal = new Int32Array(environment.actions);
  const action = new Uint16Array(1);
  return (step, observation) => {
    const logits = policy === null ? equal : forward(policy, observation, 1);
    sampleBatch(seeds, step, logits, environment.actions, action);
    return action[0]!;
  };
}

/** An episode after `step` steps. */
export interface Frame {
  readonly step: number;
  /** As `EnvironmentBatch.draw` gives it. */
  readonly picture: string;
  /** What was chosen last, and its reward; null before the first step. */
  readonly last: { readonly action: number; readonly reward: number } | null;
  readonly return: number;
}

export interface Episode {
  readonly actions: readonly number[];
  readonly return: number;
  /** `limit`: it would have gone on. */
  readonly end: 'terminated' | 'truncated' | 'limit' | Stop;
}

/** Plays the episode of a seed: start state and the environment's randomness depend on it alone. */
export async function playEpisode(input: {
  readonly environment: Environment;
  readonly seed: number;
  readonly player: Player;
  readonly maxSteps: number;
  readonly show: (frame: Frame) => Promise<void> | void;
}): Promise<Episode> {
  const { environment, seed, player, maxSteps, show } = input;
  const batch = environment.create(1);
  batch.seed(0, derive(seed, ENVIRONMENT));
  batch.reset(0, derive(seed, TASK));
  const observation = new Int8Array(environment.observation);
  const action = new Uint16Array(1);
  const reward = new Float32Array(1);
  const terminated = new Uint8Array(1);
  const truncated = new Uint8Array(1);
  const actions: number[] = [];
  let total = 0;
  const ended = (end: Episode['end']): Episode => ({ actions, return: total, end });
  await show({ step: 0, picture: batch.draw(0), last: null, return: 0 });
  for (let step = 0; step < maxSteps; step++) {
    batch.observe(observation);
    const chosen = await player(step, observation);
    if (typeof chosen === 'string') return ended(chosen);
    action[0] = chosen;
    batch.step(action, step, reward, terminated, truncated);
    actions.push(chosen);
    total += reward[0]!;
    await show({
      step: step + 1,
      picture: batch.draw(0),
      last: { action: chosen, reward: reward[0]! },
      return: total,
    });
    if (terminated[0] === 1) return ended('terminated');
    if (truncated[0] === 1) return ended('truncated');
  }
  return ended('limit');
}
