/** What the policy loss of a minibatch is taken over. Rows are steps; `actions` counts choices. */
export interface PolicyLossInput {
  readonly actions: number;
  /** Chosen action of each row. */
  readonly chosen: Uint16Array;
  /** log π, `[rows, actions]`: the policy as it is now. */
  readonly logProbabilities: Float32Array;
  /** π, `[rows, actions]`. */
  readonly probabilities: Float32Array;
  /** log π(a) − log π₀(a) of each row, and its exponential; π₀ is the policy that the update began with. */
  readonly logRatio: Float32Array;
  readonly ratio: Float32Array;
  /** Normalised advantages. */
  readonly advantages: Float32Array;
  /** Weight of each row: how much likelier its action was when the update began than when it was taken; 1 at lag 0. */
  readonly weights: Float32Array;
  /** Ratios are clipped to [1 − clipLow, 1 + clipHigh]. */
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly entropyBonus: number;
}

export interface PolicyLoss {
  /** Sums over rows. */
  readonly surrogate: number;
  readonly entropy: number;
  readonly approxKl: number;
  readonly clipped: number;
  /** Gradient of mean(surrogate − entropyBonus · entropy) with respect to the logits, `[rows, actions]`. */
  readonly dLogits: Float32Array;
}

/** The largest float32: an infinite ratio times a weight or an advantage of 0 would be no number. */
const LARGEST_RATIO = 3.4028234663852886e38;

/**
 * The clipped surrogate −w·min(r·A, clip(r, 1 − clipLow, 1 + clipHigh)·A) less the entropy bonus, and its gradient in
 * closed form: with g = ∂surrogate/∂log π(a) = −w·r·A, or 0 on the clipped branch, and the entropy H,
 *
 *     ∂/∂l_j = g · ([j = a] − π_j) + entropyBonus · π_j · (log π_j + H)
 *
 * Exponentials and logarithms come from the pinned wasm binary, as arguments; here is arithmetic in float64 only.
 */
export function policyLoss(input: PolicyLossInput): PolicyLoss {
  const { actions, chosen, logProbabilities, probabilities, logRatio, ratio, clipLow, clipHigh } = input;
  const rows = chosen.length;
  const dLogits = new Float32Array(rows * actions);
  let surrogate = 0;
  let entropySum = 0;
  let approxKl = 0;
  let clippedRows = 0;
  for (let row = 0; row < rows; row++) {
    const r = Math.min(ratio[row]!, LARGEST_RATIO);
    const advantage = input.advantages[row]!;
    const weight = input.weights[row]!;
    const unclipped = r * advantage;
    const clipped = Math.min(Math.max(r, 1 - clipLow), 1 + clipHigh) * advantage;
    surrogate -= weight * Math.min(unclipped, clipped);
    approxKl += r - 1 - logRatio[row]!;
    if (r < 1 - clipLow || r > 1 + clipHigh) clippedRows += 1;
    const slope = unclipped <= clipped ? -weight * unclipped : 0;

    const first = row * actions;
    let entropy = 0;
    for (let j = first; j < first + actions; j++) entropy -= probabilities[j]! * logProbabilities[j]!;
    entropySum += entropy;
    for (let j = first; j < first + actions; j++) {
      const p = probabilities[j]!;
      const isChosen = j - first === chosen[row]! ? 1 : 0;
      const dSurrogate = slope * (isChosen - p);
      const dEntropy = -p * (logProbabilities[j]! + entropy);
      dLogits[j] = (dSurrogate - input.entropyBonus * dEntropy) / rows;
    }
  }
  return { surrogate, entropy: entropySum, approxKl, clipped: clippedRows, dLogits };
}

/** Sum over rows of (V − R)² / 2, and the gradient of its mean with respect to V, `[rows]`. */
export function valueLoss(
  predicted: Float32Array,
  returns: Float32Array,
): { squares: number; dValues: Float32Array } {
  const dValues = new Float32Array(predicted.length);
  let squares = 0;
  for (let row = 0; row < predicted.length; row++) {
    const error = predicted[row]! - returns[row]!;
    squares += 0.5 * error * error;
    dValues[row] = error / predicted.length;
  }
  return { squares, dValues };
}
