import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cartPole, createCartPole } from '../../src/environments/cartpole.ts';
import { evaluate } from '../../src/environments/evaluate.ts';
import { type Architecture, type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';
import { parseArchitecture } from '../../src/policy/quantiser.ts';
import { noise, sample } from '../../src/policy/sampler.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { foldObservations, foldPolicy } from '../../src/proofs/fold.ts';
import { bigToBytes, fromHex, toHex } from '../../src/protocol/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/protocol/canonical.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { minatarNetwork } from '../support/architectures.ts';
import { CARTPOLE_MLP } from '../support/policies.ts';

/** Made by exact-policy.py, an implementation in Python that shares no code with this one. */
const vectors = JSON.parse(readFileSync(new URL('exact-policy.json', import.meta.url), 'utf8'));

interface ConvolutionVector {
  architecture: Architecture;
  canonicalArchitecture: string;
  tensorLength: number;
  policyRoot: string;
  observation: number[];
  /** The first 64 of each layer. */
  accumulators: number[][];
  /** Of all of them, int32, little-endian. */
  traceSha256: string;
  logits: number[];
  rho: string;
  foldCount: number;
  folds: string[];
  foldsSha256: string;
  observationFold: string;
}

/** The policies of PROTOCOL's test vectors: integers from small formulas. */
function formulaPolicy(architecture: Architecture): Policy {
  const layers = architecture.layers.map((layer, index) => ({
    weight: Int8Array.from(
      { length: weightCount(layer) },
      (_, i) => ((i * 37 + 11 * (index + 1)) % 255) - 127,
    ),
    bias: Int32Array.from(
      { length: weightRows(layer) },
      (_, i) => ((i * 7919 + 13) % (2 * layer.biasMax + 1)) - layer.biasMax,
    ),
  }));
  return { architecture, layers };
}

const policy = formulaPolicy(CARTPOLE_MLP);

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

describe.each(vectors.convolutions as ConvolutionVector[])(
  'convolutions: $canonicalArchitecture',
  (vector) => {
    const policy = formulaPolicy(vector.architecture);
    const observation = Int8Array.from(vector.observation);
    const accumulators = trace(policy, observation);

    test('architecture, tensor bytes and policyRoot are the vector’s', () => {
      expect(parseArchitecture(vector.architecture)).toEqual(vector.architecture);
      expect(canonicalText(vector.architecture)).toBe(vector.canonicalArchitecture);
      expect(tensorBytes(policy).length).toBe(vector.tensorLength);
      expect(toHex(policyRoot(policy))).toBe(vector.policyRoot);
    });

    test('accumulators and logits are the vector’s', () => {
      expect(accumulators.map((y) => [...y.slice(0, 64)])).toEqual(vector.accumulators);
      const bytes = accumulators.map((y) => new Uint8Array(y.buffer));
      expect(toHex(sha256(...bytes))).toBe(vector.traceSha256);
      expect([...forward(policy, observation, 1)]).toEqual(vector.logits);
      expect(new Set(vector.logits).size).toBe(vector.logits.length);
    });

    test('fold vectors are the vector’s', () => {
      const policyFolds = foldPolicy(policy, BigInt(vector.rho));
      const { observation: first, constant, circuit } = policyFolds;
      const folds = [...first, constant, ...circuit].map((value) => bigToBytes(value, 32));
      expect(folds).toHaveLength(vector.foldCount);
      expect(folds.slice(0, 8).map(toHex)).toEqual(vector.folds);
      expect(toHex(sha256(...folds))).toBe(vector.foldsSha256);
      const known = foldObservations(vector.architecture, policyFolds, [observation]);
      expect(known.map((value) => toHex(bigToBytes(value, 32)))).toEqual([vector.observationFold]);
    });
  },
);

test('the last of them is what the quantiser gives for 10 × 10 × 4', () => {
  expect(minatarNetwork(4)).toEqual(vectors.convolutions.at(-1).architecture);
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
