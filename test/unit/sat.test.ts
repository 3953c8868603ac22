import { expect, test } from 'vitest';
import { referenceSeed, satFalsified } from '../../bench/learning/reference-returns.ts';
import { SAT_CLAUSES, SAT_VARIABLES, sat, satClauses } from '../../src/environments/sat.ts';

const BRUTE_FORCE = process.env.GRAIL_LONG ? 100 : 4;
const INSTANCES = process.env.GRAIL_LONG ? 100_000 : 2_000;

const outputs = (batch: number) =>
  [new Float32Array(batch), new Uint8Array(batch), new Uint8Array(batch)] as const;

/** Clauses that hold when bit v of `assignment` is the value of variable v. */
function satisfied(clauses: Uint8Array, assignment: number): number {
  let count = 0;
  for (let at = 0; at < clauses.length; at += 3) {
    const holds = (literal: number) => ((assignment >> (literal >> 1)) & 1) === 1 - (literal & 1);
    if (holds(clauses[at]!) || holds(clauses[at + 1]!) || holds(clauses[at + 2]!)) count += 1;
  }
  return count;
}

/** Returns of all 2^15 assignments, `[2^15]`, from as many episodes side by side. */
function allReturns(taskSeed: Uint8Array): Float32Array {
  const count = 2 ** SAT_VARIABLES;
  const batch = sat.create(count);
  for (let index = 0; index < count; index++) batch.reset(index, taskSeed);
  const [rewards, terminated, truncated] = outputs(count);
  const returns = new Float32Array(count);
  const actions = new Uint16Array(count);
  for (let step = 0; step < SAT_VARIABLES; step++) {
    for (let index = 0; index < count; index++) actions[index] = (index >> step) & 1;
    batch.step(actions, step, rewards, terminated, truncated);
    for (let index = 0; index < count; index++) returns[index]! += rewards[index]!;
    expect(terminated.every((end) => end === (step === SAT_VARIABLES - 1 ? 1 : 0))).toBe(true);
    expect(truncated.every((late) => late === 0)).toBe(true);
  }
  return returns;
}

test('an instance depends on the task seed alone, not on what the slot did before nor on its own seed', () => {
  const batch = sat.create(2);
  const observations = new Int8Array(2 * sat.observation);
  const seen = new Set<string>();
  for (let task = 0; task < 100; task++) {
    batch.seed(0, referenceSeed(task + 1));
    batch.seed(1, referenceSeed(task + 2));
    batch.reset(0, referenceSeed(task));
    batch.reset(1, referenceSeed(1000 + task));
    for (let step = 0; step < task % SAT_VARIABLES; step++) {
      batch.step(Uint16Array.of(step & 1, (step >> 1) & 1), step, ...outputs(2));
    }
    batch.reset(1, referenceSeed(task));
    batch.reset(0, referenceSeed(task));
    batch.observe(observations);
    const [first, second] = [observations.slice(0, sat.observation), observations.slice(sat.observation)];
    expect(first).toEqual(second);
    expect(satClauses(referenceSeed(task))).toEqual(satClauses(referenceSeed(task)));
    seen.add(first.join());
  }
  expect(seen.size).toBe(100);
});

test('clauses have three distinct variables, and all triples and signs are equally likely', () => {
  const triples = new Map<number, number>();
  const signs = new Float64Array(8);
  for (let instance = 0; instance < INSTANCES; instance++) {
    const clauses = satClauses(referenceSeed(instance));
    expect(clauses).toHaveLength(3 * SAT_CLAUSES);
    for (let at = 0; at < clauses.length; at += 3) {
      const literals = [...clauses.subarray(at, at + 3)];
      const mask = literals.reduce((bits, literal) => bits | (1 << (literal >> 1)), 0);
      triples.set(mask, (triples.get(mask) ?? 0) + 1);
      signs[literals.reduce((bits, literal, i) => bits | ((literal & 1) << i), 0)]! += 1;
    }
  }
  // 15 choose 3: a clause with a repeated variable would make a mask of its own.
  expect(triples.size).toBe(455);
  const chiSquare = (counts: Iterable<number>, kinds: number) => {
    const mean = (INSTANCES * SAT_CLAUSES) / kinds;
    return [...counts].reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
  };
  // Five standard deviations above the mean of chi-square: kinds − 1 + 5·√(2·(kinds − 1)).
  expect(chiSquare(triples.values(), 455)).toBeLessThan(605);
  expect(chiSquare(signs, 8)).toBeLessThan(26);
});

