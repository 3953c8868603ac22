import { expect, test } from 'vitest';
import { checkPolicy, policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { initialise, orthogonal } from '../../src/training/initialise.ts';
import { wordStream } from '../../src/training/random.ts';
import { actorLayout, criticLayout } from '../../src/training/state.ts';
import { QUANTISER } from '../support/policies.ts';
import { trainerGenesis } from '../support/training.ts';

const GENESIS = trainerGenesis();

test.each([
  [32, 4],
  [32, 32],
  [2, 32],
  [1, 16],
])('a random %i×%i matrix has orthogonal rows or columns of norm gain', (out, width) => {
  const gain = 1.5;
  const matrix = orthogonal(wordStream(new Uint8Array(16).fill(3)), out, width, gain);
  const count = Math.min(out, width);
  const entry = (vector: number, i: number) =>
    out <= width ? matrix[vector * width + i]! : matrix[i * width + vector]!;
  for (let a = 0; a < count; a++) {
    for (let b = 0; b <= a; b++) {
      let dot = 0;
      for (let i = 0; i < Math.max(out, width); i++) dot += entry(a, i) * entry(b, i);
      expect(dot).toBeCloseTo(a === b ? gain * gain : 0, 5);
    }
  }
});

test('policy 0 is the rounding of its latents, with biases of zero', () => {
  const { policy, state } = initialise(GENESIS);
  checkPolicy(policy);
  for (const [index, place] of actorLayout(GENESIS.architecture).layers.entries()) {
    const { weight, bias } = policy.layers[index]!;
    const latents = state.actor.values.subarray(place.weight, place.bias);
    const scale = 2 ** QUANTISER.weightBits[index]!;
    expect([...weight]).toEqual([...latents].map((w) => Math.floor(w * scale + 0.5) + 0));
    expect(bias.every((b) => b === 0)).toBe(true);
  }
});

test('moments and counters start at zero, the running products at one', () => {
  const { state } = initialise(GENESIS);
  for (const network of [state.actor, state.critic]) {
    expect(network.m.every((m) => m === 0) && network.v.every((v) => v === 0)).toBe(true);
    expect([network.beta1Power, network.beta2Power]).toEqual([1, 1]);
  }
  expect([state.updates, state.adamSteps]).toEqual([0, 0]);
  expect(state.critic.values).toHaveLength(criticLayout(GENESIS.architecture, GENESIS.algorithm).size);
});

test('the seed decides policy 0 and nothing else does', () => {
  const root = (seed: number) =>
    toHex(policyRoot(initialise({ ...GENESIS, initialSeed: toHex(sha256(Uint8Array.of(seed))) }).policy));
  expect(root(1)).toBe(root(1));
  expect(new Set([root(1), root(2), root(3)]).size).toBe(3);
});
