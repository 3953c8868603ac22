import type { Rollouts } from '../environments/slots.ts';
import type { GrpoParams } from '../params/genesis.ts';
import { adamStep, cloneOptimised, gradientNorm } from './adam.ts';
import { concatenate, gatherRows, withoutTensors } from './batch.ts';
import { changedFraction, defined, PolicyReport, rolloutMetrics, unchangedMetrics } from './metrics.ts';
import { minibatches } from './shuffle.ts';
import { measureStaleness } from './staleness.ts';
import { surrogate } from './surrogate.ts';
import type { Algorithm } from './update.ts';

/**
 * Added to the standard deviation of a group's returns. Large beside the rounding of float32 rewards, so that returns
 * which differ by rounding alone do not become advantages of ±1.
 */
const DEVIATION_EPSILON = 1e-4;

/**
 * One GRPO update (Shao et al., arXiv 2402.03300): PPO's clipped objective without a critic. An episode is compared with
 * those of the other slots of its group, which started alike; all of its steps share the advantage that comes of it.
 * From DAPO (Yu et al., arXiv 2503.14476) come the loss as a mean over steps, so that long episodes are not diluted, the
 * clip range [1 − clipLow, 1 + clipHigh], and that groups whose returns are all equal, which teach nothing, are left out.
 * There is no penalty for leaving a reference policy. Stale actions are weighted as in ppo.ts.
 */
export const grpoUpdate: Algorithm<GrpoParams> = (tf, params, makeActor, input) => {
  const { algorithm, architecture, groupSize } = params;
  const { epochs, minibatch, clipLow, clipHigh, entropyBonus, maxGradientNorm } = algorithm;
  const batch = concatenate(input.rollouts, input.logits, architecture);
  const { steps, width, observations } = batch;
  const unchanged = (outcome: 'no-data' | 'TRAINING_NOT_FINITE') => ({
    state: input.state,
    policy: input.policy,
    metrics: unchangedMetrics(input, outcome),
  });

  // Advantages, and which steps have one.
  const advantages = new Float32Array(steps);
  const compared = new Uint8Array(steps);
  let at = 0;
  for (const rollouts of input.rollouts) {
    const end = at + rollouts.slots * rollouts.steps;
    const [a, c] = [advantages.subarray(at, end), compared.subarray(at, end)];
    groupAdvantages(rollouts, groupSize, algorithm.scaleByDeviation, a, c);
    at = end;
  }
  const trained = new Uint32Array(steps).map((_, t) => t).filter((t) => compared[t] === 1);
  if (trained.length === 0) return unchanged('no-data');

  const model = makeActor(params, input.policy);
  const actor = cloneOptimised(input.state.actor);
  const gradient = new Float32Array(model.layout.size);

  // What the policy says as the update finds it: probabilities and importance weights.
  model.set(actor.values);
  const start = measureStaleness(tf, model, batch, input, algorithm.importanceCap);

  const report = new PolicyReport();
  for (const places of minibatches(input.shuffleSeed, epochs, trained.length, minibatch)) {
    const rows = places.map((place) => trained[place]!);
    model.set(actor.values);
    const policy = withoutTensors(tf, () =>
      surrogate(
        tf,
        model,
        {
          batch,
          rows,
          observations: tf.tensor2d(gatherRows(observations, rows, width), [rows.length, width]),
          start,
          advantages: gatherRows(advantages, rows, 1),
          clipLow,
          clipHigh,
          entropyBonus,
        },
        gradient,
      ),
    );

    const norm = gradientNorm(gradient);
    if (!Number.isFinite(policy.surrogate + policy.entropy + norm)) return unchanged('TRAINING_NOT_FINITE');
    const finite = adamStep(actor, gradient, {
      learningRate: algorithm.learningRate,
      epsilon: algorithm.adamEpsilon,
      norm,
      maxNorm: maxGradientNorm,
    });
    if (!finite) return unchanged('TRAINING_NOT_FINITE');
    model.clip(actor.values);
    report.add(policy, rows.length, norm);
  }

  model.set(actor.values);
  const published = model.published();
  return {
    state: {
      actor,
      critic: input.state.critic,
      updates: input.state.updates + 1,
      adamSteps: input.state.adamSteps + report.minibatches,
    },
    policy: published,
    metrics: {
      outcome: 'applied',
      ...rolloutMetrics(input),
      trainedSteps: trained.length,
      ...report.metrics(),
      valueLoss: null,
      explainedVariance: null,
      stalenessKl: defined(start.stalenessKl),
      mismatchKl: start.mismatchKl === null ? null : defined(start.mismatchKl),
      criticGradientNorm: null,
      changedWeights: changedFraction(input.policy, published.layers),
    },
  };
};

/**
 * Advantages of one miner's rollouts. Slots jG … jG + G − 1 are a group; episode index k of a group is compared if it
 * ended in every one of its slots and the G returns are not all equal. With R the return of a member's episode,
 *
 *     A = R − mean(R), divided by s + 1e-4 with scaleByDeviation, s the standard deviation (G − 1)
 *
 * for each of the episode's steps. Float64, members in order of slots, rounded to float32 once.
 *
 * @param advantages `[slots · steps]`, written where an episode is compared
 * @param compared `[slots · steps]`, set to 1 there
 * @throws RangeError when the slots do not make whole groups
 */
export function groupAdvantages(
  rollouts: Rollouts,
  groupSize: number,
  scaleByDeviation: boolean,
  advantages: Float32Array,
  compared: Uint8Array,
): void {
  const { slots } = rollouts;
  if (slots % groupSize !== 0) throw new RangeError(`${slots} slots are not groups of ${groupSize}`);
  for (let first = 0; first < slots; first += groupSize) {
    const members = Array.from({ length: groupSize }, (_, member) => wholeEpisodes(rollouts, first + member));
    const complete = Math.min(...members.map((episodes) => episodes.length));
    for (let index = 0; index < complete; index++) {
      const group = members.map((episodes) => episodes[index]!);
      if (group.every((episode) => episode.return === group[0]!.return)) continue;
      let mean = 0;
      for (const episode of group) mean += episode.return;
      mean /= groupSize;
      let squares = 0;
      for (const episode of group) squares += (episode.return - mean) * (episode.return - mean);
      const scale = scaleByDeviation ? Math.sqrt(squares / (groupSize - 1)) + DEVIATION_EPSILON : 1;
      for (const { from, to, return: total } of group) {
        advantages.fill((total - mean) / scale, from, to);
        compared.fill(1, from, to);
      }
    }
  }
}

/** An episode that ended within its slot: its steps [from, to) and its return, the float64 sum of its rewards. */
interface WholeEpisode {
  readonly from: number;
  readonly to: number;
  readonly return: number;
}

function wholeEpisodes({ steps, rewards, terminated, truncated }: Rollouts, slot: number): WholeEpisode[] {
  const episodes: WholeEpisode[] = [];
  let from = slot * steps;
  let total = 0;
  for (let t = from; t < (slot + 1) * steps; t++) {
    total += rewards[t]!;
    if (terminated[t] === 0 && truncated[t] === 0) continue;
    episodes.push({ from, to: t + 1, return: total });
    from = t + 1;
    total = 0;
  }
  return episodes;
}
