import type { Actor } from './actor.ts';
import type { Matrix, Tensorflow } from './layers.ts';
import { type PolicyLoss, policyLoss } from './losses.ts';

/** A minibatch of the clipped surrogate objective; rows are steps. */
export interface SurrogateInput {
  /** `[rows, observation]` integers as float32. */
  readonly observations: Matrix;
  /** Chosen action of each row. */
  readonly chosen: Uint16Array;
  /** log π₀(a) of each row: the policy that the update began with. */
  readonly startLogProbability: Float32Array;
  readonly weights: Float32Array;
  readonly advantages: Float32Array;
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly entropyBonus: number;
}

export interface Surrogate extends PolicyLoss {
  /** Largest |π(a) / π₀(a) − 1|. */
  readonly ratioDeviation: number;
}

/** Of no rows. */
export const NO_SURROGATE: Surrogate = {
  surrogate: 0,
  entropy: 0,
  approxKl: 0,
  clipped: 0,
  dLogits: new Float32Array(0),
  ratioDeviation: 0,
};

/** The policy loss of a minibatch; its gradient is written to `gradient`. Called inside `tf.tidy`. */
export function surrogate(
  tf: Tensorflow,
  actor: Actor,
  input: SurrogateInput,
  gradient: Float32Array,
): Surrogate {
  const { chosen, startLogProbability } = input;
  const pass = actor.forward(tf, input.observations);
  const logTensor = tf.logSoftmax(pass.output);
  const [rows, actions] = pass.output.shape;
  const logProbabilities = logTensor.dataSync<'float32'>();
  const probabilities = tf.exp(logTensor).dataSync<'float32'>();
  const logRatio = new Float32Array(rows);
  for (let i = 0; i < rows; i++) {
    logRatio[i] = logProbabilities[i * actions + chosen[i]!]! - startLogProbability[i]!;
  }
  const ratio = tf.exp(tf.tensor1d(logRatio)).dataSync<'float32'>();
  const loss = policyLoss({ ...input, actions, logProbabilities, probabilities, logRatio, ratio });
  pass.backward(tf.tensor2d(loss.dLogits, [rows, actions]), gradient);
  const ratioDeviation = ratio.reduce((most, r) => Math.max(most, Math.abs(r - 1)), 0);
  return { ...loss, ratioDeviation };
}
