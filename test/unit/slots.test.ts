import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Environment,
  type EpisodeSummary,
  environmentById,
  joinRuns,
  type RolloutArrays,
  type Rollouts,
  rolloutArrays,
  runSlots,
  SlotRun,
} from '../../src/environments/index.ts';
import { minerSeeds } from '../../src/protocol/seeds.ts';
import { goalGrid } from '../support/goal-grid.ts';

const options = { numRuns: process.env.GRAIL_LONG ? 500 : 25, seed: 23 };

const GROUP = 3;
const seeds = minerSeeds(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2), new Uint8Array(20).fill(3));

/** MountainCar and the grid are truncated, the grid also in steps that reach its goal; the grid has episodes of a step. */
const ENVIRONMENTS: readonly Environment[] = [
  environmentById('CartPole-v1'),
  environmentById('MountainCar-v0'),
  environmentById('MinAtar/Breakout-v1'),
  environmentById('Countdown-v1'),
  goalGrid,
];

/** An action that depends on all that an actor may see of a slot. */
function actionOf(slot: number, step: number, observation: Int8Array, actions: number): number {
  let hash = Math.imul(slot + 1, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b);
  for (const value of observation) hash = Math.imul(hash ^ value, 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % actions;
}

function act(environment: Environment, first: number, step: number, seen: Int8Array, out: Uint16Array): void {
  const width = environment.observation;
  for (let i = 0; i < out.length; i++) {
    out[i] = actionOf(first + i, step, seen.subarray(i * width, (i + 1) * width), environment.actions);
  }
}

const whole = (environment: Environment, slots: number, steps: number): Rollouts =>
  runSlots(environment, seeds, GROUP, slots, steps, (step, seen, out) =>
    act(environment, 0, step, seen, out),
  );

function begin(
  environment: Environment,
  steps: number,
  sizes: readonly number[],
  out: RolloutArrays,
): SlotRun[] {
  let first = 0;
  return sizes.map((slots) => {
    const run = new SlotRun(environment, seeds, GROUP, { first, slots, steps }, out);
    first += slots;
    return run;
  });
}

/** Steps runs in turn: `order` picks which of those that are not done goes on. */
function drive(environment: Environment, runs: readonly SlotRun[], order: readonly number[]): void {
  for (let turn = 0; ; turn++) {
    const open = runs.filter((run) => !run.done);
    if (open.length === 0) return;
    const run = open[(order[turn % order.length] ?? 0) % open.length]!;
    act(environment, run.first, run.step, run.observations, run.actions);
    run.advance();
  }
}

/** As the interface tells it, one slot after the other. */
function oneByOne(environment: Environment, slots: number, steps: number): Rollouts {
  const width = environment.observation;
  const out = rolloutArrays(slots, steps, width);
  const bootstraps: { index: number; state: Int8Array }[] = [];
  const episodes: EpisodeSummary[] = [];
  for (let slot = 0; slot < slots; slot++) {
    const batch = environment.create(1);
    const group = Math.floor(slot / GROUP);
    const state = new Int8Array(width);
    const [reward, terminated, truncated] = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)];
    batch.seed(0, seeds.environment(slot));
    let episode = 0;
    let start = 0;
    let total = 0;
    for (let step = 0; step < steps; step++) {
      if (step === start) batch.reset(0, seeds.task(group, episode++));
      const at = slot * steps + step;
      batch.observe(state);
      out.observations.set(state, at * width);
      out.actions[at] = actionOf(slot, step, state, environment.actions);
      batch.step(out.actions.subarray(at, at + 1), step, reward, terminated, truncated);
      out.rewards[at] = reward[0]!;
      out.terminated[at] = terminated[0]!;
      out.truncated[at] = truncated[0]!;
      total += reward[0]!;
      const ended = terminated[0] === 1 || truncated[0] === 1;
      if (terminated[0] === 0 && (ended || step === steps - 1)) {
        batch.observe(state);
        bootstraps.push({ index: at, state: state.slice() });
      }
      if (!ended) continue;
      episodes.push({ slot, start, length: step + 1 - start, return: total });
      start = step + 1;
      total = 0;
    }
  }
  const end = ({ start, length }: EpisodeSummary) => start + length;
  return {
    slots,
    steps,
    ...out,
    bootstrapIndex: Uint32Array.from(bootstraps, ({ index }) => index),
    bootstrapObservations: Int8Array.from(bootstraps.flatMap(({ state }) => [...state])),
    episodes: episodes.sort((a, b) => end(a) - end(b) || a.slot - b.slot),
  };
}

