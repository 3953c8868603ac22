import { seedBlock, seedWords } from '../policy/philox.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';

/**
 * Countdown-v1: reach a target by combining numbers with + − × ÷, each number used at most once. The only reward is 1
 * for the operation whose result is the target, so a return can be checked by evaluating an expression.
 */

export const COUNTDOWN_NUMBERS = 4;
const LARGEST_NUMBER = 10;
/** Above every number, so that an operation is needed. */
const TARGET_MIN = 11;
const TARGET_MAX = 100;
/** Results fit the int8 of an observation. */
const RESULT_MAX = 127;

/** `[6]`: the places of a pair. Numbers are kept in descending order, so the left one is never the smaller. */
const LEFT = [0, 0, 0, 1, 1, 2] as const;
const RIGHT = [1, 2, 3, 2, 3, 3] as const;
const OPERATIONS = ['+', '−', '×', '÷'] as const;
export const COUNTDOWN_ACTIONS = LEFT.length * OPERATIONS.length;

/** Observation: places, the target, how many numbers are left, actions. */
const FLAG = 64;
const BITS = 7;
const CODE = 1 + BITS;
const LEFT_OVER = (COUNTDOWN_NUMBERS + 1) * CODE;
const ACTION_AT = LEFT_OVER + COUNTDOWN_NUMBERS - 1;
const ACTION_VALUES = 4;
const WIDTH = ACTION_AT + COUNTDOWN_ACTIONS * ACTION_VALUES;

/** Operation, left, right and result. */
const RECORD = 4;
const RECORDS = (COUNTDOWN_NUMBERS - 1) * RECORD;

/**
 * What `action` = 4 · pair + operation makes of `values[at..at+3]` (descending, 0 where there is no number); 0 when it
 * is not allowed: a number that is not there, a difference of 0, a quotient that is not whole, a result above 127.
 */
export function countdownResult(values: Uint8Array, at: number, action: number): number {
  const pair = action >>> 2;
  const left = values[at + LEFT[pair]!]!;
  const right = values[at + RIGHT[pair]!]!;
  if (right === 0) return 0;
  const operation = action & 3;
  if (operation === 1) return left - right;
  if (operation === 3) return left % right === 0 ? left / right : 0;
  const result = operation === 0 ? left + right : left * right;
  return result > RESULT_MAX ? 0 : result;
}

/** Puts `result` in place of the two numbers of `action`; what is left stays in descending order, zeros last. */
export function countdownApply(values: Uint8Array, at: number, action: number, result: number): void {
  const pair = action >>> 2;
  values[at + LEFT[pair]!] = result;
  values[at + RIGHT[pair]!] = 0;
  sortDescending(values, at);
}

function sortDescending(values: Uint8Array, at: number): void {
  for (let i = 1; i < COUNTDOWN_NUMBERS; i++) {
    const value = values[at + i]!;
    let j = i;
    for (; j > 0 && values[at + j - 1]! < value; j--) values[at + j] = values[at + j - 1]!;
    values[at + j] = value;
  }
}

/** A uniform word as one of `count` whole numbers from 0. */
function below(word: number, count: number): number {
  return Math.floor((word * count) / 2 ** 32);
}

/** Writes the actions that are allowed, in order, and gives their number. */
function listAllowed(values: Uint8Array, at: number, out: Uint8Array): number {
  let count = 0;
  for (let action = 0; action < COUNTDOWN_ACTIONS; action++) {
    if (countdownResult(values, at, action) > 0) out[count++] = action;
  }
  return count;
}

const createScratch = () => ({
  words: new Uint32Array(4),
  block: new Uint32Array(4),
  hand: new Uint8Array(COUNTDOWN_NUMBERS),
  allowed: new Uint8Array(COUNTDOWN_ACTIONS),
});
type Scratch = ReturnType<typeof createScratch>;

