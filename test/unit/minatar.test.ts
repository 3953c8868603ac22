import { expect, test } from 'vitest';
import { breakoutGame } from '../../src/environments/minatar/breakout.ts';
import { HALF, PhiloxDraws, STICKY, THIRD } from '../../src/environments/minatar/draws.ts';
import { EntityLists, X } from '../../src/environments/minatar/entities.ts';
import { createGame } from '../../src/environments/minatar/game.ts';
import { minatarEnvironments } from '../../src/environments/minatar/index.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { ChosenDraws, OneGame } from '../support/minatar.ts';

const seed = (n: number) => sha256(Uint8Array.of(n & 255, n >>> 8)).slice(0, 16);

const outputs = (batch: number) =>
  [new Float32Array(batch), new Uint8Array(batch), new Uint8Array(batch)] as const;

/** A seed whose words are 1, 2, 3 and 4. */
const COUNTED = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4);

function words(step: number, blocks: number): number[] {
  const block = new Uint32Array(4);
  return Array.from({ length: blocks }, (_, i) => {
    philox4x32(step, i, 3, 4, 1, 2, block);
    return [...block];
  }).flat();
}

test('the five games have the package’s names, shapes and minimal action sets', () => {
  expect(minatarEnvironments.map(({ id, shape, actions }) => [id, shape[2], actions])).toEqual([
    ['MinAtar/Asterix-v1', 4, 5],
    ['MinAtar/Breakout-v1', 4, 3],
    ['MinAtar/Freeway-v1', 7, 3],
    ['MinAtar/Seaquest-v1', 10, 6],
    ['MinAtar/SpaceInvaders-v1', 6, 4],
  ]);
  for (const {
    id,
    shape,
    observation,
    observed,
    actions,
    actionNames,
    maxEpisodeSteps,
  } of minatarEnvironments) {
    expect(shape.slice(0, 2)).toEqual([10, 10]);
    expect(observation).toBe(100 * shape[2]!);
    expect(observed).toHaveLength(shape[2]!);
    expect(actionNames).toHaveLength(actions);
    expect(maxEpisodeSteps).toBe(id === 'MinAtar/Freeway-v1' ? 2501 : null);
  }
});

test('thresholds are 2^32 times 1/10, 1/2 and 1/3, rounded up', () => {
  expect([STICKY, HALF, THIRD]).toEqual([1 / 10, 1 / 2, 1 / 3].map((p) => Math.ceil(p * 2 ** 32)));
});

test('a step’s draws are the words of blocks (slotStep, 0), (slotStep, 1), … of the environment seed in turn', () => {
  const draws = new PhiloxDraws(3);
  draws.seed(2, COUNTED);
  for (const step of [0, 7, 7, 1_000_000]) {
    draws.beginStep(2, step);
    expect(Array.from({ length: 6 }, () => draws.below(2 ** 20))).toEqual(
      words(step, 2)
        .slice(0, 6)
        .map((word) => word >>> 12),
    );
    draws.beginStep(2, step);
    expect(Array.from({ length: 6 }, () => draws.chance(HALF))).toEqual(
      words(step, 2)
        .slice(0, 6)
        .map((word) => word >>> 31 === 0),
    );
  }
});

test('a start’s draws are the words of blocks (0, 0), (0, 1), … of the task seed', () => {
  const draws = new PhiloxDraws(1);
  draws.seed(0, seed(1));
  draws.beginStart(COUNTED);
  expect(Array.from({ length: 8 }, () => draws.below(2 ** 20))).toEqual(
    words(0, 2).map((word) => word >>> 12),
  );
});

test.each(minatarEnvironments)('a start of $id depends on the task seed alone', (environment) => {
  const batch = environment.create(40);
  const width = environment.observation;
  const actions = new Uint16Array(40);
  for (let i = 0; i < 40; i++) {
    batch.seed(i, seed(i));
    batch.reset(i, seed(i));
  }
  batch.step(actions, 0, ...outputs(40));
  for (let i = 0; i < 40; i++) batch.reset(i, seed(1000 + (i % 20)));
  const out = new Int8Array(40 * width);
  batch.observe(out);
  expect(out.subarray(0, 20 * width)).toEqual(out.subarray(20 * width));
});

