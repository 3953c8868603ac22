/** What the policy loss of a minibatch is taken over. Rows are steps; `actions` counts choices. */
export interface PolicyLossInput {
  readonly actions: number;
  /** Chosen action of each row. */
  readonly chosen: Uint16Array;
  /** log π_w, `[rows, actions]`. */
  readonly logProbabilities: Float32Array;
  /** π_w, `[rows, actions]`. */
  readonly probabilities: Float32Array;
  /** log π_w(a) − log π_old(a) of each row, and its exponential. */
  readonly logRatio: Float32Array;
  readonly ratio: Float32Array;
  /** Normalised advantages. */
  readonly advantages: Float32Array;
  /** ε: ratios are clipped to [1 − ε, 1 + ε]. */
  readonly clip: number;
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

/**
 * PPO's clipped surrogate −min(r·A, clip(r, 1 ± ε)·A) less the entropy bonus, and its gradient in closed form: with
 * g = ∂surrogate/∂log π(a) = −r·A, or 0 on the clipped branch, and the entropy H,
 *
 *     ∂/∂l_j = g · ([j = a] − π_j) + entropyBonus · π_j · (log π_j + H)
 *
 * Exponentials and logarithms come from the pinned wasm binary, as arguments; here is arithmetic in float64 only.
 */
export function policyLoss(input: PolicyLossInput): PolicyLoss {
  const { actions, chosen, logProbabilities, probabilities, logRatio, ratio, clip } = input;
  const rows = chosen.length;
  const dLogits = new Float32Array(rows * actions);
  let surrogate = 0;
  let entropySum = 0;
  let approxKl = 0;
  let clippedRows = 0;
  for (let row = 0; row < rows; row++) {
    const r = ratio[row]!;
    const advantage = input.advantages[row]!;
    const unclipped = r * advantage;
    const clipped = Math.min(Math.max(r, 1 - clip), 1 + clip) * advantage;
    surrogate -= Math.min(unclipped, clipped);
    approxKl += r - 1 - logRatio[row]!;
    if (Math.abs(r - 1) > clip) clippedRows += 1;
    const slope = unclipped <= clipped ? -unclipped : 0;

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