/** Writes a task's numbers to `out[at..at+3]` and gives its target; see `countdownTask`. */
function drawTask(taskSeed: Uint8Array, scratch: Scratch, out: Uint8Array, at: number): number {
  const { words, block, hand, allowed } = scratch;
  seedWords(taskSeed, words);
  for (let attempt = 0; ; attempt++) {
    seedBlock(words, 0, 0, 2 * attempt, block);
    for (let i = 0; i < COUNTDOWN_NUMBERS; i++) hand[i] = 1 + below(block[i]!, LARGEST_NUMBER);
    sortDescending(hand, 0);
    out.set(hand, at);
    seedBlock(words, 0, 0, 2 * attempt + 1, block);
    let result = 0;
    for (let i = 0; i < COUNTDOWN_NUMBERS - 1; i++) {
      const action = allowed[below(block[i]!, listAllowed(hand, 0, allowed))]!;
      result = countdownResult(hand, 0, action);
      countdownApply(hand, 0, action, result);
    }
    if (result >= TARGET_MIN && result <= TARGET_MAX) return result;
  }
}

/**
 * The task of a 16-byte task seed: four numbers from 1 to 10 in descending order, and a target from 11 to 100 that all
 * of them together can make.
 *
 * Attempt k = 0, 1, … reads the seed's Philox blocks (step 0, block 2k) and (step 0, block 2k + 1). Word i of the first
 * gives a number 1 + ⌊10·u / 2^32⌋; word i < 3 of the second the ⌊n·u / 2^32⌋-th of the n actions that are allowed at
 * operation i. The result of the third operation is the target; outside its range the next attempt is made.
 */
export function countdownTask(taskSeed: Uint8Array): { numbers: Uint8Array; target: number } {
  const numbers = new Uint8Array(COUNTDOWN_NUMBERS);
  const target = drawTask(taskSeed, createScratch(), numbers, 0);
  return { numbers, target };
}

class CountdownBatch implements EnvironmentBatch {
  readonly batch: number;
  /** `[batch, 4]`: numbers that are left, in descending order, then zeros. */
  readonly #values: Uint8Array;
  readonly #target: Uint8Array;
  /** `[batch]`: operations so far; −1 when it must be reset. */
  readonly #done: Int8Array;
  /** `[batch, 3, 4]`: what was done, for pictures. */
  readonly #records: Uint8Array;
  readonly #recorded: Uint8Array;
  readonly #scratch = createScratch();

  constructor(batch: number) {
    this.batch = batch;
    this.#values = new Uint8Array(batch * COUNTDOWN_NUMBERS);
    this.#target = new Uint8Array(batch);
    this.#done = new Int8Array(batch).fill(-1);
    this.#records = new Uint8Array(batch * RECORDS);
    this.#recorded = new Uint8Array(batch);
  }

  reset(index: number, taskSeed: Uint8Array): void {
    this.#target[index] = drawTask(taskSeed, this.#scratch, this.#values, index * COUNTDOWN_NUMBERS);
    this.#done[index] = 0;
    this.#recorded[index] = 0;
  }

  /** Countdown has no randomness of its own. */
  seed(): void {}

