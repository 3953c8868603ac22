import type { LayerTensors, Policy } from '../policy/architecture.ts';
import type { Surrogate } from './surrogate.ts';
import type { UpdateInput } from './update.ts';

/**
 * What an update reports. Every number is as deterministic as the update itself, so it may stand in the ledger; null
 * means "not defined here", never NaN. Means over steps count a trained step once an epoch, π being the actor as it runs
 * in the minibatch. π₀ is the policy that the update began with, π_b the one that acted. docs/guides/algorithms.md.
 */
export interface UpdateMetrics {
  /** `applied`; `no-data`: no step to learn from; `TRAINING_NOT_FINITE`: discarded, state and policy are the inputs. */
  readonly outcome: 'applied' | 'no-data' | 'TRAINING_NOT_FINITE';
  /** Steps of all rollouts. */
  readonly steps: number;
  /** Steps that the update trained on: all of them with PPO, those of compared episodes with GRPO. */
  readonly trainedSteps: number;
  /** Episodes that ended within their slot. */
  readonly episodes: number;
  /** Mean return of those episodes (undiscounted sums of rewards). */
  readonly meanReturn: number | null;
  /** Mean length of those episodes, in steps. */
  readonly meanLength: number | null;
  /** Versions between the policy that acted and the one that the update began with. */
  readonly staleness: number;
  /** Minibatches, hence Adam steps of each network. */
  readonly minibatches: number;
  /** Mean of −w·min(r·A, clip(r)·A): r = π(a)/π₀(a), w = min(π₀(a)/π_b(a), importanceCap), A normalised. */
  readonly policyLoss: number | null;
  /** Mean of (V − R)² / 2, R = advantage + value as the update found it. */
  readonly valueLoss: number | null;
  /** Mean of −Σ π log π, in nats. */
  readonly entropy: number | null;
  /** Mean of r − 1 − log r: Schulman's k3 estimate of KL(π₀ ‖ π), in nats. */
  readonly approxKl: number | null;
  /** Fraction of ratios outside the clip range. */
  readonly clipFraction: number | null;
  /** 1 − Var(R − V) / Var(R), V the critic as the update found it; null when all returns are equal. */
  readonly explainedVariance: number | null;
  /** Largest |r − 1| of the first minibatch, before any step. Exactly 0. */
  readonly firstRatioDeviation: number | null;
  /** Mean KL(π_b ‖ π₀) over all steps, in nats: how far the policy moved while the data were made. Exactly 0 at lag 0. */
  readonly stalenessKl: number | null;
  /**
   * Mean KL over all steps, in nats, between π_b as miners ran it and π_b as the trainer's forward pass gives it. Exactly
   * 0: both are softmaxes of the same integer logits.
   */
  readonly mismatchKl: number | null;
  /** Mean gradient norms before clipping. */
  readonly actorGradientNorm: number | null;
  readonly criticGradientNorm: number | null;
  /** Fraction of published weights (biases included) that this update changed. */
  readonly changedWeights: number;
}

/** Metrics of an update that changes nothing. */
export function unchangedMetrics(
  input: UpdateInput,
  outcome: 'no-data' | 'TRAINING_NOT_FINITE',
): UpdateMetrics {
  return {
    outcome,
    ...rolloutMetrics(input),
    trainedSteps: 0,
    minibatches: 0,
    policyLoss: null,
    valueLoss: null,
    entropy: null,
    approxKl: null,
    clipFraction: null,
    explainedVariance: null,
    firstRatioDeviation: null,
    stalenessKl: null,
    mismatchKl: null,
    actorGradientNorm: null,
    criticGradientNorm: null,
    changedWeights: 0,
  };
}

/** Adds up what the minibatches of an update say of the policy. */
export class PolicyReport {
  #rows = 0;
  #minibatches = 0;
  #surrogate = 0;
  #entropy = 0;
  #approxKl = 0;
  #clipped = 0;
  #gradientNorm = 0;
  #firstRatioDeviation = 0;

  add(loss: Surrogate, rows: number, gradientNorm: number): void {
    if (this.#minibatches === 0) this.#firstRatioDeviation = loss.ratioDeviation;
    this.#rows += rows;
    this.#minibatches += 1;
    this.#surrogate += loss.surrogate;
    this.#entropy += loss.entropy;
    this.#approxKl += loss.approxKl;
    this.#clipped += loss.clipped;
    this.#gradientNorm += gradientNorm;
  }

  get minibatches(): number {
    return this.#minibatches;
  }

  metrics() {
    return {
      minibatches: this.#minibatches,
      policyLoss: defined(this.#surrogate / this.#rows),
      entropy: defined(this.#entropy / this.#rows),
      approxKl: defined(this.#approxKl / this.#rows),
      clipFraction: this.#clipped / this.#rows,
      firstRatioDeviation: defined(this.#firstRatioDeviation),
      actorGradientNorm: this.#gradientNorm / this.#minibatches,
    };
  }
}

export function rolloutMetrics({
  rollouts,
  staleness,
}: UpdateInput): Pick<UpdateMetrics, 'steps' | 'episodes' | 'meanReturn' | 'meanLength' | 'staleness'> {
  let steps = 0;
  let episodes = 0;
  let returns = 0;
  let lengths = 0;
  for (const part of rollouts) {
    steps += part.slots * part.steps;
    for (const episode of part.episodes) {
      episodes += 1;
      returns += episode.return;
      lengths += episode.length;
    }
  }
  const mean = (sum: number) => (episodes === 0 || !Number.isFinite(sum) ? null : sum / episodes);
  return { staleness, steps, episodes, meanReturn: mean(returns), meanLength: mean(lengths) };
}

/** A metric that left float64's range is reported as not defined: JSON has no infinity. */
export function defined(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** 1 − Var(returns − values) / Var(returns), or null when the returns do not vary. */
export function explainedVariance(values: Float32Array, returns: Float32Array): number | null {
  const total = variance(returns.length, (i) => returns[i]!);
  return total > 0 ? 1 - variance(returns.length, (i) => returns[i]! - values[i]!) / total : null;
}

function variance(count: number, at: (index: number) => number): number {
  let mean = 0;
  for (let i = 0; i < count; i++) mean += at(i) / count;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (at(i) - mean) * (at(i) - mean);
  return sum / count;
}

export function changedFraction(before: Policy, after: readonly LayerTensors[]): number {
  let changed = 0;
  let count = 0;
  for (const [index, { weight, bias }] of before.layers.entries()) {
    const next = after[index]!;
    for (let i = 0; i < weight.length; i++) changed += weight[i] === next.weight[i] ? 0 : 1;
    for (let i = 0; i < bias.length; i++) changed += bias[i] === next.bias[i] ? 0 : 1;
    count += weight.length + bias.length;
  }
  return changed / count;
}
