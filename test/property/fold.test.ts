import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Architecture,
  fanIn,
  type Layer,
  type LayerTensors,
  layerInputs,
  layerOutputs,
  type Policy,
  patchIndices,
  weightRows,
} from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import { foldObservations, foldPolicy } from '../../src/proofs/fold.ts';
import { circuitLayout } from '../../src/proofs/widths.ts';
import { architectures } from '../support/architectures.ts';
import { randomObservations, randomPolicy } from '../support/policies.ts';

const options = { numRuns: process.env.GRAIL_LONG ? 2000 : 100, seed: 11 };

/** A policy of either kind of layers, a step and a rho. */
const cases = fc
  .record({
    architecture: architectures,
    seed: fc.nat(100_000),
    rho: fc.bigInt({ min: 1n, max: FIELD_ORDER - 1n }),
  })
  .map(({ architecture, seed, rho }) => ({
    policy: randomPolicy(architecture, seed),
    observation: randomObservations(1, architecture.observation, seed + 1),
    rho,
  }));

/** ρ, ρ², … */
function powersOf(rho: bigint, count: number): bigint[] {
  const powers: bigint[] = [];
  for (let i = 0, power = 1n; i < count; i++) {
    power = (power * rho) % FIELD_ORDER;
    powers.push(power);
  }
  return powers;
}

/** A layer at work on a step, and the vector that it is folded to. */
interface FoldedLayer {
  readonly index: number;
  readonly layer: Layer;
  readonly x: readonly bigint[];
  readonly y: Int32Array;
  readonly v: readonly bigint[];
  /** ρ^(f+1) …: the weights of its accumulators, f of which come before. */
  readonly powers: readonly bigint[];
}

function folded(policy: Policy, observation: Int8Array, rho: bigint): FoldedLayer[] {
  const folds = foldPolicy(policy, rho);
  const vectors = [...folds.observation, ...folds.circuit];
  const accumulators = trace(policy, observation);
  const { layers } = policy.architecture;
  const powers = powersOf(
    rho,
    layers.reduce((sum, layer) => sum + layerOutputs(layer), 0),
  );
  let x = Array.from(observation, BigInt);
  let at = 0;
  let first = 0;
  const all = layers.map((layer, index) => {
    const v = vectors.slice(at, at + layerInputs(layer));
    at += v.length;
    const y = accumulators[index]!;
    const result = { index, layer, x, y, v, powers: powers.slice(first, first + y.length) };
    first += y.length;
    const half = 2 ** (layer.shift - 1);
    x = Array.from(y, (value) =>
      BigInt(Math.min(Math.max(Math.floor((value + half) / 2 ** layer.shift), 0), 127)),
    );
    return result;
  });
  expect(at).toBe(vectors.length);
  expect(folds.observation).toHaveLength(policy.architecture.observation);
  return all;
}

function dot(a: readonly bigint[], b: readonly bigint[]): bigint {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0n);
}

/** Σᵢ ρ^(i+1)·yᵢ − Σⱼ vⱼ·xⱼ over all layers, less the biases: zero for true accumulators. */
function defect(policy: Policy, layers: readonly FoldedLayer[], rho: bigint): bigint {
  const sides = layers.map(({ x, y, v, powers }) => dot(powers, Array.from(y, BigInt)) - dot(v, x));
  return signedToField(sides.reduce((sum, side) => sum + side, -foldPolicy(policy, rho).constant));
}

test('Freivalds’ identity holds over all layers for the oracle’s accumulators, and for none that differ in one place', () => {
  fc.assert(
    fc.property(cases, ({ policy, observation, rho }) => {
      const layers = folded(policy, observation, rho);
      expect(defect(policy, layers, rho)).toBe(0n);
      for (const { powers } of layers) {
        for (const power of powers) expect(power).not.toBe(0n);
      }
      const every = layers.flatMap(({ powers }) => powers);
      if (rho > 2n ** 64n && rho < FIELD_ORDER - 2n ** 64n) expect(new Set(every).size).toBe(every.length);
    }),
    options,
  );
});

test('accumulators that change places with others are refused, between positions and between layers too', () => {
  fc.assert(
    fc.property(cases, fc.nat(), fc.nat(), ({ policy, observation, rho }, first, second) => {
      fc.pre(rho > 2n ** 64n && rho < FIELD_ORDER - 2n ** 64n);
      const layers = folded(policy, observation, rho);
      const y = layers.flatMap((layer) => Array.from(layer.y, BigInt));
      const powers = layers.flatMap((layer) => layer.powers);
      const [i, j] = [first % y.length, second % y.length];
      fc.pre(y[i] !== y[j]);
      const swapped = y.with(i, y[j]!).with(j, y[i]!);
      expect(signedToField(dot(powers, swapped) - dot(powers, y))).not.toBe(0n);
    }),
    options,
  );
});

