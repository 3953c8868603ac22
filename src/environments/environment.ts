/**
 * The interface of an environment: many episodes side by side on typed arrays, deterministic to the bit. Only IEEE
 * basic operations may decide anything (no Math.sin, no Math.pow, no clock, no Math.random).
 */
export interface Environment {
  /** Its name in genesis, for example `CartPole-v1`. */
  readonly id: string;
  /** What it is and what is rewarded, in a sentence. */
  readonly summary: string;
  /** Where the task comes from: a citation. */
  readonly source: string;
  /** int8 values of one observation. */
  readonly observation: number;
  /** Dimensions of one observation, row-major, channels last: `[4]`, `[10, 10, 4]`. Their product is `observation`. */
  readonly shape: readonly number[];
  /** What each value is (one dimension), or each channel (three); runs of alike values may share one `name[from..to]`. */
  readonly observed: readonly string[];
  readonly actions: number;
  /** `[actions]`: a word each. */
  readonly actionNames: readonly string[];
  /** The most steps that an episode has, whether it then ends by itself or is truncated; null: no bound. */
  readonly maxEpisodeSteps: number | null;
  /** Makes `batch` episodes; each must be reset before its first step. */
  create(batch: number): EnvironmentBatch;
}

export interface EnvironmentBatch {
  readonly batch: number;
  /** Gives episode `index` a start state that depends on the 16-byte seed alone. */
  reset(index: number, taskSeed: Uint8Array): void;
  /** Sets the seed of the environment's own randomness for slot `index`; 16 bytes. Called once a slot. */
  seed(index: number, environmentSeed: Uint8Array): void;
  /** Writes all observations, `[batch, observation]` int8 in [-127, 127]. */
  observe(out: Int8Array): void;
  /**
   * Steps every episode. `slotStep` is the step within the slot (counter of the environment's randomness). Outputs are
   * `[batch]`: reward, terminated (1 when a terminal state was reached), truncated (1 when the time limit was).
   * An episode that ended must be reset before the next step.
   */
  step(
    actions: Uint16Array,
    slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void;
  /** Episode `index` as lines of text for a terminal, at most 60 × 20 characters. Decides nothing. */
  draw(index: number): string;
}