test.each(Array.from({ length: BRUTE_FORCE }, (_, instance) => instance))(
  'instance %i pays satisfied/64, and 1 when all are, for each of the 32,768 assignments; 2 is the most',
  (instance) => {
    const clauses = satClauses(referenceSeed(instance));
    const returns = allReturns(referenceSeed(instance));
    const falsified = satFalsified(clauses);
    for (let assignment = 0; assignment < returns.length; assignment++) {
      const count = satisfied(clauses, assignment);
      // No `toBe` for each: 32,768 of them take seconds.
      if (falsified[assignment] !== SAT_CLAUSES - count) expect.fail(`reference, assignment ${assignment}`);
      if (returns[assignment] !== count / 64 + (count === 64 ? 1 : 0))
        expect.fail(`assignment ${assignment}`);
    }
    const least = falsified.reduce((a, b) => Math.min(a, b));
    expect(returns.reduce((a, b) => Math.max(a, b))).toBe(least === 0 ? 2 : 1 - least / 64);
  },
);

test('the instances that are tried by brute force are of both kinds, satisfiable and not', () => {
  const least = Array.from({ length: BRUTE_FORCE }, (_, instance) =>
    satFalsified(satClauses(referenceSeed(instance))).reduce((a, b) => Math.min(a, b)),
  );
  expect(least.some((count) => count === 0) && least.some((count) => count > 0)).toBe(true);
});

test('every reward is a multiple of 1/64, and an episode has exactly 15 steps', () => {
  const batch = sat.create(1);
  const [rewards, terminated, truncated] = outputs(1);
  for (let instance = 0; instance < 100; instance++) {
    batch.reset(0, referenceSeed(instance));
    for (let step = 0; step < 15; step++) {
      batch.step(Uint16Array.of((instance >> (step % 7)) & 1), step, rewards, terminated, truncated);
      expect(Number.isInteger(rewards[0]! * 64)).toBe(true);
      expect([terminated[0], truncated[0]]).toEqual([step === 14 ? 1 : 0, 0]);
    }
    expect(() => batch.step(Uint16Array.of(0), 15, ...outputs(1))).toThrow(RangeError);
  }
});

test('a third action and a step before the first reset are refused', () => {
  const batch = sat.create(1);
  expect(() => batch.step(Uint16Array.of(0), 0, ...outputs(1))).toThrow(RangeError);
  batch.reset(0, referenceSeed(0));
  expect(() => batch.step(Uint16Array.of(2), 0, ...outputs(1))).toThrow(RangeError);
});

test('an episode beside others runs as it does alone', () => {
  const together = sat.create(8);
  const alone = Array.from({ length: 8 }, () => sat.create(1));
  const reset = (index: number, seed: Uint8Array) => {
    together.reset(index, seed);
    alone[index]!.reset(0, seed);
  };
  for (let index = 0; index < 8; index++) reset(index, referenceSeed(index));
  const observations = new Int8Array(8 * sat.observation);
  const row = new Int8Array(sat.observation);
  const all = outputs(8);
  const one = outputs(1);
  for (let step = 0; step < 200; step++) {
    // Episodes begin at different steps, so that their turns differ.
    if (step < 8) reset(step, referenceSeed(50 + step));
    const actions = Uint16Array.from({ length: 8 }, (_, index) => ((step * (index + 3)) >> 1) & 1);
    together.observe(observations);
    together.step(actions, step, ...all);
    for (let index = 0; index < 8; index++) {
      alone[index]!.observe(row);
      expect(row.every((value, i) => value === observations[index * row.length + i])).toBe(true);
      alone[index]!.step(actions.subarray(index, index + 1), step, ...one);
      expect(all.map((array) => array[index])).toEqual(one.map((array) => array[0]));
      if (one[1][0] === 1) reset(index, referenceSeed(100 + step));
    }
  }
});

test('a picture fits 60 columns and 20 lines and marks every clause', () => {
  const batch = sat.create(1);
  batch.reset(0, referenceSeed(3));
  for (let step = 0; step <= SAT_VARIABLES; step++) {
    const picture = batch.draw(0);
    const lines = picture.split('\n');
    expect(lines.every((line) => line.length <= 60)).toBe(true);
    expect(lines.length).toBeLessThanOrEqual(20);
    const marks = picture.match(/[✓✗○][-a-oA-O]{3} /g) ?? [];
    expect(marks).toHaveLength(SAT_CLAUSES);
    const counts = picture
      .match(/✓ (\d+) satisfied, ✗ (\d+) falsified, ○ (\d+) open/)!
      .slice(1)
      .map(Number);
    expect(counts).toEqual(
      ['✓', '✗', '○'].map((mark) => marks.filter((text) => text.startsWith(mark)).length),
    );
    expect(counts[2]).toBe(step === 0 ? 64 : step === 15 ? 0 : counts[2]);
    if (step < SAT_VARIABLES) batch.step(Uint16Array.of(step & 1), step, ...outputs(1));
  }
});

test('its names and widths agree', () => {
  expect(sat.actionNames).toHaveLength(sat.actions);
  expect(sat.shape).toEqual([sat.observation]);
});
