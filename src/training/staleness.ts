import { LOGIT_FRACTION_BITS } from '../params/constants.ts';
import type { Actor } from './actor.ts';
import { type Batch, inPasses, observationTensor, passRows } from './batch.ts';
import type { Matrix, Tensorflow } from './layers.ts';
import type { UpdateInput } from './update.ts';

/**
 * How the policy that an update begins with, π₀, relates to the one that acted, π_b: importance weights correct for the
 * windows between them, and two divergences say how far apart they are (docs/PROTOCOL.md, Training).
 */
export interface Staleness {
  /** log π₀, `[steps, choices]`. */
  readonly logProbabilities: Float32Array;
  /** `[steps]`: min(π₀(a) / π_b(a), cap) of each step's action; 1 at lag 0. */
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
 * @param batch of one step or more, with π_b's logits as the replay computed them
 * @param input.behaviour π_b, `input.staleness` versions older than π₀
 */
export function measureStaleness(
  tf: Tensorflow,
  actor: Actor,
  batch: Batch,
  { behaviour, staleness }: Pick<UpdateInput, 'behaviour' | 'staleness'>,
  importanceCap: number,
): Staleness {
  const { steps, width, choices, observations, actions, logits } = batch;
  const logProbabilities = (run: (from: number, to: number) => Matrix) =>
    inPasses(tf, steps, choices, (from, to) => tf.logSoftmax(run(from, to)), passRows(actor.layout));
  const exponential = (values: Float32Array, columns: number) =>
    inPasses(tf, steps, columns, (from, to) =>
      tf.exp(tf.tensor2d(values.subarray(from * columns, to * columns), [to - from, columns])),
    );
  const x = (from: number, to: number) => observationTensor(tf, observations, width, from, to);

  const ran = logProbabilities((from, to) => {
    const part = logits.subarray(from * choices, to * choices);
    return tf.tensor2d(
      Float32Array.from(part, (l) => l / (1 << LOGIT_FRACTION_BITS)),
      [to - from, choices],
    );
  });
  const now = logProbabilities((from, to) => actor.forward(tf, x(from, to)).output);
  const again =
    staleness === 0
      ? now
      : actor.forwardOf && logProbabilities((from, to) => actor.forwardOf!(tf, behaviour, x(from, to)));

  const probabilities = exponential(ran, choices);
  const divergence = (other: Float32Array) => {
    let sum = 0;
    for (let i = 0; i < ran.length; i++) sum += probabilities[i]! * (ran[i]! - other[i]!);
    return sum / steps;
  };

  const logRatio = new Float32Array(steps);
  for (let t = 0; t < steps; t++) {
    const chosen = t * choices + actions[t]!;
    logRatio[t] = now[chosen]! - ran[chosen]!;
  }
  const weights =
    staleness === 0
      ? new Float32Array(steps).fill(1)
      : exponential(logRatio, 1).map((ratio) => Math.min(ratio, importanceCap));

  return {
    logProbabilities: now,
    weights,
    stalenessKl: divergence(now),
    mismatchKl: again === undefined ? null : divergence(again),
  };
}
