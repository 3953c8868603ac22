import type { Rollouts } from '../environments/slots.ts';
import type { Policy } from '../policy/architecture.ts';
import type { MakeActor } from './actor.ts';
import type { TrainingParams } from './initialise.ts';
import type { Tensorflow } from './layers.ts';
import type { UpdateMetrics } from './metrics.ts';
import type { TrainerState } from './state.ts';

/** What an update is a pure function of, besides genesis. */
export interface UpdateInput {
  readonly state: TrainerState;
  /** The published policy that `state` belongs to: version w. */
  readonly policy: Policy;
  /** The window's rollouts, one element a miner, in address order. */
  readonly rollouts: readonly Rollouts[];
  /** The policy that made them, version max(0, w − lag). */
  readonly behaviour: Policy;
  /** Versions between `behaviour` and `policy`. */
  readonly staleness: number;
  /** Of each miner, `[slots · steps, actions]` int32: logits of `behaviour`. */
  readonly logits: readonly Int32Array[];
  /** 32 bytes. */
  readonly shuffleSeed: Uint8Array;
}

export interface UpdateResult {
  readonly state: TrainerState;
  readonly policy: Policy;
  readonly metrics: UpdateMetrics;
}

/**
 * A training algorithm: one update. Inputs are left as they are. Without anything to learn from, or when a loss, gradient
 * or latent is not finite, state and policy come back unchanged.
 * @param params whose `algorithm` has the algorithm's name
 * @param makeActor what is differentiated; the network's is `exactActor`
 */
export type Algorithm<Params> = (
  tf: Tensorflow,
  params: TrainingParams & { readonly algorithm: Params },
  makeActor: MakeActor,
  input: UpdateInput,
) => UpdateResult;
