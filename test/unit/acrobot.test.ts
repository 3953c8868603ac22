import { expect, test } from 'vitest';
import { acrobot, createAcrobot } from '../../src/environments/acrobot.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { sha256 } from '../../src/protocol/hash.ts';

const seed = (n: number) => sha256(Uint8Array.of(n)).slice(0, 16);
const MAX_VELOCITY_1 = 4 * Math.PI;
const MAX_VELOCITY_2 = 9 * Math.PI;

/** One step from `state`. */
function stepped(state: number[], action = 1) {
  const batch = createAcrobot(1);
  batch.reset(0, seed(0));
  batch.states.set(state);
  const [rewards, terminated, truncated] = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)];
  batch.step(Uint16Array.of(action), 0, rewards, terminated, truncated);
  return { state: [...batch.states], reward: rewards[0], terminated: terminated[0], truncated: truncated[0] };
}

test('a start state is four float32 values within ±0.1 of the seed’s block (0, 0)', () => {
  const batch = createAcrobot(1);
  batch.reset(0, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4));
  const block = new Uint32Array(4);
  philox4x32(0, 0, 3, 4, 1, 2, block);
  const expected = Float32Array.from(block, (word) => ((word + 0.5) / 4294967296) * 0.2 - 0.1);
  expect([...batch.states]).toEqual([...expected]);
});

test('an acrobot that hangs still stays where it is without torque', () => {
  const { state, reward, terminated } = stepped([0, 0, 0, 0]);
  for (const value of state) expect(Math.abs(value)).toBeLessThan(1e-15);
  expect([reward, terminated]).toEqual([-1, 0]);
});

test('torque on the elbow turns the second link its way and the first one against it', () => {
  const [, theta2, v1, v2] = stepped([0, 0, 0, 0], 2).state;
  expect(theta2).toBeGreaterThan(0);
  expect(v2).toBeGreaterThan(0);
  expect(v1).toBeLessThan(0);
  expect(stepped([0, 0, 0, 0], 0).state[3]).toBeCloseTo(-v2!, 12);
});

test('the step that lifts the end a link above the joint ends the episode with reward 0', () => {
  expect(stepped([Math.PI, 0, 0, 0])).toMatchObject({ reward: 0, terminated: 1, truncated: 0 });
  expect(stepped([Math.PI / 2, 0, 0, 0])).toMatchObject({ reward: -1, terminated: 0 });
});

test('the 500th step ends the episode by the time limit', () => {
  const batch = createAcrobot(1);
  batch.reset(0, seed(1));
  const [rewards, terminated, truncated] = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)];
  for (let step = 0; step < 500; step++) {
    expect(truncated[0]).toBe(0);
    batch.step(Uint16Array.of(1), step, rewards, terminated, truncated);
  }
  expect([rewards[0], terminated[0], truncated[0]]).toEqual([-1, 0, 1]);
  expect(() => batch.step(Uint16Array.of(1), 500, rewards, terminated, truncated)).toThrow(RangeError);
});

test('angles stay within π and velocities within 4π and 9π from wherever a step begins', () => {
  const block = new Uint32Array(4);
  const size = process.env.GRAIL_LONG ? 1_000_000 : 20_000;
  const batch = createAcrobot(size);
  const limits = [Math.PI, Math.PI, MAX_VELOCITY_1, MAX_VELOCITY_2];
  for (let index = 0; index < size; index++) {
    batch.reset(index, seed(0));
    philox4x32(index, 0, 0, 0, 5, 5, block);
    for (const [i, limit] of limits.entries()) {
      const value = (block[i]! / 2147483648 - 1) * limit;
      // Half of them at the greatest speeds.
      batch.states[4 * index + i] = i > 1 && index % 2 === 0 ? (value < 0 ? -limit : limit) : value;
    }
  }
  const actions = Uint16Array.from({ length: size }, (_, index) => index % 3);
  batch.step(actions, 0, new Float32Array(size), new Uint8Array(size), new Uint8Array(size));
  for (const [i, limit] of limits.entries()) {
    const values = batch.states.filter((_, at) => at % 4 === i);
    expect(values.every((value) => Math.abs(value) <= limit)).toBe(true);
  }
});

test('an observation is cos θ1, sin θ1, cos θ2, sin θ2 and the velocities over 4π and 9π, times 127', () => {
  const batch = createAcrobot(2);
  batch.states.set([0, Math.PI / 2, MAX_VELOCITY_1, -MAX_VELOCITY_2, Math.PI / 4, -Math.PI, 1, 1]);
  const out = new Int8Array(12);
  batch.observe(out);
  expect([...out.subarray(0, 6)]).toEqual([127, 0, 0, 127, 127, -127]);
  expect([...out.subarray(6)]).toEqual([90, 90, -127, 0, 10, 4]);
});

test('a fourth action and a step before the reset are refused', () => {
  const batch = createAcrobot(1);
  const out = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)] as const;
  expect(() => batch.step(Uint16Array.of(1), 0, ...out)).toThrow(RangeError);
  batch.reset(0, seed(1));
  expect(() => batch.step(Uint16Array.of(3), 0, ...out)).toThrow(RangeError);
});

test('a drawing fits 60 columns and 20 lines', () => {
  const batch = acrobot.create(1);
  batch.reset(0, seed(1));
  const lines = batch.draw(0).split('\n');
  expect(lines.length).toBeLessThanOrEqual(20);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines.at(-1)).toMatch(/^θ1 -?\d/);
});
