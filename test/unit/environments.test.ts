import { expect, test } from 'vitest';
import { environmentById, environmentIds } from '../../src/environments/index.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { expectCode } from '../helpers/expect-code.ts';

/** The rules of src/environments/environment.ts, for every environment of the registry. */
const BATCH = 6;
const STEPS = 200;

const seedOf = (value: number) => Uint8Array.from({ length: 16 }, (_, i) => (value * 37 + i * 11) & 0xff);

function randomActions(step: number, actions: number): Uint16Array {
  const block = new Uint32Array(4);
  return Uint16Array.from({ length: BATCH }, (_, i) => {
    philox4x32(step, i, 0, 0, 7, 9, block);
    return block[0]! % actions;
  });
}

interface Run {
  /** `[STEPS, BATCH, observation]`; as a buffer, because comparing millions of elements one by one takes seconds. */
  readonly observations: Buffer;
  readonly rewards: Float32Array[];
  readonly ends: Uint8Array[];
}

function expectSame(a: Run, b: Run): void {
  expect(a.observations.equals(b.observations)).toBe(true);
  expect([a.rewards, a.ends]).toEqual([b.rewards, b.ends]);
}

/** Steps `BATCH` episodes with random actions, restarting those that end; episode i is that of seed `first` + i. */
function run(id: string, first: number, options: { seedAgain?: boolean } = {}): Run {
  const environment = environmentById(id);
  const batch = environment.create(BATCH);
  for (let i = 0; i < BATCH; i++) {
    batch.seed(i, seedOf(100 + first + i));
    batch.reset(i, seedOf(first + i));
  }
  const size = BATCH * environment.observation;
  const out: Run = { observations: Buffer.alloc(STEPS * size), rewards: [], ends: [] };
  const terminated = new Uint8Array(BATCH);
  const truncated = new Uint8Array(BATCH);
  for (let step = 0; step < STEPS; step++) {
    batch.observe(new Int8Array(out.observations.buffer, out.observations.byteOffset + step * size, size));
    const rewards = new Float32Array(BATCH);
    if (options.seedAgain === true) for (let i = 0; i < BATCH; i++) batch.seed(i, seedOf(100 + first + i));
    batch.step(randomActions(step, environment.actions), step, rewards, terminated, truncated);
    out.rewards.push(rewards);
    out.ends.push(Uint8Array.from(terminated, (end, i) => end + 2 * truncated[i]!));
    for (let i = 0; i < BATCH; i++) {
      if (terminated[i] === 1 || truncated[i] === 1) batch.reset(i, seedOf(1000 * (step + 1) + first + i));
    }
  }
  return out;
}

test.each(environmentIds)('%s describes itself', (id) => {
  const environment = environmentById(id);
  expect(environment.shape.reduce((all, value) => all * value, 1)).toBe(environment.observation);
  expect(environment.actionNames).toHaveLength(environment.actions);
  expect(new Set(environment.actionNames).size).toBe(environment.actions);
  expect(environment.observed.length).toBeGreaterThan(0);
  if (environment.shape.length === 3) expect(environment.observed).toHaveLength(environment.shape[2]!);
  expect(environment.summary.length).toBeGreaterThan(20);
  expect(environment.source.length).toBeGreaterThan(10);
});

test.each(environmentIds)('%s gives the same episodes for the same seeds and actions', (id) => {
  expectSame(run(id, 1), run(id, 1));
});

test.each(environmentIds)('%s starts differently from different task seeds', (id) => {
  const environment = environmentById(id);
  const start = (seed: number) => {
    const batch = environment.create(1);
    batch.seed(0, seedOf(1));
    batch.reset(0, seedOf(seed));
    const observation = new Int8Array(environment.observation);
    batch.observe(observation);
    return observation.join();
  };
  const starts = new Set(Array.from({ length: 32 }, (_, seed) => start(seed)));
  // Space Invaders has one start state; Breakout two.
  expect(starts.size).toBeGreaterThanOrEqual(FEW_STARTS[id] ?? 8);
});

const FEW_STARTS: Record<string, number> = {
  'MinAtar/SpaceInvaders-v1': 1,
  'MinAtar/Breakout-v1': 2,
  'MinAtar/Asterix-v1': 1,
  'MinAtar/Seaquest-v1': 1,
};