test.each(minatarEnvironments)('an episode of $id beside others runs as it does alone', (environment) => {
  const width = environment.observation;
  const together = environment.create(6);
  const alone = Array.from({ length: 6 }, () => environment.create(1));
  for (let i = 0; i < 6; i++) {
    together.seed(i, seed(i));
    together.reset(i, seed(100 + i));
    alone[i]!.seed(0, seed(i));
    alone[i]!.reset(0, seed(100 + i));
  }
  const [rewards, terminated, truncated] = outputs(6);
  const [reward, end, late] = outputs(1);
  const all = new Int8Array(6 * width).fill(7);
  const one = new Int8Array(width);
  let different = 0;
  for (let step = 0; step < 400; step++) {
    const actions = Uint16Array.from({ length: 6 }, (_, i) => seed(step * 6 + i)[0]! % environment.actions);
    together.step(actions, step, rewards, terminated, truncated);
    together.observe(all);
    for (let i = 0; i < 6; i++) {
      alone[i]!.step(actions.subarray(i, i + 1), step, reward, end, late);
      alone[i]!.observe(one);
      if (rewards[i] !== reward[0] || terminated[i] !== end[0] || truncated[i] !== 0) different += 1;
      if (!one.every((cell, at) => cell === all[i * width + at])) different += 1;
      if (end[0] === 1) {
        together.reset(i, seed(200 + step));
        alone[i]!.reset(0, seed(200 + step));
      }
    }
  }
  expect(different).toBe(0);
});

test.each(minatarEnvironments)('$id draws at most 60 × 20 characters', (environment) => {
  const batch = environment.create(1);
  batch.seed(0, seed(1));
  batch.reset(0, seed(2));
  const lines = batch.draw(0).split('\n');
  expect(lines.length).toBeLessThanOrEqual(20);
  for (const line of lines) expect([...line].length).toBeLessThanOrEqual(60);
  expect(lines.slice(0, 12).map((line) => [...line].length)).toEqual(new Array(12).fill(22));
});

test.each(minatarEnvironments)('$id refuses an action that it does not have', (environment) => {
  const batch = environment.create(1);
  batch.reset(0, seed(1));
  expect(() => batch.step(Uint16Array.of(environment.actions), 0, ...outputs(1))).toThrow(RangeError);
});

test('an episode that ended must be reset before its next step', () => {
  const batch = createGame(breakoutGame, 1, new ChosenDraws());
  expect(() => batch.step(Uint16Array.of(0), 0, ...outputs(1))).toThrow(RangeError);
  batch.reset(0, seed(1));
  const [rewards, terminated, truncated] = outputs(1);
  let steps = 0;
  while (terminated[0] === 0) batch.step(Uint16Array.of(0), steps++, rewards, terminated, truncated);
  expect(() => batch.step(Uint16Array.of(0), steps, rewards, terminated, truncated)).toThrow(RangeError);
});

test('a sticky frame repeats the last action, and a stuck action is the last one again', () => {
  const game = new OneGame(breakoutGame);
  game.do('left');
  game.draws.chances.set(STICKY, true);
  game.do('right', 2);
  expect(game.cells('paddle')).toEqual([[1, 9]]);
});

test('an episode starts as if nothing had been done before', () => {
  const draws = new ChosenDraws();
  const batch = createGame(breakoutGame, 1, draws);
  const out = new Int8Array(400);
  const paddle = () => {
    batch.observe(out);
    return out.subarray(360).findIndex((cell, i) => i % 4 === 0 && cell === 1) / 4;
  };
  batch.reset(0, seed(1));
  batch.step(Uint16Array.of(1), 0, ...outputs(1));
  expect(paddle()).toBe(3);
  batch.reset(0, seed(1));
  draws.chances.set(STICKY, true);
  batch.step(Uint16Array.of(1), 1, ...outputs(1));
  expect(paddle()).toBe(4);
});

test('actions stick in a tenth of the frames', () => {
  const draws = new PhiloxDraws(1);
  draws.seed(0, seed(3));
  let stuck = 0;
  for (let step = 0; step < 100_000; step++) {
    draws.beginStep(0, step);
    if (draws.chance(STICKY)) stuck += 1;
  }
  // Five standard deviations of 100,000 draws.
  expect(Math.abs(stuck - 10_000)).toBeLessThan(475);
});

test('an entity that leaves a list lets the later ones move up, in its own episode only', () => {
  const lists = new EntityLists(2, 4);
  for (const x of [3, 5, 3, 4]) lists.add(1, x, 1, 1, 0, 0);
  expect(lists.removeAt(1, 3, 2)).toBe(false);
  expect(lists.removeAt(1, 3, 1)).toBe(true);
  const left = Array.from({ length: 3 }, (_, i) => lists.values[lists.at(1, i) + X]);
  expect([left, ...lists.counts]).toEqual([[5, 3, 4], 0, 3]);
});

test('a full list of entities refuses another', () => {
  const lists = new EntityLists(1, 1);
  lists.add(0, 1, 1, 1, 0, 0);
  expect(() => lists.add(0, 1, 1, 1, 0, 0)).toThrow(RangeError);
});
