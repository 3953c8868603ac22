import type { Rollouts } from '../environments/slots.ts';

/**
 * Generalised advantage estimation (Schulman et al., arXiv 1506.02438) over one miner's rollouts, slot by slot,
 * backwards in time, in float64; results are rounded to float32 once.
 *
 *     δ_t = r_t + γ · V(next of t) − V_t
 *     A_t = δ_t + γ · λ · A_{t+1}, the second term only while the episode and the slot go on
 *
 * V(next) is 0 after a terminal state, the critic's value of the bootstrap observation after a truncated step and at
 * the end of a slot, and V_{t+1} otherwise.
 *
 * @param values `[slots · steps]`, the critic's
 * @param bootstrapValues `[bootstrapIndex.length]`, the critic's for the bootstrap observations
 * @param advantages `[slots · steps]`, written
 * @param returns `[slots · steps]`, written: A_t + V_t, the critic's target
 */
export function estimateAdvantages(
  rollouts: Rollouts,
  values: Float32Array,
  bootstrapValues: Float32Array,
  gamma: number,
  lambda: number,
  advantages: Float32Array,
  returns: Float32Array,
): void {
  const { slots, steps, rewards, terminated, truncated, bootstrapIndex } = rollouts;
  let bootstrap = bootstrapIndex.length - 1;
  for (let slot = slots - 1; slot >= 0; slot--) {
    let following = 0;
    for (let step = steps - 1; step >= 0; step--) {
      const t = slot * steps + step;
      const goesOn = step < steps - 1 && terminated[t] === 0 && truncated[t] === 0;
      let next = 0;
      if (bootstrap >= 0 && bootstrapIndex[bootstrap] === t) {
        next = bootstrapValues[bootstrap]!;
        bootstrap -= 1;
      } else if (goesOn) {
        next = values[t + 1]!;
      }
      const delta = rewards[t]! + gamma * next - values[t]!;
      following = delta + (goesOn ? gamma * lambda * following : 0);
      advantages[t] = following;
      returns[t] = following + values[t]!;
    }
  }
}
