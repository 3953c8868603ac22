import { expect, test } from 'vitest';
import type { Rollouts } from '../../src/environments/index.ts';
import { estimateAdvantages } from '../../src/training/advantages.ts';

/** Rollouts of one-wide observations, from what advantages depend on. */
function rollouts(
  slots: number,
  steps: number,
  input: { terminated?: number[]; truncated?: number[] },
): Rollouts {
  const size = slots * steps;
  const terminated = new Uint8Array(size);
  const truncated = new Uint8Array(size);
  for (const t of input.terminated ?? []) terminated[t] = 1;
  for (const t of input.truncated ?? []) truncated[t] = 1;
  const bootstrap: number[] = [];
  for (let t = 0; t < size; t++) {
    if (terminated[t] === 0 && (truncated[t] === 1 || t % steps === steps - 1)) bootstrap.push(t);
  }
  return {
    slots,
    steps,
    observations: new Int8Array(size),
    actions: new Uint16Array(size),
    rewards: new Float32Array(size).fill(1),
    terminated,
    truncated,
    bootstrapIndex: Uint32Array.from(bootstrap),
    bootstrapObservations: new Int8Array(bootstrap.length),
    episodes: [],
  };
}

function estimate(part: Rollouts, values: number[], bootstrap: number[], gamma: number, lambda: number) {
  const advantages = new Float32Array(values.length);
  const returns = new Float32Array(values.length);
  const [v, b] = [Float32Array.from(values), Float32Array.from(bootstrap)];
  estimateAdvantages(part, v, b, gamma, lambda, advantages, returns);
  return { advantages: [...advantages], returns: [...returns] };
}

test('with λ = 1 the return is the discounted reward up to a terminal state', () => {
  const { returns } = estimate(rollouts(1, 3, { terminated: [2] }), [5, 6, 7], [], 0.5, 1);
  expect(returns).toEqual([1.75, 1.5, 1]);
});

test('with λ = 0 the advantage is the temporal difference', () => {
  const { advantages } = estimate(rollouts(1, 3, { terminated: [2] }), [5, 6, 7], [], 0.5, 0);
  expect(advantages).toEqual([1 + 3 - 5, 1 + 3.5 - 6, 1 - 7]);
});

test('a truncated step is bootstrapped with the value of the state it led to', () => {
  const { advantages } = estimate(rollouts(1, 3, { truncated: [0] }), [5, 6, 7], [20, 8], 0.5, 1);
  expect(advantages[0]).toBe(1 + 10 - 5);
});

test('a slot’s last step is bootstrapped, and no advantage crosses into the next slot', () => {
  const { returns } = estimate(rollouts(2, 2, {}), [0, 0, 0, 0], [8, 100], 0.5, 1);
  expect(returns).toEqual([1 + 0.5 * (1 + 4), 1 + 4, 1 + 0.5 * (1 + 50), 1 + 50]);
});

test('an episode that ends within a slot keeps its advantages to itself', () => {
  const { returns } = estimate(rollouts(1, 4, { terminated: [1] }), [0, 0, 0, 0], [1000], 0.5, 1);
  expect(returns.slice(0, 2)).toEqual([1.5, 1]);
  expect(returns[3]).toBe(501);
});