/** Equal to the bit; arrays are compared as bytes, because element by element takes seconds. */
function expectSame(got: Rollouts, wanted: Rollouts): void {
  expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort());
  expect([got.slots, got.steps, got.episodes]).toEqual([wanted.slots, wanted.steps, wanted.episodes]);
  for (const name of ARRAYS) {
    const [a, b] = [got[name], wanted[name]];
    expect(a.constructor).toBe(b.constructor);
    expect(bytesOf(a).equals(bytesOf(b)), name).toBe(true);
  }
}

const ARRAYS = [
  'observations',
  'actions',
  'rewards',
  'terminated',
  'truncated',
  'bootstrapIndex',
  'bootstrapObservations',
] as const;
const bytesOf = (array: Rollouts[(typeof ARRAYS)[number]]) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);

const windows = fc.record({
  environment: fc.constantFrom(...ENVIRONMENTS),
  sizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
  steps: fc.integer({ min: 1, max: 230 }),
  order: fc.array(fc.nat(4), { minLength: 1, maxLength: 30 }),
});
const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);

describe('slots of a window', () => {
  test.each(ENVIRONMENTS)(
    'of $id give what each of them gives alone, one step after the other',
    (environment) => {
      expectSame(whole(environment, 7, 450), oneByOne(environment, 7, 450));
    },
  );

  test('divided into runs, stepped in any order and joined are what one run gives', () => {
    fc.assert(
      fc.property(windows, ({ environment, sizes, steps, order }) => {
        const slots = sum(sizes);
        const out = rolloutArrays(slots, steps, environment.observation);
        const runs = begin(environment, steps, sizes, out);
        drive(environment, runs, order);
        const ends = runs.map((run) => run.ends());
        expectSame(joinRuns(slots, steps, out, ends), whole(environment, slots, steps));
      }),
      options,
    );
  });

  test('are the same in shared memory, all of it in one buffer', () => {
    fc.assert(
      fc.property(windows, ({ environment, sizes, steps, order }) => {
        const slots = sum(sizes);
        const out = rolloutArrays(slots, steps, environment.observation, { shared: true });
        const buffers = new Set(Object.values(out).map((array) => array.buffer));
        expect([...buffers].map((buffer) => buffer.constructor)).toEqual([SharedArrayBuffer]);
        const runs = begin(environment, steps, sizes, out);
        drive(environment, runs, order);
        const ends = runs.map((run) => run.ends());
        expectSame(joinRuns(slots, steps, out, ends), whole(environment, slots, steps));
      }),
      options,
    );
  });

  test('are the same in arrays that held another window', () => {
    const out = rolloutArrays(6, 100, goalGrid.observation);
    for (const array of Object.values(out)) array.fill(1);
    const runs = begin(goalGrid, 100, [2, 4], out);
    drive(goalGrid, runs, [0, 1]);
    const ends = runs.map((run) => run.ends());
    expectSame(joinRuns(6, 100, out, ends), whole(goalGrid, 6, 100));
  });

  test('of no steps and no slots at all are empty', () => {
    expect(whole(goalGrid, 3, 0).bootstrapIndex).toHaveLength(0);
    expect(whole(goalGrid, 0, 3).episodes).toEqual([]);
    const none = joinRuns(0, 3, rolloutArrays(0, 3, 4), []);
    expect(none.bootstrapObservations).toHaveLength(0);
  });
});

/** The grid's rule: up, down, left, right, and nowhere at a wall. */
function walk(cell: number, action: number): number {
  const [row, column] = [cell >> 2, cell & 3];
  if (action === 0) return row === 0 ? cell : cell - 4;
  if (action === 1) return row === 3 ? cell : cell + 4;
  if (action === 2) return column === 0 ? cell : cell - 1;
  return column === 3 ? cell : cell + 1;
}

