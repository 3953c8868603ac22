import type { Actor } from './actor.ts';
import type { Batch } from './batch.ts';
import type { Matrix, Tensorflow } from './layers.ts';
import { type PolicyLoss, policyLoss } from './losses.ts';
import type { Staleness } from './staleness.ts';

/** A minibatch of the clipped surrogate objective. */
export interface SurrogateInput {
  readonly batch: Batch;
  /** Which steps of the batch. */
  readonly rows: Uint32Array;
  /** `[rows, width]`: their observations. */
  readonly observations: Matrix;
  /** Of every step of the batch: log π₀ and the weight of its action. */
  readonly start: Staleness;
  /** `[rows]`. */
  readonly advantages: Float32Array;
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly entropyBonus: number;
}

export interface Surrogate extends PolicyLoss {
  /** Largest |π(a) / π₀(a) − 1|. */
  readonly ratioDeviation: number;
}

/**
 * The policy loss of a minibatch: what the actor gives now against what it gave when the update began. The gradient of
 * the actor's parameters is written to `gradient`. Called inside `tf.tidy`.
 */
export function surrogate(
  tf: Tensorflow,
  actor: Actor,
  input: SurrogateInput,
  gradient: Float32Array,
): Surrogate {
  const { batch, rows, start } = input;
  const { choices } = batch;
  const count = rows.length;
  const pass = actor.forward(tf, input.observations);
  const logTensor = tf.logSoftmax(pass.output);
  const logProbabilities = logTensor.dataSync<'float32'>();
  const probabilities = tf.exp(logTensor).dataSync<'float32'>();
  const chosen = Uint16Array.from(rows, (row) => batch.actions[row]!);
  const weights = Float32Array.from(rows, (row) => start.weights[row]!);
  const logRatio = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const action = chosen[i]!;
    logRatio[i] =
      logProbabilities[i * choices + action]! - start.logProbabilities[rows[i]! * choices + action]!;
  }
  const ratio = tf.exp(tf.tensor1d(logRatio)).dataSync<'float32'>();
  const loss = policyLoss({
    ...input,
    actions: choices,
    chosen,
    logProbabilities,
    probabilities,
    logRatio,
    ratio,
    weights,
  });
  pass.backward(tf.tensor2d(loss.dLogits, [count, choices]), gradient);
  const ratioDeviation = ratio.reduce((most, r) => Math.max(most, Math.abs(r - 1)), 0);
  return { ...loss, ratioDeviation };
}
