import { LOGIT_FRACTION_BITS } from '../params/constants.ts';
import type { Policy } from '../policy/architecture.ts';
import type { Actor } from './actor.ts';
import { type Batch, inPasses } from './batch.ts';
import type { Tensorflow } from './layers.ts';

/**
 * How the policy that an update begins with, π₀, relates to the one that acted, π_b: importance weights correct for the
 * windows between them, and two divergences say how far apart they are (docs/PROTOCOL.md, Training).
 */
export interface Staleness {
  /** log π₀, `[steps, actions]`. */
  readonly logProbabilities: Float32Array;
  /** min(π₀(a) / π_b(a), cap) of each step's action; 1 at lag 0. */
  readonly weights: Float32Array;
  /** Mean KL(π_b ‖ π₀) in nats: what the lag costs. Exactly 0 at lag 0. */
  readonly stalenessKl: number;
  /**
   * Mean KL between π_b as the miners ran it and π_b as the trainer differentiates it, in nats. Exactly 0: both are
   * softmaxes of the same integers. Null for an actor that cannot run another policy than its own.
   */
  readonly mismatchKl: number | null;
}

/**
 * @param actor set to the latents that the update begins with
 * @param batch with π_b's logits as the replay computed them
 * @param observations tensors of rows [from, to) of the batch, `[to − from, observation]`
 * @param behaviour π_b
 */
export function measureStaleness(
  tf: Tensorflow,
  actor: Actor,
  batch: Batch,
  behaviour: { readonly policy: Policy; readonly staleness: number },
  importanceCap: number,
): Staleness {
  const { steps, actions, logits } = batch;
  const choices = steps === 0 ? 0 : logits.length / steps;
  const width = steps === 0 ? 0 : batch.observations.length / steps;
  const observations = (from: number, to: number) =>
    tf.tensor2d(Float32Array.from(batch.observations.subarray(from * width, to * width)), [to - from, width]);
  const acted = inPasses(tf, steps, choices, (from, to) => {
    const part = Float32Array.from(
      logits.subarray(from * choices, to * choices),
      (l) => l / (1 << LOGIT_FRACTION_BITS),
    );
    return tf.logSoftmax(tf.tensor2d(part, [to - from, choices]));
  });
  const probabilities = inPasses(tf, steps, choices, (from, to) =>
    tf.exp(tf.tensor2d(acted.slice(from * choices, to * choices), [to - from, choices])),
  );
  const now = inPasses(tf, steps, choices, (from, to) =>
    tf.logSoftmax(actor.forward(tf, observations(from, to)).output),
  );
  const again =
    behaviour.staleness === 0
      ? now
      : actor.forwardOf === undefined
        ? null
        : inPasses(tf, steps, choices, (from, to) =>
            tf.logSoftmax(actor.forwardOf!(tf, behaviour.policy, observations(from, to))),
          );
  const kl = (other: Float32Array) => {
    let sum = 0;
    for (let i = 0; i < acted.length; i++) sum += probabilities[i]! * (acted[i]! - other[i]!);
    return steps === 0 ? 0 : sum / steps;
  };
  let weights: Float32Array = new Float32Array(steps).fill(1);
  if (behaviour.staleness > 0) {
    const logRatio = Float32Array.from(
      actions,
      (action, t) => now[t * choices + action]! - acted[t * choices + action]!,
    );
    weights = inPasses(tf, steps, 1, (from, to) =>
      tf.exp(tf.tensor2d(logRatio.slice(from, to), [to - from, 1])),
    );
    for (let t = 0; t < steps; t++) weights[t] = Math.min(weights[t]!, importanceCap);
  }
  return {
    logProbabilities: now,
    weights,
    stalenessKl: kl(now),
    mismatchKl: again === null ? null : kl(again),
  };
}
