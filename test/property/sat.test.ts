import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SAT_CLAUSES, SAT_VARIABLES, sat, satClauses } from '../../src/environments/sat.ts';

const options = { numRuns: process.env.GRAIL_LONG ? 20_000 : 300, seed: 11 };

const taskSeeds = fc.uint8Array({ minLength: 16, maxLength: 16 });
const choices = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 0, maxLength: SAT_VARIABLES });

/** Values by variable; a variable that is free is not there. */
type Assignment = ReadonlyMap<number, number>;

const instance = (taskSeed: Uint8Array) => {
  const literals = [...satClauses(taskSeed)];
  return Array.from({ length: SAT_CLAUSES }, (_, clause) => literals.slice(3 * clause, 3 * clause + 3));
};
const holds = (values: Assignment) => (literal: number) => values.get(literal >> 1) === 1 - (literal & 1);
const isFree = (values: Assignment) => (literal: number) => !values.has(literal >> 1);
/** Free literals of every clause that is not satisfied. */
const reduced = (clauses: number[][], values: Assignment) =>
  clauses.filter((clause) => !clause.some(holds(values))).map((clause) => clause.filter(isFree(values)));
const clip = (value: number) => Math.min(127, value);
const urgency = (free: number) => 64 / 2 ** free;

/** What one value of the current variable leads to, by propagating the first unit that is found, one at a time. */
function foresee(clauses: number[][], values: Assignment, variable: number, value: number): number[] {
  // Clauses that are falsified already are no conflict of this choice.
  const alive = clauses.filter((clause) => clause.some(holds(values)) || clause.some(isFree(values)));
  const then = new Map(values).set(variable, value);
  for (;;) {
    const left = reduced(alive, then);
    if (left.some((clause) => clause.length === 0)) return [64, 0, 0, 0];
    const unit = left.find((clause) => clause.length === 1);
    if (unit === undefined) {
      const count = (free: number) => left.filter((clause) => clause.length === free).length;
      return [0, clip(8 * (then.size - values.size - 1)), clip(4 * count(2)), clip(2 * count(3))];
    }
    then.set(unit[0]! >> 1, 1 - (unit[0]! & 1));
  }
}

function expected(clauses: number[][], values: Assignment): number[] {
  const turn = values.size;
  const left = reduced(clauses, values);
  const live = left.filter((clause) => clause.length > 0);
  const weigh = (literal: number, free: number) =>
    clip(urgency(free) * live.filter((clause) => clause.length === free && clause.includes(literal)).length);
  const variables = Array.from({ length: SAT_VARIABLES }, (_, ahead) => turn + ahead);
  const own = variables.flatMap((v) =>
    [0, 1].flatMap((sign) => [1, 2, 3].map((free) => weigh(2 * v + sign, free))),
  );
  const pairs = variables.slice(1).flatMap((v) =>
    [0, 1, 2, 3].map((signs) => {
      const both = live.filter(
        (clause) => clause.includes(2 * turn + (signs >> 1)) && clause.includes(2 * v + (signs & 1)),
      );
      return clip(both.reduce((sum, clause) => sum + urgency(clause.length), 0));
    }),
  );
  const count = (free: number) => left.filter((clause) => clause.length === free).length;
  const totals = [16, 16, 4, 2].map((scale, free) => clip(scale * count(free)));
  const choice = (value: number) =>
    turn < SAT_VARIABLES ? foresee(clauses, values, turn, value) : [0, 0, 0, 0];
  return [...own, ...pairs, ...totals, SAT_CLAUSES - left.length, 8 * turn, ...choice(0), ...choice(1)];
}

test('an observation is what its clauses and assignment say, at every step', () => {
  fc.assert(
    fc.property(taskSeeds, choices, (taskSeed, values) => {
      const clauses = instance(taskSeed);
      const batch = sat.create(2);
      batch.reset(0, new Uint8Array(16));
      batch.reset(1, taskSeed);
      const assignment = new Map<number, number>();
      for (const [variable, value] of values.entries()) {
        batch.step(
          Uint16Array.of(0, value),
          variable,
          new Float32Array(2),
          new Uint8Array(2),
          new Uint8Array(2),
        );
        assignment.set(variable, value);
      }
      const observations = new Int8Array(2 * sat.observation).fill(99);
      batch.observe(observations);
      expect([...observations.subarray(sat.observation)]).toEqual(expected(clauses, assignment));
    }),
    options,
  );
});

test('the rewards of an episode are its satisfied clauses, step by step', () => {
  fc.assert(
    fc.property(taskSeeds, choices, (taskSeed, values) => {
      const clauses = instance(taskSeed);
      const batch = sat.create(1);
      batch.reset(0, taskSeed);
      const rewards = new Float32Array(1);
      const assignment = new Map<number, number>();
      let total = 0;
      for (const [variable, value] of values.entries()) {
        batch.step(Uint16Array.of(value), variable, rewards, new Uint8Array(1), new Uint8Array(1));
        assignment.set(variable, value);
        total += rewards[0]!;
        const count = clauses.filter((clause) => clause.some(holds(assignment))).length;
        const bonus = assignment.size === SAT_VARIABLES && count === SAT_CLAUSES ? 1 : 0;
        expect(total).toBe(count / 64 + bonus);
      }
    }),
    options,
  );
});
