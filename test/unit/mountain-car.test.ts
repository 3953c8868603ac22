import { expect, test } from 'vitest';
import { createMountainCar, mountainCar } from '../../src/environments/mountain-car.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { sha256 } from '../../src/protocol/hash.ts';

const seed = (n: number) => sha256(Uint8Array.of(n)).slice(0, 16);

/** One step from `state`. */
function stepped(state: number[], action: number) {
  const batch = createMountainCar(1);
  batch.reset(0, seed(0));
  batch.states.set(state);
  const [rewards, terminated, truncated] = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)];
  batch.step(Uint16Array.of(action), 0, rewards, terminated, truncated);
  const [position, velocity] = batch.states;
  return { position, velocity, reward: rewards[0], terminated: terminated[0], truncated: truncated[0] };
}

test('an episode starts at rest between −0.6 and −0.4, by the first word of the seed’s block (0, 0)', () => {
  const batch = createMountainCar(1);
  batch.reset(0, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4));
  const block = new Uint32Array(4);
  philox4x32(0, 0, 3, 4, 1, 2, block);
  expect([...batch.states]).toEqual([((block[0]! + 0.5) / 4294967296) * 0.2 - 0.6, 0]);
  expect(Math.abs(batch.states[0]! + 0.5)).toBeLessThan(0.1);
});

test('the engine adds 0.001 its way', () => {
  const coasting = stepped([-0.5, 0], 1).velocity!;
  expect(stepped([-0.5, 0], 2).velocity).toBeCloseTo(coasting + 0.001, 15);
  expect(stepped([-0.5, 0], 0).velocity).toBeCloseTo(coasting - 0.001, 15);
});

test('speed stops at 0.07', () => {
  expect(stepped([-0.9, 0.07], 2).velocity).toBe(0.07);
  expect(stepped([-0.1, -0.07], 0).velocity).toBe(-0.07);
});

test('the left wall stops the car', () => {
  expect(stepped([-1.18, -0.07], 0)).toMatchObject({ position: -1.2, velocity: 0, terminated: 0 });
});

test('the flag at 0.5 ends the episode, with reward −1', () => {
  expect(stepped([0.45, 0.06], 2)).toMatchObject({ reward: -1, terminated: 1, truncated: 0 });
  expect(stepped([0.55, 0.07], 2)).toMatchObject({ position: 0.6, terminated: 1 });
});

test('a car that comes back over the flag has not arrived', () => {
  expect(stepped([0.58, -0.02], 1)).toMatchObject({ terminated: 0 });
});

test('the 200th step ends the episode by the time limit', () => {
  const batch = createMountainCar(1);
  batch.reset(0, seed(1));
  const [rewards, terminated, truncated] = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)];
  for (let step = 0; step < 200; step++) {
    expect(truncated[0]).toBe(0);
    batch.step(Uint16Array.of(1), step, rewards, terminated, truncated);
  }
  expect([rewards[0], terminated[0], truncated[0]]).toEqual([-1, 0, 1]);
  expect(() => batch.step(Uint16Array.of(1), 200, rewards, terminated, truncated)).toThrow(RangeError);
});

test('an observation is the position from the middle of the track and the velocity, the ends being ±127', () => {
  const batch = createMountainCar(4);
  batch.states.set([-1.2, -0.07, 0.6, 0.07, -0.3, 0, -0.5, 0.001]);
  const out = new Int8Array(8);
  batch.observe(out);
  expect([...out]).toEqual([-127, -127, 127, 127, 0, 0, -28, 2]);
});

test('a fourth action and a step before the reset are refused', () => {
  const batch = createMountainCar(1);
  const out = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)] as const;
  expect(() => batch.step(Uint16Array.of(1), 0, ...out)).toThrow(RangeError);
  batch.reset(0, seed(1));
  expect(() => batch.step(Uint16Array.of(3), 0, ...out)).toThrow(RangeError);
});

test('a drawing fits 60 columns and 20 lines', () => {
  const batch = mountainCar.create(1);
  batch.reset(0, seed(1));
  const lines = batch.draw(0).split('\n');
  expect(lines.length).toBeLessThanOrEqual(20);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines.at(-1)).toMatch(/^position -0\.\d/);
});
