import { expect, test } from 'vitest';
import type { Rollouts } from '../../src/environments/index.ts';
import { groupAdvantages } from '../../src/training/grpo.ts';

/** One slot: its episodes' rewards, the last of them unfinished where it ends with null. */
type Slot = readonly (readonly (number | null)[])[];

function rollouts(slots: readonly Slot[], kind: 'terminated' | 'truncated' = 'terminated'): Rollouts {
  const rewards: number[] = [];
  const ended: number[] = [];
  for (const episodes of slots) {
    for (const episode of episodes) {
      const whole = episode.at(-1) !== null;
      for (const [i, reward] of episode.entries()) {
        if (reward === null) continue;
        rewards.push(reward);
        ended.push(whole && i === episode.length - 1 ? 1 : 0);
      }
    }
  }
  const size = rewards.length;
  const flags = { terminated: new Uint8Array(size), truncated: new Uint8Array(size) };
  flags[kind].set(ended);
  return {
    slots: slots.length,
    steps: size / slots.length,
    observations: new Int8Array(size),
    actions: new Uint16Array(size),
    rewards: Float32Array.from(rewards),
    ...flags,
    bootstrapIndex: new Uint32Array(0),
    bootstrapObservations: new Int8Array(0),
    episodes: [],
  };
}

function advantagesOf(part: Rollouts, groupSize: number, scaleByDeviation = false) {
  const size = part.slots * part.steps;
  const advantages = new Float32Array(size).fill(99);
  const compared = new Uint8Array(size);
  groupAdvantages(part, groupSize, scaleByDeviation, advantages, compared);
  return [...advantages].map((a, t) => (compared[t] === 1 ? a : null));
}

test('every step of an episode has its return less the mean of its group', () => {
  const part = rollouts([[[1, 1, 1, 1]], [[0, 0, 0, 2]], [[0, 0, 0, 0]]]);
  expect(advantagesOf(part, 3)).toEqual([2, 2, 2, 2, 0, 0, 0, 0, -2, -2, -2, -2]);
});

test('with scaleByDeviation that is divided by the standard deviation of the group’s returns', () => {
  const scaled = advantagesOf(rollouts([[[3]], [[1]]]), 2, true);
  expect(scaled[0]).toBeCloseTo(1 / (Math.sqrt(2) + 1e-4), 6);
  expect(scaled[1]).toBeCloseTo(-1 / (Math.sqrt(2) + 1e-4), 6);
});

test('the steps of a group whose returns are all equal are left out', () => {
  const part = rollouts([
    [[1], [5]],
    [[1], [7]],
  ]);
  expect(advantagesOf(part, 2)).toEqual([null, -1, null, 1]);
});

test('returns that differ by the rounding of their sums make advantages that are next to nothing', () => {
  const part = rollouts([[[0.1, 0.2, 0.3]], [[0.3, 0.2, 0.1]], [[0.30000001192092896, 0.3, 0]]]);
  for (const advantage of advantagesOf(part, 3, true)) expect(Math.abs(advantage ?? 0)).toBeLessThan(1e-3);
});

test('an episode index counts only if it ended in every slot of the group', () => {
  const part = rollouts([
    [
      [1, 1],
      [4, null],
    ],
    [[0, 3], [9]],
  ]);
  expect(advantagesOf(part, 2)).toEqual([-0.5, -0.5, null, 0.5, 0.5, null]);
});

test('an episode that the time limit ended is whole', () => {
  expect(advantagesOf(rollouts([[[1]], [[2]]], 'truncated'), 2)).toEqual([-0.5, 0.5]);
});

test('episodes of one index are compared, whenever they began', () => {
  const part = rollouts([
    [[1, 1, 1], [4]],
    [[2], [8, 0, 2]],
  ]);
  expect(advantagesOf(part, 2)).toEqual([0.5, 0.5, 0.5, -3, -0.5, 3, 3, 3]);
});

test('groups do not see each other', () => {
  const part = rollouts([[[1]], [[3]], [[10]], [[20]]]);
  expect(advantagesOf(part, 2)).toEqual([-1, 1, -5, 5]);
});

test('slots that do not make whole groups are refused', () => {
  expect(() => advantagesOf(rollouts([[[1]], [[3]], [[10]]]), 2)).toThrow(RangeError);
});
