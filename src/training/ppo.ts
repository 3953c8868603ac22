import type { PpoParams } from '../params/genesis.ts';
import { adamStep, cloneOptimised, gradientNorm } from './adam.ts';
import { estimateAdvantages } from './advantages.ts';
import { concatenate, gatherRows, inPasses, observationTensor, passRows, withoutTensors } from './batch.ts';
import { floatForward } from './float-network.ts';
import { valueLoss } from './losses.ts';
import {
  changedFraction,
  defined,
  explainedVariance,
  PolicyReport,
  rolloutMetrics,
  unchangedMetrics,
} from './metrics.ts';
import { minibatches } from './shuffle.ts';
import { measureStaleness } from './staleness.ts';
import { criticLayout } from './state.ts';
import { surrogate } from './surrogate.ts';
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
  const batch = concatenate(input.rollouts, input.logits, architecture);
  const { steps, width, observations } = batch;
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

  // What policy and critic say as the update finds them: probabilities, importance weights, advantages, returns.
  model.set(actor.values);
  const start = measureStaleness(tf, model, batch, input, algorithm.importanceCap);
  const evaluate = (rows: Int8Array) =>
    inPasses(
      tf,
      rows.length / width,
      1,
      (from, to) => {
        const x = observationTensor(tf, rows, width, from, to);
        return floatForward(tf, layout, critic.values, x, observationUnit).output;
      },
      passRows(layout),
    );
  const values = evaluate(observations);
  const advantages = new Float32Array(steps);
  const returns = new Float32Array(steps);
  let at = 0;
  for (const rollouts of input.rollouts) {
    const end = at + rollouts.slots * rollouts.steps;
    const bootstrap = evaluate(rollouts.bootstrapObservations);
    const own = (all: Float32Array) => all.subarray(at, end);
    estimateAdvantages(rollouts, own(values), bootstrap, gamma, lambda, own(advantages), own(returns));
    at = end;
  }

  const report = new PolicyReport();
  let squares = 0;
  let criticNorms = 0;
  for (const rows of minibatches(input.shuffleSeed, epochs, steps, minibatch)) {
    model.set(actor.values);
    const { policy, value } = withoutTensors(tf, () => {
      const x = tf.tensor2d(gatherRows(observations, rows, width), [rows.length, width]);

      // Policy: what the published integers give now, against what they gave when the update began.
      const policy = surrogate(
        tf,
        model,
        {
          batch,
          rows,
          observations: x,
          start,
          advantages: normalise(advantages, rows),
          clipLow: clip,
          clipHigh: clip,
          entropyBonus,
        },
        actorGradient,
      );

      // Value: half the mean squared error against the returns.
      const pass = floatForward(tf, layout, critic.values, x, observationUnit);
      const value = valueLoss(pass.output.dataSync<'float32'>(), gatherRows(returns, rows, 1));
      pass.backward(tf.tensor2d(value.dValues, [rows.length, 1]), criticGradient);
      return { policy, value };
    });

    const actorNorm = gradientNorm(actorGradient);
    const criticNorm = gradientNorm(criticGradient);
    const total = policy.surrogate + policy.entropy + value.squares + actorNorm + criticNorm;
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
    report.add(policy, rows.length, actorNorm);
    squares += value.squares;
    criticNorms += criticNorm;
  }

  model.set(actor.values);
  const published = model.published();
  return {
    state: {
      actor,
      critic,
      updates: input.state.updates + 1,
      adamSteps: input.state.adamSteps + report.minibatches,
    },
    policy: published,
    metrics: {
      outcome: 'applied',
      ...rolloutMetrics(input),
      trainedSteps: steps,
      ...report.metrics(),
      valueLoss: defined(squares / (steps * epochs)),
      explainedVariance: explainedVariance(values, returns),
      stalenessKl: defined(start.stalenessKl),
      mismatchKl: start.mismatchKl === null ? null : defined(start.mismatchKl),
      criticGradientNorm: criticNorms / report.minibatches,
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