  observe(out: Int8Array): void {
    out.fill(0, 0, this.batch * WIDTH);
    for (let index = 0; index < this.batch; index++) {
      const row = index * WIDTH;
      const at = index * COUNTDOWN_NUMBERS;
      const target = this.#target[index]!;
      let left = 0;
      for (let i = 0; i < COUNTDOWN_NUMBERS; i++) {
        const value = this.#values[at + i]!;
        writeCode(out, row + i * CODE, value);
        if (value > 0) left += 1;
      }
      writeCode(out, row + COUNTDOWN_NUMBERS * CODE, target);
      if (left >= 2) out[row + LEFT_OVER + left - 2] = FLAG;
      for (let action = 0; action < COUNTDOWN_ACTIONS; action++) {
        const result = countdownResult(this.#values, at, action);
        if (result === 0) continue;
        const cell = row + ACTION_AT + action * ACTION_VALUES;
        out[cell] = FLAG;
        out[cell + 1] = result === target ? FLAG : 0;
        out[cell + 2] = target - result;
        out[cell + 3] = target % result === 0 ? FLAG : 0;
      }
    }
  }

  step(
    actions: Uint16Array,
    _slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void {
    for (let index = 0; index < this.batch; index++) {
      if (this.#done[index]! < 0) throw new RangeError(`episode ${index} must be reset before its next step`);
      const action = actions[index]!;
      if (action >= COUNTDOWN_ACTIONS) {
        throw new RangeError(`Countdown has actions 0 to ${COUNTDOWN_ACTIONS - 1}, not ${action}`);
      }
      const at = index * COUNTDOWN_NUMBERS;
      const result = countdownResult(this.#values, at, action);
      this.#record(index, action, result);
      const reached = result === this.#target[index]!;
      if (result > 0) countdownApply(this.#values, at, action, result);
      const done = this.#done[index]! + 1;
      const ended = reached || result === 0 || done === COUNTDOWN_NUMBERS - 1;
      rewards[index] = reached ? 1 : 0;
      terminated[index] = ended ? 1 : 0;
      truncated[index] = 0;
      this.#done[index] = ended ? -1 : done;
    }
  }

  #record(index: number, action: number, result: number): void {
    const at = index * COUNTDOWN_NUMBERS;
    const record = index * RECORDS + this.#recorded[index]! * RECORD;
    this.#records[record] = action & 3;
    this.#records[record + 1] = this.#values[at + LEFT[action >>> 2]!]!;
    this.#records[record + 2] = this.#values[at + RIGHT[action >>> 2]!]!;
    this.#records[record + 3] = result;
    this.#recorded[index]! += 1;
  }

  draw(index: number): string {
    const target = this.#target[index]!;
    const numbers: string[] = [];
    for (let i = 0; i < COUNTDOWN_NUMBERS; i++) {
      const value = this.#values[index * COUNTDOWN_NUMBERS + i]!;
      numbers.push((value === 0 ? '·' : String(value)).padStart(4).padEnd(5));
    }
    const bar = (left: string, middle: string, right: string) =>
      `   ${left}${numbers.map(() => '─────').join(middle)}${right}`;
    const lines = [
      `   target ${target}`,
      '',
      bar('┌', '┬', '┐'),
      `   │${numbers.join('│')}│`,
      bar('└', '┴', '┘'),
      '',
    ];
    for (let i = 0; i < this.#recorded[index]!; i++) {
      const record = index * RECORDS + i * RECORD;
      const operation = OPERATIONS[this.#records[record]!]!;
      const left = String(this.#records[record + 1]!).padStart(5);
      const right = String(this.#records[record + 2]!).padEnd(3);
      const result = this.#records[record + 3]!;
      const mark = result === target ? '  ✓ the target' : '';
      lines.push(`   ${left} ${operation} ${right} = ${result === 0 ? '✗ not allowed' : result}${mark}`);
    }
    return lines.join('\n');
  }
}

/** A number and its seven bits, least significant first. */
function writeCode(out: Int8Array, at: number, value: number): void {
  out[at] = value;
  for (let bit = 0; bit < BITS; bit++) out[at + 1 + bit] = (value >>> bit) & 1 ? FLAG : 0;
}

const ORDINALS = ['1st', '2nd', '3rd', '4th'] as const;

export const countdown: Environment = {
  id: 'Countdown-v1',
  summary:
    'Combine four numbers, each used at most once, with + − × ÷ until a result is the target: reward 1, and nothing else.',
  source:
    'after the numbers round of the television game Countdown and the task of TinyZero (Pan et al., 2025)',
  observation: WIDTH,
  shape: [WIDTH],
  observed: [
    'the k-th largest number and its 7 bits[0..31]',
    'the target and its 7 bits[32..39]',
    '4 − k numbers are used[40..42]',
    'of each action: allowed, gives the target, target − result, the result divides the target[43..138]',
  ],
  actions: COUNTDOWN_ACTIONS,
  actionNames: LEFT.flatMap((left, pair) =>
    OPERATIONS.map((operation) => `${ORDINALS[left]} ${operation} ${ORDINALS[RIGHT[pair]!]}`),
  ),
  maxEpisodeSteps: COUNTDOWN_NUMBERS - 1,
  create: (batch) => new CountdownBatch(batch),
};
