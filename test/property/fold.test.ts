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
  positions,
  weightRows,
} from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { foldVectors } from '../../src/proofs/fold.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/poseidon.ts';
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

/** What each layer takes and the vectors it is folded to. */
function folded(policy: Policy, observation: Int8Array, rho: bigint) {
  const folds = foldVectors(policy, rho);
  const accumulators = trace(policy, observation);
  let x = Array.from(observation, BigInt);
  let at = 0;
  const layers = policy.architecture.layers.map((layer, index) => {
    const v = folds.slice(at, at + layerInputs(layer));
    const c = folds[at + v.length]!;
    at += v.length + 1;
    const result = { layer, x, y: accumulators[index]!, v, c };
    const half = 2 ** (layer.shift - 1);
    x = Array.from(result.y, (y) =>
      BigInt(Math.min(Math.max(Math.floor((y + half) / 2 ** layer.shift), 0), 127)),
    );
    return result;
  });
  expect(at).toBe(folds.length);
  return layers;
}

function dot(a: readonly bigint[], b: readonly bigint[]): bigint {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0n);
}

test('Freivalds’ identity holds for the oracle’s accumulators, and for none that differ in one place', () => {
  fc.assert(
    fc.property(cases, ({ policy, observation, rho }) => {
      for (const { layer, x, y, v, c } of folded(policy, observation, rho)) {
        const powers = powersOf(rho, layerOutputs(layer));
        const left = dot(powers, Array.from(y, BigInt));
        const right = signedToField(dot(v, x) + c);
        expect(signedToField(left)).toBe(right);
        for (const power of powers) {
          expect(signedToField(left + power)).not.toBe(right);
          expect(signedToField(left - power)).not.toBe(right);
        }
      }
    }),
    options,
  );
});

test('accumulators that change places with others are refused, between positions too', () => {
  fc.assert(
    fc.property(cases, fc.nat(), fc.nat(), ({ policy, observation, rho }, first, second) => {
      fc.pre(rho > 2n ** 64n && rho < FIELD_ORDER - 2n ** 64n);
      for (const { layer, x, y, v, c } of folded(policy, observation, rho)) {
        const [i, j] = [first % y.length, second % y.length];
        if (y[i] === y[j]) continue;
        const moved = y.with(i, y[j]!).with(j, y[i]!);
        const left = dot(powersOf(rho, layerOutputs(layer)), Array.from(moved, BigInt));
        expect(signedToField(left)).not.toBe(signedToField(dot(v, x) + c));
      }
    }),
    options,
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

test('the vectors are the transpose of the layer’s whole matrix times the powers of rho', () => {
  fc.assert(
    fc.property(cases, ({ policy, observation, rho }) => {
      for (const [index, { layer, v, c }] of folded(policy, observation, rho).entries()) {
        const tensors = policy.layers[index]!;
        const whole = matrix(layer, tensors);
        const powers = powersOf(rho, whole.length);
        const expected = v.map((_, j) =>
          signedToField(
            dot(
              whole.map((row) => row[j]!),
              powers,
            ),
          ),
        );
        expect(v).toEqual(expected);
        const biases = powers.map((_, o) => BigInt(tensors.bias[o % tensors.bias.length]!));
        expect(c).toBe(signedToField(dot(biases, powers)));
      }
    }),
    { ...options, numRuns: options.numRuns / 2 },
  );
});

test('a convolution’s weights are folded once, and moved by a power of rho to each position', () => {
  fc.assert(
    fc.property(cases, ({ policy, observation, rho }) => {
      for (const [index, { layer, v, c }] of folded(policy, observation, rho).entries()) {
        const [rows, width] = [weightRows(layer), fanIn(layer)];
        const { shift, biasMax } = layer;
        const one: Architecture = {
          observation: width,
          actions: rows,
          layers: [{ type: 'dense', in: width, out: rows, shift, biasMax }],
        };
        const u = foldVectors({ architecture: one, layers: [policy.layers[index]!] }, rho);
        const powers = [1n, ...powersOf(rho, layerOutputs(layer))];
        const moved = new Array<bigint>(layerInputs(layer)).fill(0n);
        let constant = 0n;
        for (const [at, j] of patchIndices(layer).entries()) {
          moved[j]! += powers[Math.floor(at / width) * rows]! * u[at % width]!;
        }
        for (let p = 0; p < positions(layer); p++) constant += powers[p * rows]! * u[width]!;
        expect(v).toEqual(moved.map(signedToField));
        expect(c).toBe(signedToField(constant));
      }
    }),
    options,
  );
});
