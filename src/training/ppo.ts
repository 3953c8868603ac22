import type { Rollouts } from '../environments/slots.ts';
import { LOGIT_FRACTION_BITS } from '../params/constants.ts';
import type { Policy } from '../policy/architecture.ts';
import { actorForward } from './actor.ts';
import { adamStep, cloneOptimised, gradientNorm } from './adam.ts';
import { estimateAdvantages } from './advantages.ts';
import { concatenate, gatherRows, inPasses } from './batch.ts';
import { criticForward } from './critic.ts';
import type { Tensorflow } from './dense.ts';
import type { TrainingParams } from './initialise.ts';
import { policyLoss, valueLoss } from './losses.ts';
import {
  changedFraction,
  defined,
  explainedVariance,
  rolloutMetrics,
  type UpdateMetrics,
  unchangedMetrics,
} from './metrics.ts';
import { Publisher } from './publish.ts';
import { permutation } from './shuffle.ts';
import { actorLayout, criticLayout, type TrainerState } from './state.ts';

/** What an update is a pure function of, besides genesis. */
export interface UpdateInput {
  readonly state: TrainerState;
  /** The published policy that `state` belongs to: version w. */
  readonly policy: Policy;
  /** The window's rollouts, one element a miner, in address order. */
  readonly rollouts: readonly Rollouts[];
  /** Of each miner, `[slots · steps, actions]` int32: logits of the *window's* policy (version max(0, w − lag)). */
  readonly logits: readonly Int32Array[];
  /** 32 bytes. */
  readonly shuffleSeed: Uint8Array;
}

export interface UpdateResult {
  readonly state: TrainerState;
  readonly policy: Policy;
  readonly metrics: UpdateMetrics;
}

/** Added to the standard deviation of a minibatch's advantages. */
const ADVANTAGE_EPSILON = 1e-8;

/**
 * One PPO update (Schulman et al., arXiv 1707.06347), after CleanRL's ppo.py, except that the actor runs the published
 * integers with a straight-through gradient, actor and critic have an Adam and a gradient norm each, and the value loss
 * is not clipped. Inputs are left as they are. Without steps, or when a loss, gradient or latent is not finite, state
 * and policy come back unchanged.
 */
