import { expect, test } from 'vitest';
import {
  fanIn,
  type Layer,
  layerInputs,
  layerOutputs,
  layerShapes,
  observationShape,
  patchIndices,
  positions,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { buildArchitecture, parseArchitecture } from '../../src/policy/quantiser.ts';
import { minatarNetwork, SMALL_CONVOLUTIONS } from '../support/architectures.ts';

const convolution = (changes: Partial<Extract<Layer, { type: 'conv2d' }>> = {}) =>
  ({
    type: 'conv2d',
    height: 3,
    width: 4,
    cin: 2,
    cout: 5,
    kernel: 2,
    stride: 1,
    shift: 4,
    biasMax: 9,
    ...changes,
  }) as const;

test('a convolution counts its positions, rows, fan-in and weights', () => {
  const layer = convolution();
  expect([positions(layer), weightRows(layer), fanIn(layer), weightCount(layer)]).toEqual([6, 5, 8, 40]);
  expect([layerInputs(layer), layerOutputs(layer)]).toEqual([24, 30]);
});

test('a stride that does not come out even leaves the last rows and columns unread', () => {
  const layer = convolution({ stride: 2, height: 5 });
  expect(positions(layer)).toBe(4);
  expect(Math.max(...patchIndices(layer))).toBe((3 * 4 + 3) * 2 + 1);
});

test('patches are ordered by row, column and channel, positions row by row', () => {
  const layer = convolution();
  expect([...patchIndices(layer).subarray(0, 16)]).toEqual([
    ...[0, 1, 2, 3, 8, 9, 10, 11],
    ...[2, 3, 4, 5, 10, 11, 12, 13],
  ]);
  expect([...patchIndices(layer).subarray(3 * 8, 3 * 8 + 4)]).toEqual([8, 9, 10, 11]);
  expect([...patchIndices({ type: 'dense', in: 4, out: 2 })]).toEqual([0, 1, 2, 3]);
});

test('layers that a person names take each what the one before gives', () => {
  const shapes = layerShapes([5, 6, 3], [{ filters: 4, kernel: 3, stride: 2 }, 7, 2]);
  expect(shapes).toEqual([
    { type: 'conv2d', height: 5, width: 6, cin: 3, cout: 4, kernel: 3, stride: 2 },
    { type: 'dense', in: 16, out: 7 },
    { type: 'dense', in: 7, out: 2 },
  ]);
});

test.each([
  ['over a vector', [8], [{ filters: 1, kernel: 1, stride: 1 }]],
  ['behind a dense layer', [4, 4, 1], [6, { filters: 1, kernel: 1, stride: 1 }]],
  ['larger than its input', [4, 2, 1], [{ filters: 1, kernel: 3, stride: 1 }]],
] as const)('a convolution %s is POLICY_INVALID', (_, shape, hidden) => {
  expect(() => layerShapes(shape, hidden)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
});

test('the network of MinAtar has the shifts and bias bounds that its exponents give', () => {
  const { layers, observation } = minatarNetwork(4);
  expect(observation).toBe(400);
  expect(layers.map(({ shift, biasMax }) => [shift, biasMax])).toEqual([
    [1, 131_072],
    [7, 131_072],
    [1, 32_636],
  ]);
  expect(layers.map(fanIn)).toEqual([36, 1024, 128]);
});

test('an observation has the dimensions of a leading convolution, else one', () => {
  expect(observationShape(minatarNetwork(7))).toEqual([10, 10, 7]);
  const quantiser = { observationBits: 6, activationBits: 5, weightBits: [6], hysteresis: 0.75 };
  const dense = buildArchitecture({ shape: [3, 3, 2], hidden: [], actions: 2, quantiser });
  expect(observationShape(dense)).toEqual([18]);
});

test('an architecture from outside passes through as it is', () => {
  expect(parseArchitecture(structuredClone(SMALL_CONVOLUTIONS))).toEqual(SMALL_CONVOLUTIONS);
});

const REFUSED: [what: string, layers: readonly object[], observation: number][] = [
  ['a kernel larger than its input', [convolution({ kernel: 4 })], 24],
  ['a kernel of none', [convolution({ kernel: 0 })], 24],
  ['a stride of none', [convolution({ stride: 0 })], 24],
  ['a field of a dense layer', [{ ...convolution(), in: 24 }], 24],
  ['a missing stride', [{ ...convolution(), stride: undefined }], 24],
  ['another number of values than it gets', [convolution()], 23],
  ['a fan-in above 1,024', [convolution({ height: 8, width: 8, cin: 17, kernel: 8, cout: 30 })], 1088],
  ['more than 65,536 values', [convolution({ height: 256, width: 256, kernel: 1, cin: 2 })], 131_072],
  ['more than 1,024 inputs', [{ type: 'dense', in: 1041, out: 30, shift: 17, biasMax: 0 }], 1041],
];

test.each(REFUSED)('a layer with %s is POLICY_INVALID', (_, layers, observation) => {
  const architecture = { observation, actions: 30, layers };
  expect(() => parseArchitecture(architecture)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
});

test('the convolution of these refusals is valid itself', () => {
  const architecture = { observation: 24, actions: 30, layers: [convolution()] };
  expect(parseArchitecture(architecture)).toEqual(architecture);
});
