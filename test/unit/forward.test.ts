import { expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';

/** 2 → 3 → 2, small enough to follow by hand. */
const small: Policy = {
  architecture: {
    observation: 2,
    actions: 2,
    layers: [
      { type: 'dense', in: 2, out: 3, shift: 2, biasMax: 1000 },
      { type: 'dense', in: 3, out: 2, shift: 1, biasMax: 1000 },
    ],
  },
  layers: [
    { weight: Int8Array.of(1, 2, -3, 1, 100, 100), bias: Int32Array.of(0, 5, -7) },
    { weight: Int8Array.of(1, -2, 3, -1, 0, -1), bias: Int32Array.of(0, 10) },
  ],
};

test('a network small enough to follow by hand gives what the hand gives', () => {
  // y = (2 + 8, −6 + 4 + 5, 200 + 400 − 7), requantised to 3, 1 and 127 (clamped from 148).
  const observation = Int8Array.of(2, 4);
  expect(trace(small, observation).map((y) => [...y])).toEqual([
    [10, 3, 593],
    [382, -120],
  ]);
  expect([...forward(small, observation, 1)]).toEqual([191, -60]);
});

test('a convolution small enough to follow by hand gives what the hand gives', () => {
  const policy: Policy = {
    architecture: {
      observation: 6,
      actions: 2,
      layers: [
        {
          type: 'conv2d',
          height: 2,
          width: 3,
          cin: 1,
          cout: 2,
          kernel: 2,
          stride: 1,
          shift: 1,
          biasMax: 100,
        },
        { type: 'dense', in: 4, out: 2, shift: 1, biasMax: 100 },
      ],
    },
    layers: [
      { weight: Int8Array.of(1, 2, 3, 4, 0, 0, 0, -1), bias: Int32Array.of(0, 20) },
      { weight: Int8Array.of(1, 2, 4, 8, 1, 0, 0, 0), bias: Int32Array.of(0, 1) },
    ],
  };
  // The image [1 2 3 / 4 5 6]. Left patch 1 2 4 5: 1 + 4 + 12 + 20 = 37 and 20 − 5; right patch 2 3 5 6: 47 and 20 − 6.
  // Requantised to 19, 8, 24, 7: position by position, a row's outputs together.
  const observation = Int8Array.of(1, 2, 3, 4, 5, 6);
  expect(trace(policy, observation).map((y) => [...y])).toEqual([
    [37, 15, 47, 14],
    [19 + 16 + 96 + 56, 20],
  ]);
  expect([...forward(policy, observation, 1)]).toEqual([94, 10]);
});

test('halves round up: −3/2 to −1 and 3/2 to 2', () => {
  const policy: Policy = {
    architecture: {
      observation: 1,
      actions: 2,
      layers: [{ type: 'dense', in: 1, out: 2, shift: 1, biasMax: 9 }],
    },
    layers: [{ weight: Int8Array.of(1, -1), bias: Int32Array.of(0, 0) }],
  };
  expect([...forward(policy, Int8Array.of(3), 1)]).toEqual([2, -1]);
});

test('a row of a batch does not depend on the rows beside it', () => {
  const policy = randomPolicy(CARTPOLE_MLP, 5);
  const observations = randomObservations(64, 4, 6);
  const together = forward(policy, observations, 64);
  for (let row = 0; row < 64; row++) {
    const alone = forward(policy, observations.slice(4 * row, 4 * row + 4), 1);
    expect([...alone]).toEqual([...together.subarray(2 * row, 2 * row + 2)]);
  }
});

test('an observation of −128 is INT8_RANGE', () => {
  const policy = randomPolicy(CARTPOLE_MLP, 5);
  const wrong = expect.objectContaining({ code: 'INT8_RANGE', details: { row: 1, column: 2 } });
  expect(() => forward(policy, Int8Array.of(1, 2, 3, 4, 5, 6, -128, 8), 2)).toThrow(wrong);
  expect(() => trace(policy, Int8Array.of(1, 2, -128, 4))).toThrow(
    expect.objectContaining({ code: 'INT8_RANGE' }),
  );
});

test('observations of another length than batch · observation are refused', () => {
  const policy = randomPolicy(CARTPOLE_MLP, 5);
  expect(() => forward(policy, new Int8Array(7), 2)).toThrow(RangeError);
  expect(() => trace(policy, new Int8Array(5))).toThrow(RangeError);
});