describe('a run of slots', () => {
  const single = (steps: number) => {
    const out = rolloutArrays(1, steps, goalGrid.observation);
    return new SlotRun(goalGrid, seeds, GROUP, { first: 0, slots: 1, steps }, out);
  };

  test('bootstraps a truncated step from the state after it, not from the start of the next episode', () => {
    const slots = 9;
    const { truncated, terminated, ...rollouts } = whole(goalGrid, slots, 60);
    const width = goalGrid.observation;
    const agentAndGoal = (row: Int8Array) =>
      [0, 1].map((channel) => row.findIndex((value, i) => value === 1 && i % 2 === channel) >> 1);
    const late = [...rollouts.bootstrapIndex].filter((index) => truncated[index] === 1 && index % 60 < 59);
    expect(late.length).toBeGreaterThan(10);
    for (const index of late) {
      expect(terminated[index]).toBe(0);
      const at = rollouts.bootstrapIndex.indexOf(index);
      const before = rollouts.observations.subarray(index * width, (index + 1) * width);
      const after = rollouts.bootstrapObservations.subarray(at * width, (at + 1) * width);
      const [agent, goal] = agentAndGoal(before);
      expect(agentAndGoal(after)).toEqual([walk(agent!, rollouts.actions[index]!), goal]);
    }
  });

  test('refuses to go on after its last step, and tells nothing before it', () => {
    const run = single(2);
    run.advance();
    expect(() => run.ends()).toThrow(RangeError);
    expect([run.step, run.done]).toEqual([1, false]);
    run.advance();
    expect(run.done).toBe(true);
    expect(() => run.advance()).toThrow(RangeError);
    expect(run.ends().bootstrapIndex.length + run.ends().returns.length).toBe(1);
  });

  test.each([
    ['too few slots', rolloutArrays(4, 8, goalGrid.observation)],
    ['too narrow rows', rolloutArrays(5, 8, goalGrid.observation - 1)],
  ])('refuses arrays with %s', (_, out) => {
    const range = { first: 3, slots: 2, steps: 8 };
    expect(() => new SlotRun(goalGrid, seeds, GROUP, range, out)).toThrow(RangeError);
  });

  test('that does not fit into memory is a RangeError', () => {
    expect(() => rolloutArrays(2 ** 30, 2 ** 20, 1000)).toThrow(RangeError);
    expect(() => rolloutArrays(2 ** 30, 2 ** 20, 1000, { shared: true })).toThrow(RangeError);
  });
});

describe('a step in which no episode ends', () => {
  const SLOTS = 64;
  const CHUNK = 50;
  const CHUNKS = 40;

  /** A view or an object a slot would be 50 bytes and more, one number on the heap 16. */
  test.each([
    [
      'CartPole-v1',
      (seen: Int8Array, at: number) =>
        4 * seen[at]! + 6 * seen[at + 1]! + 40 * seen[at + 2]! + 40 * seen[at + 3]! > 0 ? 1 : 0,
    ],
    ['MountainCar-v0', () => 1],
    ['Acrobot-v1', () => 1],
    ['MinAtar/Freeway-v1', (_: Int8Array, at: number) => at % 3],
  ])('allocates nothing in %s', async (id, choose) => {
    const environment = environmentById(id);
    const width = environment.observation;
    /** Bytes a slot and step, the median of many chunks. */
    const measure = (): number => {
      const steps = 1000 + CHUNKS * CHUNK;
      const out = rolloutArrays(SLOTS, steps, width);
      const run = new SlotRun(environment, seeds, 1, { first: 0, slots: SLOTS, steps }, out);
      const go = (count: number) => {
        for (let i = 0; i < count; i++) {
          for (let slot = 0; slot < SLOTS; slot++) run.actions[slot] = choose(run.observations, slot * width);
          run.advance();
        }
      };
      go(1000);
      const grown = new Float64Array(CHUNKS);
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        const before = process.memoryUsage().heapUsed;
        go(CHUNK);
        grown[chunk] = process.memoryUsage().heapUsed - before;
      }
      // The median: a collection shrinks the heap, an episode that ends grows it, and so does the compiler.
      return grown.sort()[CHUNKS / 2]! / (CHUNK * SLOTS);
    };
    // Code that the optimising compiler has not come to yet boxes its numbers, and on a busy machine it comes late.
    let perStep = measure();
    for (let attempt = 0; perStep >= 4 && attempt < 8; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      perStep = Math.min(perStep, measure());
    }
    expect(perStep).toBeLessThan(4);
  });
});
