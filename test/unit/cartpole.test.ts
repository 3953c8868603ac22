import { expect, test } from 'vitest';
import { cartPole, createCartPole } from '../../src/environments/cartpole.ts';
import { environmentById } from '../../src/environments/index.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';

const seed = (n: number) => sha256(Uint8Array.of(n)).slice(0, 16);

const outputs = (batch: number) =>
  [new Float32Array(batch), new Uint8Array(batch), new Uint8Array(batch)] as const;

test('a start state is drawn from the task seed alone, within ±0.05', () => {
  const batch = createCartPole(200);
  for (let i = 0; i < 200; i++) batch.reset(i, seed(i % 100));
  expect(batch.states.subarray(0, 400)).toEqual(batch.states.subarray(400));
  const values = batch.states.subarray(0, 400);
  expect(Math.max(...values)).toBeLessThan(0.05);
  expect(Math.min(...values)).toBeGreaterThan(-0.05);
  expect(new Set(values).size).toBe(400);
  const mean = values.reduce((sum, value) => sum + value, 0) / 400;
  expect(Math.abs(mean)).toBeLessThan(0.005);
});

test('the four start values are the words of the seed’s block (0, 0)', () => {
  const batch = createCartPole(1);
  batch.reset(0, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4));
  const block = new Uint32Array(4);
  philox4x32(0, 0, 3, 4, 1, 2, block);
  expect([...batch.states]).toEqual([...block].map((word) => ((word + 0.5) / 4294967296) * 0.1 - 0.05));
});

test('observations round to the nearest of 255 levels and stop at ±127', () => {
  const batch = createCartPole(4);
  batch.states.set([
    2.4, 3, 0.21, 3.5, -2.4, -3, -0.21, -3.5, 100, -100, 0, -0.001, 0.0096, 0.0094, -0.0096, 0.0276,
  ]);
  const out = new Int8Array(16);
  batch.observe(out);
  expect([...out]).toEqual([127, 127, 127, 127, -127, -127, -127, -127, 127, -127, 0, 0, 1, 0, -6, 1]);
});

test('an episode beside others runs as it does alone', () => {
  const together = createCartPole(8);
  const alone = Array.from({ length: 8 }, () => createCartPole(1));
  for (let i = 0; i < 8; i++) {
    together.reset(i, seed(i));
    alone[i]!.reset(0, seed(i));
  }
  const [rewards, terminated, truncated] = outputs(8);
  const [reward, end, late] = outputs(1);
  for (let step = 0; step < 300; step++) {
    const actions = Uint16Array.from({ length: 8 }, (_, i) => ((step * (i + 3)) >>> 1) & 1);
    together.step(actions, step, rewards, terminated, truncated);
    for (let i = 0; i < 8; i++) {
      alone[i]!.step(actions.subarray(i, i + 1), step, reward, end, late);
      expect([terminated[i], truncated[i], rewards[i]]).toEqual([end[0], late[0], reward[0]]);
      if (end[0] === 1) {
        together.reset(i, seed(step));
        alone[i]!.reset(0, seed(step));
      }
    }
  }
  expect([...together.states]).toEqual(alone.flatMap((one) => [...one.states]));
});

test('an episode that ended must be reset before its next step', () => {
  const batch = createCartPole(1);
  expect(() => batch.step(Uint16Array.of(0), 0, ...outputs(1))).toThrow(RangeError);
  batch.reset(0, seed(1));
  const [rewards, terminated, truncated] = outputs(1);
  let steps = 0;
  while (terminated[0] === 0) batch.step(Uint16Array.of(1), steps++, rewards, terminated, truncated);
  expect(steps).toBeLessThan(15);
  expect(rewards[0]).toBe(1);
  expect(() => batch.step(Uint16Array.of(1), steps, rewards, terminated, truncated)).toThrow(RangeError);
});

test('a third action is refused', () => {
  const batch = createCartPole(1);
  batch.reset(0, seed(1));
  expect(() => batch.step(Uint16Array.of(2), 0, ...outputs(1))).toThrow(RangeError);
});

test('a drawing fits 60 columns and 20 lines, and leans with the pole', () => {
  const batch = createCartPole(1);
  const lines = (theta: number) => {
    batch.states.set([0, 0, theta, 0]);
    return batch.draw(0).split('\n');
  };
  const tip = (theta: number) =>
    lines(theta)
      .find((line) => line.trim() !== '')!
      .search(/\S/);
  expect(lines(0).length).toBeLessThanOrEqual(20);
  expect(Math.max(...lines(0).map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(tip(-0.2)).toBeLessThan(tip(0));
  expect(tip(0.2)).toBeGreaterThan(tip(0));
});

test('the registry knows CartPole-v1 and refuses other names with GENESIS_INVALID', () => {
  expect(environmentById('CartPole-v1')).toBe(cartPole);
  expect(() => environmentById('CartPole-v0')).toThrow(
    expect.objectContaining({ name: GrailError.name, code: 'GENESIS_INVALID' }),
  );
});
