import type { PpoParams } from '../params/genesis.ts';
import { adamStep, cloneOptimised, gradientNorm } from './adam.ts';
import { estimateAdvantages } from './advantages.ts';
import { concatenate, gatherRows, inPasses } from './batch.ts';
import { floatForward } from './float-network.ts';
import { valueLoss } from './losses.ts';
import { changedFraction, defined, explainedVariance, rolloutMetrics, unchangedMetrics } from './metrics.ts';
import { permutation } from './shuffle.ts';
import { measureStaleness } from './staleness.ts';
import { criticLayout } from './state.ts';
import { NO_SURROGATE, surrogate } from './surrogate.ts';
import type { Algorithm } from './update.ts';

/** Added to the standard deviation of a minibatch's advantages. */
const ADVANTAGE_EPSILON = 1e-8;

/**
 * One PPO update (Schulman et al., arXiv 1707.06347), after CleanRL's ppo.py, except that the actor runs the published
 * integers with a straight-through gradient, actor and critic have an Adam and a gradient norm each, and the value loss
 * is not clipped. Stale actions are weighted as in the decoupled objective of Hilton, Cobbe and Schulman (arXiv
 * 2110.00641): the ratio is clipped around the policy that the update began with, and the step counts
 * min(π₀/π_b, importanceCap) times.
 */
export const ppoUpdate: Algorithm<PpoParams> = (tf, params, makeActor, input) => {
  const { algorithm, architecture, quantiser } = params;
  const { epochs, minibatch, clip, gamma, lambda, entropyBonus, maxGradientNorm } = algorithm;
  const batch = concatenate(input.rollouts, input.logits, architecture.observation, architecture.actions);
  const { steps, actions, observations } = batch;
  const unchanged = (outcome: 'no-data' | 'TRAINING_NOT_FINITE') => ({
    state: input.state,
    policy: input.policy,
    metrics: unchangedMetrics(input, outcome),
  });
  if (steps === 0) return unchanged('no-data');

  const model = makeActor(params, input.policy);
  const layout = criticLayout(architecture, algorithm);
  const actor = cloneOptimised(input.state.actor);
  const critic = cloneOptimised(input.state.critic);
  const actorGradient = new Float32Array(model.layout.size);
  const criticGradient = new Float32Array(layout.size);
  const observationUnit = 1 / (1 << quantiser.observationBits);
  const width = architecture.observation;
  const choices = architecture.actions;

  // What the policy and the critic say as the update finds them: probabilities, importance weights, advantages, returns.
  model.set(actor.values);
  const behaviour = { policy: input.behaviour, staleness: input.staleness };
  const start = measureStaleness(tf, model, batch, behaviour, algorithm.importanceCap);
  const evaluate = (rows: Int8Array) =>
    inPasses(tf, rows.length / width, 1, (from, to) => {
      const x = tf.tensor2d(Float32Array.from(rows.subarray(from * width, to * width)), [to - from, width]);
      return floatForward(tf, layout, critic.values, x, observationUnit).output;
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
  const sums = { surrogate: 0, squares: 0, entropy: 0, approxKl: 0, clipped: 0, actorNorm: 0, criticNorm: 0 };
  let firstRatioDeviation = 0;
  let adamSteps = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = permutation(input.shuffleSeed, epoch, steps);
    for (let part = 0; part < minibatchesPerEpoch; part++) {
      const rows = order.subarray(
        Math.floor((part * steps) / minibatchesPerEpoch),
        Math.floor(((part + 1) * steps) / minibatchesPerEpoch),
      );
      const chosen = Uint16Array.from(rows, (row) => actions[row]!);
      const normalised = normalise(advantages, rows);
      model.set(actor.values);

      let policy = NO_SURROGATE;
      let squares = 0;
      // Nothing is returned from tidy: it would search the values one by one for tensors.
      tf.tidy(() => {
        const x = tf.tensor2d(gatherRows(observations, rows, width), [rows.length, width]);

        // Policy: what the published integers give now, against what they gave when the update began.
        policy = surrogate(
          tf,
          model,
          {
            observations: x,
            chosen,
            startLogProbability: Float32Array.from(
              rows,
              (row, i) => start.logProbabilities[row * choices + chosen[i]!]!,
            ),
            weights: gatherRows(start.weights, rows, 1),
            advantages: normalised,
            clipLow: clip,
            clipHigh: clip,
            entropyBonus,
          },
          actorGradient,
        );

        // Value: half the mean squared error against the returns.
        const value = floatForward(tf, layout, critic.values, x, observationUnit);
        const error = valueLoss(value.output.dataSync<'float32'>(), gatherRows(returns, rows, 1));
        value.backward(tf.tensor2d(error.dValues, [rows.length, 1]), criticGradient);
        squares = error.squares;
      });

      const actorNorm = gradientNorm(actorGradient);
      const criticNorm = gradientNorm(criticGradient);
      const total = policy.surrogate + policy.entropy + squares + actorNorm + criticNorm;
      if (!Number.isFinite(total)) return unchanged('TRAINING_NOT_FINITE');
      const options = {
        learningRate: algorithm.learningRate,
        epsilon: algorithm.adamEpsilon,
        maxNorm: maxGradientNorm,
      };
      const actorFinite = adamStep(actor, actorGradient, { ...options, norm: actorNorm });
      const criticFinite = adamStep(critic, criticGradient, { ...options, norm: criticNorm });
      if (!actorFinite || !criticFinite) return unchanged('TRAINING_NOT_FINITE');
      model.clip(actor.values);
      if (adamSteps === 0) firstRatioDeviation = policy.ratioDeviation;
      sums.surrogate += policy.surrogate;
      sums.squares += squares;
      sums.entropy += policy.entropy;
      sums.approxKl += policy.approxKl;
      sums.clipped += policy.clipped;
      sums.actorNorm += actorNorm;
      sums.criticNorm += criticNorm;
      adamSteps += 1;
    }
  }

  model.set(actor.values);
  const published = model.published();
  const seen = steps * epochs;
  return {
    state: {
      actor,
      critic,
      updates: input.state.updates + 1,
      adamSteps: input.state.adamSteps + adamSteps,
    },
    policy: published,
    metrics: {
      outcome: 'applied',
      ...rolloutMetrics(input),
      minibatches: adamSteps,
      policyLoss: defined(sums.surrogate / seen),
      valueLoss: defined(sums.squares / seen),
      entropy: defined(sums.entropy / seen),
      approxKl: defined(sums.approxKl / seen),
      clipFraction: sums.clipped / seen,
      explainedVariance: explainedVariance(values, returns),
      firstRatioDeviation: defined(firstRatioDeviation),
      stalenessKl: defined(start.stalenessKl),
      mismatchKl: start.mismatchKl === null ? null : defined(start.mismatchKl),
      actorGradientNorm: sums.actorNorm / adamSteps,
      criticGradientNorm: sums.criticNorm / adamSteps,
      changedWeights: changedFraction(input.policy, published.layers),
    },
  };
};

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