test.each(environmentIds)('%s keeps every observation within ±127', (id) => {
  expect(run(id, 2).observations.includes(0x80)).toBe(false);
});

test.each(environmentIds)('%s draws its randomness from the seed and the step alone', (id) => {
  // Setting the seed again in mid-episode changes nothing: no generator runs from step to step.
  expectSame(run(id, 3, { seedAgain: true }), run(id, 3));
});

test.each(environmentIds)('%s treats the episodes of a batch as independent', (id) => {
  const environment = environmentById(id);
  const together = environment.create(2);
  const alone = environment.create(1);
  for (let i = 0; i < 2; i++) {
    together.seed(i, seedOf(5 + i));
    together.reset(i, seedOf(50 + i));
  }
  alone.seed(0, seedOf(6));
  alone.reset(0, seedOf(51));
  const both = new Int8Array(2 * environment.observation);
  const one = new Int8Array(environment.observation);
  const flags = () => [new Float32Array(2), new Uint8Array(2), new Uint8Array(2)] as const;
  for (let step = 0; step < 60; step++) {
    together.observe(both);
    alone.observe(one);
    expect(both.subarray(environment.observation)).toEqual(one);
    const [action] = randomActions(step, environment.actions);
    const [rewards, terminated, truncated] = flags();
    const [reward, end, late] = flags();
    together.step(
      Uint16Array.of((action! + 1) % environment.actions, action!),
      step,
      rewards,
      terminated,
      truncated,
    );
    alone.step(Uint16Array.of(action!), step, reward, end, late);
    expect([rewards[1], terminated[1], truncated[1]]).toEqual([reward[0], end[0], late[0]]);
    for (let i = 0; i < 2; i++) {
      if (terminated[i] === 1 || truncated[i] === 1) together.reset(i, seedOf(500 + step + i));
    }
    if (end[0] === 1 || late[0] === 1) alone.reset(0, seedOf(501 + step));
  }
});

test.each(environmentIds)('%s refuses an action that it does not have', (id) => {
  const environment = environmentById(id);
  const batch = environment.create(1);
  batch.seed(0, seedOf(1));
  batch.reset(0, seedOf(1));
  const step = (action: number) =>
    batch.step(Uint16Array.of(action), 0, new Float32Array(1), new Uint8Array(1), new Uint8Array(1));
  expect(() => step(environment.actions)).toThrow(RangeError);
});

test.each(environmentIds)('%s refuses to step an episode that was never reset', (id) => {
  const batch = environmentById(id).create(1);
  expect(() =>
    batch.step(Uint16Array.of(0), 0, new Float32Array(1), new Uint8Array(1), new Uint8Array(1)),
  ).toThrow(RangeError);
});

test.each(environmentIds)('%s ends an episode at its time limit at the latest', (id) => {
  const environment = environmentById(id);
  if (environment.maxEpisodeSteps === null) return;
  const batch = environment.create(1);
  batch.seed(0, seedOf(9));
  batch.reset(0, seedOf(9));
  const [reward, terminated, truncated] = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)];
  let steps = 0;
  while (terminated[0] === 0 && truncated[0] === 0 && steps <= environment.maxEpisodeSteps) {
    batch.step(
      randomActions(steps, environment.actions).subarray(0, 1),
      steps,
      reward,
      terminated,
      truncated,
    );
    steps += 1;
  }
  expect(steps).toBeLessThanOrEqual(environment.maxEpisodeSteps);
});

test.each(environmentIds)('%s draws a picture that fits 60 columns and 20 lines', (id) => {
  const environment = environmentById(id);
  const batch = environment.create(1);
  batch.seed(0, seedOf(4));
  batch.reset(0, seedOf(4));
  const lines = batch.draw(0).split('\n');
  expect(lines.length).toBeLessThanOrEqual(20);
  for (const line of lines) expect([...line].length).toBeLessThanOrEqual(60);
});

test('an unknown environment is refused with the names of those that there are', () => {
  return expectCode('GENESIS_INVALID', () => environmentById('Pong-v5'));
});