test('what the verifier knows of each equation is the first layer’s share of the identity, steps at their strides', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1, max: 26 }), ({ policy, observation, rho }, steps) => {
      const { architecture } = policy;
      const { stride, folded: most, equations } = circuitLayout({ architecture, stepsPerProof: steps });
      const observations = Array.from({ length: steps }, (_, b) =>
        observation.map((x) => (b === 0 ? x : -x)),
      );
      const traces = observations.map((x) => folded(policy, x, rho));
      const known = foldObservations(architecture, foldPolicy(policy, rho), observations);
      expect(known).toHaveLength(equations);
      for (const [e, value] of known.entries()) {
        // What a circuit computes: Σ ρ^(i+1)·Y − Σ v·X over the layers after the first.
        let out = 0n;
        for (const [b, layers] of traces.slice(e * most, (e + 1) * most).entries()) {
          const weight = 1n << BigInt(stride * b);
          for (const { index, x, y, v, powers } of layers) {
            out += weight * dot(powers, Array.from(y, BigInt));
            if (index > 0) out -= weight * dot(v, x);
          }
        }
        expect(signedToField(out)).toBe(value);
      }
    }),
    { ...options, numRuns: options.numRuns / 4 },
  );
});

/** The matrix `[positions · rows, inputs]` of which a layer is a multiplication, written out. */
function matrix(layer: Layer, { weight }: LayerTensors): bigint[][] {
  const [rows, width] = [weightRows(layer), fanIn(layer)];
  return Array.from({ length: layerOutputs(layer) }, (_, o) => {
    const row = new Array<bigint>(layerInputs(layer)).fill(0n);
    const p = Math.floor(o / rows);
    for (let k = 0; k < width; k++) {
      const w = BigInt(weight[(o % rows) * width + k]!);
      if (layer.type === 'dense') row[k] = w;
      else {
        const { kernel, cin, stride } = layer;
        const columns = Math.floor((layer.width - kernel) / stride) + 1;
        const top = Math.floor(p / columns) * stride + Math.floor(k / (kernel * cin));
        const left = (p % columns) * stride + (Math.floor(k / cin) % kernel);
        row[(top * layer.width + left) * cin + (k % cin)] = w;
      }
    }
    return row;
  });
}

test('the vectors are the transpose of each layer’s whole matrix times its powers of rho', () => {
  fc.assert(
    fc.property(cases, ({ policy, observation, rho }) => {
      let constant = 0n;
      for (const { index, layer, v, powers } of folded(policy, observation, rho)) {
        const { bias } = policy.layers[index]!;
        const whole = matrix(layer, policy.layers[index]!);
        const expected = v.map((_, j) => {
          const column = whole.map((row) => row[j]!);
          return signedToField(dot(column, powers));
        });
        expect(v).toEqual(expected);
        const biases = powers.map((_, o) => BigInt(bias[o % bias.length]!));
        constant += dot(biases, powers);
      }
      expect(foldPolicy(policy, rho).constant).toBe(signedToField(constant));
    }),
    { ...options, numRuns: options.numRuns / 2 },
  );
});

test('a convolution’s weights are folded once, and moved by a power of rho to each position', () => {
  fc.assert(
    fc.property(cases, ({ policy, observation, rho }) => {
      for (const { index, layer, v, powers } of folded(policy, observation, rho)) {
        const [rows, width] = [weightRows(layer), fanIn(layer)];
        const { shift, biasMax } = layer;
        const one: Architecture = {
          observation: width,
          actions: rows,
          layers: [{ type: 'dense', in: width, out: rows, shift, biasMax }],
        };
        // Of a network of this layer alone, whose first accumulator has the weight ρ.
        const u = foldPolicy({ architecture: one, layers: [policy.layers[index]!] }, rho).observation;
        const back = inverse(rho);
        const moved = new Array<bigint>(layerInputs(layer)).fill(0n);
        for (const [at, j] of patchIndices(layer).entries()) {
          const start = (powers[Math.floor(at / width) * rows]! * back) % FIELD_ORDER;
          moved[j]! += start * u[at % width]!;
        }
        expect(v).toEqual(moved.map(signedToField));
      }
    }),
    options,
  );
});
