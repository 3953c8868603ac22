import { expect, test } from 'vitest';
import { loadBackend } from '../../src/backends/index.ts';
import { cartPole } from '../../src/environments/cartpole.ts';
import { evaluate } from '../../src/environments/evaluate.ts';
import { runSlots } from '../../src/environments/slots.ts';
import { forward } from '../../src/policy/forward.ts';
import { packSeeds, sampleBatch } from '../../src/policy/sampler.ts';
import { u8, u32 } from '../../src/protocol/bytes.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { balancingPolicy, CARTPOLE_MLP, randomPolicy } from '../support/policies.ts';

const seed = sha256(Uint8Array.of(1));
const random = randomPolicy(CARTPOLE_MLP, 4);

test('a policy that keeps the pole up reaches 500 in every episode', () => {
  const { meanReturn, returns } = evaluate({
    policy: balancingPolicy(),
    environment: cartPole,
    seed,
    episodes: 20,
  });
  expect(meanReturn).toBe(500);
  expect([...returns]).toEqual(new Array(20).fill(500));
});

test('the mean is the mean of the returns, and another seed gives other episodes', () => {
  const one = evaluate({ policy: random, environment: cartPole, seed, episodes: 40 });
  expect(one.meanReturn).toBe(one.returns.reduce((sum, value) => sum + value, 0) / 40);
  const other = evaluate({ policy: random, environment: cartPole, seed: sha256(seed), episodes: 40 });
  expect([...other.returns]).not.toEqual([...one.returns]);
});

test('each return is the first episode that a slot with the same seeds would run', () => {
  const episodes = 25;
  const { returns } = evaluate({ policy: random, environment: cartPole, seed, episodes });
  const derive = (purpose: number, episode: number) =>
    sha256(tag('evaluate'), seed, u8(purpose), u32(episode)).slice(0, 16);
  const seeds = packSeeds(Array.from({ length: episodes }, (_, episode) => derive(1, episode)));
  const rollouts = runSlots(
    cartPole,
    {
      task: (group) => derive(0, group),
      sample: (slot) => derive(1, slot),
      environment: (slot) => derive(2, slot),
    },
    1,
    episodes,
    500,
    (step, observations, actions) =>
      sampleBatch(seeds, step, forward(random, observations, episodes), 2, actions),
  );
  const first = rollouts.episodes.filter((episode) => episode.start === 0).sort((a, b) => a.slot - b.slot);
  expect([...returns]).toEqual(first.map((episode) => episode.return));
});

test.each(['simd', 'cpu', 'wasm'] as const)(
  'the %s backend gives the same returns as the reference',
  async (name) => {
    const backend = await loadBackend(name);
    const input = { policy: random, environment: cartPole, seed, episodes: 10 };
    expect(evaluate({ ...input, backend })).toEqual(evaluate(input));
  },
);