export function ppoUpdate(tf: Tensorflow, params: TrainingParams, input: UpdateInput): UpdateResult {
  const { algorithm, architecture, quantiser } = params;
  const { epochs, minibatch, clip, gamma, lambda, entropyBonus, maxGradientNorm } = algorithm;
  const batch = concatenate(input.rollouts, input.logits, architecture.observation, architecture.actions);
  const { steps, actions, observations } = batch;
  const unchanged = (outcome: 'no-data' | 'TRAINING_NOT_FINITE') => ({
    state: input.state,
    policy: input.policy,
    metrics: unchangedMetrics(input.rollouts, outcome),
  });
  if (steps === 0) return unchanged('no-data');

  const layouts = {
    actor: actorLayout(architecture),
    critic: criticLayout(architecture, algorithm),
  };
  const actor = cloneOptimised(input.state.actor);
  const critic = cloneOptimised(input.state.critic);
  const publisher = new Publisher(architecture, quantiser, layouts.actor);
  const published = publisher.allocate();
  const actorGradient = new Float32Array(layouts.actor.size);
  const criticGradient = new Float32Array(layouts.critic.size);
  const observationUnit = 1 / (1 << quantiser.observationBits);
  const width = architecture.observation;
  const choices = architecture.actions;

  // Old log-probabilities, values, advantages and returns, all of policy and critic as the update finds them.
  const oldLogProbabilities = inPasses(tf, steps, choices, (from, to) => {
    const logits = Float32Array.from(
      batch.logits.subarray(from * choices, to * choices),
      (l) => l / (1 << LOGIT_FRACTION_BITS),
    );
    return tf.logSoftmax(tf.tensor2d(logits, [to - from, choices]));
  });
  const evaluate = (rows: Int8Array) =>
    inPasses(tf, rows.length / width, 1, (from, to) => {
      const x = tf.tensor2d(Float32Array.from(rows.subarray(from * width, to * width)), [to - from, width]);
      return criticForward(tf, layouts.critic, critic.values, x, observationUnit).output;
    });
  const values = evaluate(observations);
  const advantages = new Float32Array(steps);
  const returns = new Float32Array(steps);
  for (let i = 0, at = 0; i < input.rollouts.length; i++) {
    const rollouts = input.rollouts[i]!;
    const end = at + rollouts.slots * rollouts.steps;
    const bootstrap = evaluate(rollouts.bootstrapObservations);
    const [v, a, r] = [values, advantages, returns].map((all) => all.subarray(at, end));
    estimateAdvantages(rollouts, v!, bootstrap, gamma, lambda, a!, r!);
    at = end;
  }

  const minibatchesPerEpoch = Math.ceil(steps / minibatch);
  const sums = {
    surrogate: 0,
    squares: 0,
    entropy: 0,
    approxKl: 0,
    clipped: 0,
    actorNorm: 0,
    criticNorm: 0,
  };
  let first = { ratioDeviation: 0, mismatchKl: 0 };
  let adamSteps = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = permutation(input.shuffleSeed, epoch, steps);
    for (let part = 0; part < minibatchesPerEpoch; part++) {
      const rows = order.subarray(
        Math.floor((part * steps) / minibatchesPerEpoch),
        Math.floor(((part + 1) * steps) / minibatchesPerEpoch),
      );
      const size = rows.length;
      const chosen = Uint16Array.from(rows, (row) => actions[row]!);
      const normalised = normalise(advantages, rows);
      publisher.publish(actor.values, input.policy.layers, published);

      const losses = tf.tidy(() => {
        const x = tf.tensor2d(gatherRows(observations, rows, width), [size, width]);

        // Policy: what the published integers give now, against what they gave when the action was taken.
        const forward = actorForward(tf, architecture, quantiser, published, layouts.actor.layers, x);
        const logTensor = tf.logSoftmax(forward.output);
        const logProbabilities = logTensor.dataSync<'float32'>();
        const probabilities = tf.exp(logTensor).dataSync<'float32'>();
        const logRatio = new Float32Array(size);
        for (let i = 0; i < size; i++) {
          const old = oldLogProbabilities[rows[i]! * choices + chosen[i]!]!;
          logRatio[i] = logProbabilities[i * choices + chosen[i]!]! - old;
        }
        const ratio = tf.exp(tf.tensor1d(logRatio)).dataSync<'float32'>();
        if (adamSteps === 0) {
          const old = gatherRows(oldLogProbabilities, rows, choices);
          first = {
            ratioDeviation: ratio.reduce((most, r) => Math.max(most, Math.abs(r - 1)), 0),
            mismatchKl: meanKl(tf.exp(tf.tensor1d(old)).dataSync<'float32'>(), old, logProbabilities, size),
          };
        }

        const policyPart = policyLoss({
          actions: choices,
          chosen,
          logProbabilities,
          probabilities,
          logRatio,
          ratio,
          advantages: normalised,
          clip,
          entropyBonus,
        });
        forward.backward(tf.tensor2d(policyPart.dLogits, [size, choices]), actorGradient);

        // Value: half the mean squared error against the returns.
        const value = criticForward(tf, layouts.critic, critic.values, x, observationUnit);
        const valuePart = valueLoss(value.output.dataSync<'float32'>(), gatherRows(returns, rows, 1));
        value.backward(tf.tensor2d(valuePart.dValues, [size, 1]), criticGradient);
        const { surrogate, entropy, approxKl, clipped } = policyPart;
        return { surrogate, entropy, approxKl, clipped, squares: valuePart.squares };
      });

      const actorNorm = gradientNorm(actorGradient);
      const criticNorm = gradientNorm(criticGradient);
      const total = losses.surrogate + losses.entropy + losses.squares + actorNorm + criticNorm;
      if (!Number.isFinite(total)) return unchanged('TRAINING_NOT_FINITE');
      const options = {
        learningRate: algorithm.learningRate,
        epsilon: algorithm.adamEpsilon,
        maxNorm: maxGradientNorm,
      };
      const actorFinite = adamStep(actor, actorGradient, { ...options, norm: actorNorm });
      const criticFinite = adamStep(critic, criticGradient, { ...options, norm: criticNorm });
      if (!actorFinite || !criticFinite) return unchanged('TRAINING_NOT_FINITE');
      publisher.clip(actor.values);
      sums.surrogate += losses.surrogate;
      sums.squares += losses.squares;
      sums.entropy += losses.entropy;
      sums.approxKl += losses.approxKl;
      sums.clipped += losses.clipped;
      sums.actorNorm += actorNorm;
      sums.criticNorm += criticNorm;
      adamSteps += 1;
    }
  }

  publisher.publish(actor.values, input.policy.layers, published);
  const seen = steps * epochs;
  return {
    state: {
      actor,
      critic,
      updates: input.state.updates + 1,
      adamSteps: input.state.adamSteps + adamSteps,
    },
    policy: { architecture, layers: published },
    metrics: {
      outcome: 'applied',
      ...rolloutMetrics(input.rollouts),
      minibatches: adamSteps,
      policyLoss: defined(sums.surrogate / seen),
      valueLoss: defined(sums.squares / seen),
      entropy: defined(sums.entropy / seen),
      approxKl: defined(sums.approxKl / seen),
      clipFraction: sums.clipped / seen,
      explainedVariance: explainedVariance(values, returns),
      firstRatioDeviation: defined(first.ratioDeviation),
      mismatchKl: defined(first.mismatchKl),
      actorGradientNorm: sums.actorNorm / adamSteps,
      criticGradientNorm: sums.criticNorm / adamSteps,
      changedWeights: changedFraction(input.policy, published),
    },
  };
}

/** Advantages of a minibatch less their mean, over their standard deviation (n − 1) plus 1e-8. */
function normalise(advantages: Float32Array, rows: Uint32Array): Float32Array {
  let mean = 0;
  for (const row of rows) mean += advantages[row]!;
  mean /= rows.length;
  let squares = 0;
  for (const row of rows) squares += (advantages[row]! - mean) * (advantages[row]! - mean);
  const deviation = Math.sqrt(squares / Math.max(1, rows.length - 1)) + ADVANTAGE_EPSILON;
  return Float32Array.from(rows, (row) => (advantages[row]! - mean) / deviation);
}

/** Mean over rows of Σ p (log p − log q), all `[rows, actions]`. */
function meanKl(p: Float32Array, logP: Float32Array, logQ: Float32Array, rows: number): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += p[i]! * (logP[i]! - logQ[i]!);
  return sum / rows;
}
