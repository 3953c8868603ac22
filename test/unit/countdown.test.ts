import { expect, test } from 'vitest';
import { countdownReachable, referenceSeed } from '../../bench/learning/reference-returns.ts';
import { COUNTDOWN_ACTIONS, countdown, countdownTask } from '../../src/environments/countdown.ts';
import { compareRationals, evaluateExpression, rational } from '../support/rational.ts';

const TASKS = process.env.GRAIL_LONG ? 50_000 : 2_000;
const EPISODES = process.env.GRAIL_LONG ? 100_000 : 5_000;

interface Outcome {
  readonly reward: number;
  readonly ended: boolean;
}

/** One episode, a step at a time. */
function start(taskSeed: Uint8Array) {
  const batch = countdown.create(1);
  batch.seed(0, taskSeed);
  batch.reset(0, taskSeed);
  const rewards = new Float32Array(1);
  const [terminated, truncated] = [new Uint8Array(1), new Uint8Array(1)];
  return {
    batch,
    step(action: number): Outcome {
      batch.step(Uint16Array.of(action), 0, rewards, terminated, truncated);
      expect(truncated[0]).toBe(0);
      return { reward: rewards[0]!, ended: terminated[0] === 1 };
    },
  };
}

/** A hand of expressions as a person would keep it, for numbers that only an exact evaluator looks at. */
class Hand {
  expressions: string[];

  constructor(numbers: Iterable<number>) {
    this.expressions = [...numbers].map(String);
  }

  /** The expression that `action` names by the words of its description; null when a number is missing. */
  expression(action: number): string | null {
    const [left, operation, right] = countdown.actionNames[action]!.split(' ');
    const [a, b] = [
      this.expressions[Number.parseInt(left!, 10) - 1],
      this.expressions[Number.parseInt(right!, 10) - 1],
    ];
    return a === undefined || b === undefined ? null : `(${a} ${operation} ${b})`;
  }

  apply(action: number): void {
    const [left, , right] = countdown.actionNames[action]!.split(' ');
    const made = this.expression(action)!;
    const used = [Number.parseInt(left!, 10) - 1, Number.parseInt(right!, 10) - 1];
    this.expressions = [...this.expressions.filter((_, place) => !used.includes(place)), made].sort((a, b) =>
      compareRationals(evaluateExpression(b), evaluateExpression(a)),
    );
  }
}

/** The value of an expression when the rules allow it: whole, from 1 to 127. */
function allowedValue(expression: string | null): number | null {
  if (expression === null) return null;
  const { numerator, denominator } = evaluateExpression(expression);
  return denominator === 1n && numerator > 0n && numerator <= 127n ? Number(numerator) : null;
}

test('the evaluator of these tests knows fractions, precedence and parentheses', () => {
  expect(evaluateExpression('1 ÷ 3 + 1 ÷ 6')).toEqual(rational(1n, 2n));
  expect(evaluateExpression('(7 − (2 − 9)) × 3 ÷ 6')).toEqual(rational(7n));
  expect(() => evaluateExpression('(1 + 2')).toThrow(SyntaxError);
});

test('a task depends on the task seed alone, not on what the slot did before nor on its own seed', () => {
  const batch = countdown.create(2);
  const observations = new Int8Array(2 * countdown.observation);
  for (let task = 0; task < 200; task++) {
    batch.seed(0, referenceSeed(task + 1));
    batch.seed(1, referenceSeed(task + 2));
    batch.reset(0, referenceSeed(task));
    batch.reset(1, referenceSeed(task));
    if (task % 2 === 0) {
      const actions = Uint16Array.of(task % 24, (task + 5) % 24);
      batch.step(actions, 0, new Float32Array(2), new Uint8Array(2), new Uint8Array(2));
      batch.reset(0, referenceSeed(task));
      batch.reset(1, referenceSeed(task));
    }
    batch.observe(observations);
    const [first, second] = [observations.subarray(0, 139), observations.subarray(139)];
    expect(first).toEqual(second);
    const { numbers, target } = countdownTask(referenceSeed(task));
    expect([0, 8, 16, 24, 32].map((at) => first[at])).toEqual([...numbers, target]);
  }
});

