import { expect, test } from 'vitest';
import { accumulatorBound, type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import {
  buildMlp,
  checkPolicy,
  clampPolicy,
  layerExponents,
  parseArchitecture,
} from '../../src/policy/quantiser.ts';
import { CARTPOLE_MLP, QUANTISER, randomPolicy } from '../support/policies.ts';

const invalid = expect.objectContaining({ name: 'GrailError', code: 'POLICY_INVALID' });

test('the demo’s 4-32-32-2 has shifts 5, 4, 1 and biasMax 66496, 8128, 8156', () => {
  expect(CARTPOLE_MLP.layers.map((layer) => layer.shift)).toEqual([5, 4, 1]);
  expect(CARTPOLE_MLP.layers.map((layer) => layer.biasMax)).toEqual([66_496, 8128, 8156]);
});

test.each([
  [4, [32, 32], 2],
  [8, [64, 64], 4],
  [1, [1, 1], 2],
  [1000, [1000, 1000], 18],
])(
  'biasMax of %d-%j-%d holds two real units and fills the accumulator’s bits',
  (observation, hidden, actions) => {
    const architecture = buildMlp({ observation, hidden, actions, quantiser: QUANTISER });
    for (const [index, layer] of architecture.layers.entries()) {
      const { accumulator } = layerExponents(QUANTISER)[index]!;
      const step = 2 ** (layer.shift + 1);
      expect(layer.biasMax).toBeGreaterThanOrEqual(2 * 2 ** accumulator);
      expect(layer.biasMax % step).toBe(0);
      const bits = (value: number) => value.toString(2).length;
      const bound = accumulatorBound(layer);
      const wider = bits(bound + step) > bits(bound);
      expect(wider || layer.biasMax + step > 131_072).toBe(true);
    }
  },
);

test('exponents that leave no shift, or more than 17, are refused', () => {
  const build = (weightBits: number[]) =>
    buildMlp({ observation: 4, hidden: [], actions: 2, quantiser: { ...QUANTISER, weightBits } });
  expect(() => build([4])).toThrow(invalid);
  expect(build([5]).layers[0]!.shift).toBe(1);
  const deep = { observationBits: 16, activationBits: 0, weightBits: [16, 12], hysteresis: 0.75 };
  expect(() => buildMlp({ observation: 4, hidden: [4], actions: 2, quantiser: deep })).toThrow(invalid);
});

test('a layer whose bias would need more than 2^17 is refused', () => {
  const quantiser = { observationBits: 11, activationBits: 5, weightBits: [6, 6], hysteresis: 0.75 };
  expect(() => buildMlp({ observation: 4, hidden: [4], actions: 2, quantiser })).toThrow(invalid);
});

test('exponents for another number of layers are refused', () => {
  expect(() => buildMlp({ observation: 4, hidden: [8], actions: 2, quantiser: QUANTISER })).toThrow(invalid);
});

test('more than 1,024 inputs are refused', () => {
  const wide = { observation: 1025, hidden: [8, 8], actions: 2, quantiser: QUANTISER };
  expect(() => buildMlp(wide)).toThrow(invalid);
});

test('an architecture with an unknown field is refused', () => {
  expect(parseArchitecture(structuredClone(CARTPOLE_MLP))).toEqual(CARTPOLE_MLP);
  expect(() => parseArchitecture({ ...CARTPOLE_MLP, extra: 1 })).toThrow(invalid);
});

const change = (edit: (policy: Policy) => unknown): Policy => {
  const policy = randomPolicy(CARTPOLE_MLP, 1);
  edit(policy);
  return policy;
};

test('a policy within its ranges is valid, its extremes included', () => {
  checkPolicy(randomPolicy(CARTPOLE_MLP, 1));
  checkPolicy(change((p) => p.layers[1]!.bias.fill(8128)));
  checkPolicy(change((p) => p.layers[1]!.bias.fill(-8128)));
  checkPolicy(change((p) => p.layers[2]!.weight.fill(-127)));
});

test.each([
  ['a weight of −128', (p: Policy) => p.layers[2]!.weight.fill(-128, 63)],
  ['a bias above biasMax', (p: Policy) => p.layers[1]!.bias.fill(8129, 31)],
  ['a bias below −biasMax', (p: Policy) => p.layers[1]!.bias.fill(-8129, 0, 1)],
  ['the least int32 as bias', (p: Policy) => p.layers[0]!.bias.fill(-2147483648, 0, 1)],
])('%s is POLICY_INVALID', (_, edit) => {
  expect(() => checkPolicy(change(edit))).toThrow(invalid);
});

test.each([
  ['missing layers', (p: Policy) => ({ ...p, layers: p.layers.slice(1) })],
  [
    'a short weight',
    (p: Policy) => ({ ...p, layers: p.layers.map((l) => ({ ...l, weight: l.weight.slice(1) })) }),
  ],
  [
    'a long bias',
    (p: Policy) => ({ ...p, layers: p.layers.map((l) => ({ ...l, bias: new Int32Array(33) })) }),
  ],
])('%s is POLICY_INVALID', (_, edit) => {
  expect(() => checkPolicy(edit(randomPolicy(CARTPOLE_MLP, 1)))).toThrow(invalid);
});

test('clamping brings any integers into range and leaves valid ones alone', () => {
  const policy = randomPolicy(CARTPOLE_MLP, 2);
  expect(clampPolicy(CARTPOLE_MLP, policy.layers)).toEqual(policy);
  const wild = CARTPOLE_MLP.layers.map((layer) => ({
    weight: new Array<number>(weightCount(layer)).fill(-128),
    bias: new Array<number>(weightRows(layer)).fill(1_000_000),
  }));
  const clamped = clampPolicy(CARTPOLE_MLP, wild);
  expect(clamped.layers[0]!.weight[0]).toBe(-127);
  expect(clamped.layers.map((layer) => layer.bias[0])).toEqual([66_496, 8128, 8156]);
});
