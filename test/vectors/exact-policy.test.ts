import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cartPole, createCartPole } from '../../src/environments/cartpole.ts';
import { evaluate } from '../../src/environments/evaluate.ts';
import { type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';
import { noise, sample } from '../../src/policy/sampler.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { fromHex, toHex } from '../../src/protocol/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/protocol/canonical.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { CARTPOLE_MLP } from '../support/policies.ts';

/** Made by exact-policy.py, an implementation in Python that shares no code with this one. */
const vectors = JSON.parse(readFileSync(new URL('exact-policy.json', import.meta.url), 'utf8'));

/** The policy of PROTOCOL's test vectors: integers from small formulas. */
const policy: Policy = {
  architecture: CARTPOLE_MLP,
  layers: CARTPOLE_MLP.layers.map((layer, index) => ({
    weight: Int8Array.from(
      { length: weightCount(layer) },
      (_, i) => ((i * 37 + 11 * (index + 1)) % 255) - 127,
    ),
    bias: Int32Array.from(
      { length: weightRows(layer) },
      (_, i) => ((i * 7919 + 13) % (2 * layer.biasMax + 1)) - layer.biasMax,
    ),
  })),
};

test('the quantiser gives the vector’s architecture', () => {
  expect(CARTPOLE_MLP).toEqual(vectors.architecture);
});

test('the canonical architecture and its hash are the vector’s', () => {
  expect(canonicalText(CARTPOLE_MLP)).toBe(vectors.canonicalArchitecture);
  expect(toHex(sha256(canonicalBytes(CARTPOLE_MLP)))).toBe(vectors.architectureHash);
});

test('tensor bytes and policyRoot are the vector’s', () => {
  expect(toHex(tag('policy'))).toBe(vectors.policyTag);
  expect(tensorBytes(policy).length).toBe(vectors.tensorLength);
  expect(toHex(sha256(tensorBytes(policy)))).toBe(vectors.tensorSha256);
  expect(toHex(policyRoot(policy))).toBe(vectors.policyRoot);
});

test('accumulators and logits are the vector’s', () => {
  const observation = Int8Array.from(vectors.observation);
  expect(trace(policy, observation).map((y) => [...y])).toEqual(vectors.accumulators);
  expect([...forward(policy, observation, 1)]).toEqual(vectors.logits);
});

test('noise and action are the vector’s', () => {
  const out = new Int32Array(10);
  noise(fromHex(vectors.seed), vectors.step, 10, out);
  expect([...out]).toEqual(vectors.noise);
  expect(sample(Int32Array.from(vectors.logits), out.slice(0, 2))).toBe(vectors.action);
});

test('CartPole starts, steps and is observed as in the vector', () => {
  const batch = createCartPole(1);
  const observation = new Int8Array(4);
  batch.reset(0, fromHex(vectors.seed));
  batch.observe(observation);
  expect([...batch.states]).toEqual(vectors.cartPole.start);
  expect([...observation]).toEqual(vectors.cartPole.observation);
  const actions = Uint16Array.of(vectors.cartPole.action);
  batch.step(actions, 0, new Float32Array(1), new Uint8Array(1), new Uint8Array(1));
  batch.observe(observation);
  expect([...batch.states]).toEqual(vectors.cartPole.after);
  expect([...observation]).toEqual(vectors.cartPole.observationAfter);
});

test('an evaluation of five episodes returns the vector’s returns', () => {
  const { seed, returns } = vectors.evaluation;
  const got = evaluate({ policy, environment: cartPole, seed: fromHex(seed), episodes: returns.length });
  expect([...got.returns]).toEqual(returns);
});