test('numbers are 1 to 10 in descending order, targets 11 to 100, and every such value occurs', () => {
  const numbers = new Set<number>();
  const targets = new Set<number>();
  for (let task = 0; task < TASKS; task++) {
    const drawn = countdownTask(referenceSeed(task));
    expect([...drawn.numbers].sort((a, b) => b - a)).toEqual([...drawn.numbers]);
    for (const value of drawn.numbers) numbers.add(value);
    targets.add(drawn.target);
  }
  expect([...numbers].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(Math.min(...targets)).toBe(11);
  expect(Math.max(...targets)).toBe(100);
  expect(targets.size).toBeGreaterThan(75);
});

/** Whether some expression of all of `values` has the value `target`: fractions and negative numbers included. */
function reachableWithAll(values: readonly string[], target: bigint): boolean {
  if (values.length === 1) return compareRationals(evaluateExpression(values[0]!), rational(target)) === 0;
  return values.some((a, i) =>
    values.some((b, j) => {
      if (i === j) return false;
      const others = values.filter((_, place) => place !== i && place !== j);
      return ['+', '−', '×', '÷'].some((operation) => {
        const made = `(${a} ${operation} ${b})`;
        try {
          evaluateExpression(made);
        } catch {
          return false;
        }
        return reachableWithAll([...others, made], target);
      });
    }),
  );
}

test('every target can be reached by the rules, and by an expression of all four numbers', () => {
  for (let task = 0; task < TASKS; task++) {
    const { numbers, target } = countdownTask(referenceSeed(task));
    expect(countdownReachable(numbers, target, 3)).toBe(true);
    if (task < TASKS / 100) expect(reachableWithAll([...numbers].map(String), BigInt(target))).toBe(true);
  }
});

test('the reward is 1 exactly when the expression that the actions make evaluates to the target', () => {
  let [solved, refused, exhausted] = [0, 0, 0];
  for (let episode = 0; episode < EPISODES; episode++) {
    const taskSeed = referenceSeed(episode);
    const { numbers, target } = countdownTask(taskSeed);
    const { step } = start(taskSeed);
    const hand = new Hand(numbers);
    for (let operation = 1, ended = false; !ended; operation++) {
      const noise = taskSeed[operation]! * 256 + taskSeed[operation + 4]!;
      const allowed = Array.from({ length: COUNTDOWN_ACTIONS }, (_, action) => action).filter(
        (action) => allowedValue(hand.expression(action)) !== null,
      );
      const winning = allowed.find((action) => allowedValue(hand.expression(action)) === target);
      const action = noise % 8 === 0 ? noise % 24 : (winning ?? allowed[noise % allowed.length]!);
      const value = allowedValue(hand.expression(action));
      const outcome = step(action);
      expect(outcome.reward).toBe(value === target ? 1 : 0);
      ended = value === target || value === null || operation === 3;
      expect(outcome.ended).toBe(ended);
      if (value === target) solved += 1;
      else if (value === null) refused += 1;
      else if (ended) exhausted += 1;
      if (value !== null) hand.apply(action);
    }
    const used = hand.expressions.join(' ').match(/\d+/g)!.map(Number);
    expect(used.sort((a, b) => b - a)).toEqual([...numbers]);
  }
  expect(Math.min(solved, refused, exhausted)).toBeGreaterThan(EPISODES / 20);
});

/** Plays allowed actions until `wanted` holds of a hand, then gives the episode and the action to try. */
function find(wanted: (hand: Hand, action: number) => boolean) {
  for (let task = 0; task < 10_000; task++) {
    const { numbers, target } = countdownTask(referenceSeed(task));
    const { step, batch } = start(referenceSeed(task));
    const hand = new Hand(numbers);
    for (let operation = 0; operation < 3; operation++) {
      for (let action = 0; action < COUNTDOWN_ACTIONS; action++) {
        if (wanted(hand, action)) return { step, batch, action };
      }
      const next = Array.from({ length: COUNTDOWN_ACTIONS }, (_, action) => action).filter((action) => {
        const value = allowedValue(hand.expression(action));
        return value !== null && value !== target;
      });
      if (next.length === 0 || operation === 2) break;
      const action = next[task % next.length]!;
      step(action);
      hand.apply(action);
    }
  }
  throw new Error('no task leads there');
}

test.each<[string, (hand: Hand, action: number) => boolean]>([
  ['names a number that is used', (hand, action) => hand.expression(action) === null],
  [
    'leaves nothing',
    (hand, action) => {
      const expression = hand.expression(action);
      return expression !== null && evaluateExpression(expression).numerator === 0n;
    },
  ],
  [
    'divides with a remainder',
    (hand, action) => {
      const expression = hand.expression(action);
      return expression !== null && evaluateExpression(expression).denominator !== 1n;
    },
  ],
  [
    'makes more than 127',
    (hand, action) => {
      const expression = hand.expression(action);
      return expression !== null && evaluateExpression(expression).numerator > 127n;
    },
  ],
])('an operation that %s ends the episode without reward', (_, wanted) => {
  const { step, batch, action } = find(wanted);
  expect(step(action)).toEqual({ reward: 0, ended: true });
  expect(batch.draw(0)).toContain('not allowed');
  expect(() => step(0)).toThrow(RangeError);
});

test('a 25th action and a step before the first reset are refused', () => {
  expect(() => start(referenceSeed(1)).step(24)).toThrow(RangeError);
  const outputs = [new Float32Array(1), new Uint8Array(1), new Uint8Array(1)] as const;
  expect(() => countdown.create(1).step(Uint16Array.of(0), 0, ...outputs)).toThrow(RangeError);
});

test('an observation is the hand, the target and what each action would make', () => {
  const row = new Int8Array(countdown.observation);
  for (let task = 0; task < TASKS / 10; task++) {
    const taskSeed = referenceSeed(task);
    const { numbers, target } = countdownTask(taskSeed);
    const { batch, step } = start(taskSeed);
    const hand = new Hand(numbers);
    for (let ended = false; !ended; ) {
      batch.observe(row);
      const values = hand.expressions.map((expression) => Number(evaluateExpression(expression).numerator));
      const codes = [...values, 0, 0, 0].slice(0, 4).concat(target);
      const bits = (value: number) =>
        [...value.toString(2).padStart(7, '0')].reverse().map((bit) => 64 * Number(bit));
      const results = countdown.actionNames.flatMap((_, action) => {
        const value = allowedValue(hand.expression(action));
        if (value === null) return [0, 0, 0, 0];
        return [64, value === target ? 64 : 0, target - value, target % value === 0 ? 64 : 0];
      });
      expect([...row]).toEqual([
        ...codes.flatMap((value) => [value, ...bits(value)]),
        ...[2, 3, 4].map((left) => (values.length === left ? 64 : 0)),
        ...results,
      ]);
      const allowed = countdown.actionNames.flatMap((_, action) =>
        results[4 * action] === 64 ? [action] : [],
      );
      const action = allowed[taskSeed[0]! % allowed.length]!;
      hand.apply(action);
      ended = step(action).ended;
    }
  }
});

test('an episode beside others runs as it does alone', () => {
  const together = countdown.create(8);
  const episodes = Array.from({ length: 8 }, (_, index) => start(referenceSeed(index)));
  for (let index = 0; index < 8; index++) together.reset(index, referenceSeed(index));
  const observations = new Int8Array(8 * countdown.observation);
  const row = new Int8Array(countdown.observation);
  const rewards = new Float32Array(8);
  const [terminated, truncated] = [new Uint8Array(8), new Uint8Array(8)];
  for (let step = 0; step < 300; step++) {
    together.observe(observations);
    const actions = Uint16Array.from({ length: 8 }, (_, index) => (step * (index + 3) + index) % 24);
    together.step(actions, step, rewards, terminated, truncated);
    for (let index = 0; index < 8; index++) {
      episodes[index]!.batch.observe(row);
      expect(row.every((value, i) => value === observations[index * row.length + i])).toBe(true);
      const outcome = episodes[index]!.step(actions[index]!);
      expect(outcome).toEqual({ reward: rewards[index], ended: terminated[index] === 1 });
      if (!outcome.ended) continue;
      together.reset(index, referenceSeed(100 + step));
      episodes[index]!.batch.reset(0, referenceSeed(100 + step));
    }
  }
});

test('a picture fits 60 columns and 20 lines and shows every operation', () => {
  const { batch, step } = find(
    (hand, action) => hand.expressions.length === 2 && hand.expression(action) !== null,
  );
  const picture = batch.draw(0);
  expect(picture.split('\n').every((line) => line.length <= 60)).toBe(true);
  expect(picture.split('\n').length).toBeLessThanOrEqual(20);
  expect(picture.match(/ = /g)).toHaveLength(2);
  step(0);
  expect(batch.draw(0).match(/ = /g)).toHaveLength(3);
});

test('its names and widths agree', () => {
  expect(countdown.actionNames).toHaveLength(countdown.actions);
  expect(new Set(countdown.actionNames).size).toBe(countdown.actions);
  expect(countdown.shape).toEqual([countdown.observation]);
});
