/**
 * What returns are worth on GRAIL's own tasks: uniform actions, a plain rule, the optimum. Episode e has the task seed
 * SHA-256(tag("references") ‖ u32 e)[0..15]; every figure is a function of `episodes` alone.
 */
import {
  COUNTDOWN_ACTIONS,
  COUNTDOWN_NUMBERS,
  countdownApply,
  countdownResult,
  countdownTask,
} from '../../src/environments/countdown.ts';
import type { Environment } from '../../src/environments/index.ts';
import { SAT_CLAUSES, SAT_VARIABLES, satClauses } from '../../src/environments/sat.ts';
import { seedBlock, seedWords } from '../../src/policy/philox.ts';
import { u32 } from '../../src/protocol/bytes.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';

export interface ReferenceReturn {
  readonly mean: number;
  /** Of the mean. */
  readonly standardError: number;
  /** Share of the episodes that got all there is: every clause, the target. */
  readonly solved: number;
}

export const referenceSeed = (episode: number): Uint8Array =>
  sha256(tag('references'), u32(episode)).slice(0, 16);

function summarise(returns: readonly number[], full: number): ReferenceReturn {
  const n = returns.length;
  const mean = returns.reduce((sum, value) => sum + value, 0) / n;
  const squares = returns.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const solved = returns.filter((value) => value === full).length / n;
  return { mean, standardError: Math.sqrt(squares / (n - 1) / n), solved };
}

/** Every episode's return, put together. */
const over = (episodes: number, full: number, play: (taskSeed: Uint8Array) => number): ReferenceReturn =>
  summarise(
    Array.from({ length: episodes }, (_, episode) => play(referenceSeed(episode))),
    full,
  );

/** Uniform actions in any environment whose episodes end. `full` is the return that counts as solved. */
export function randomReturn(environment: Environment, episodes: number, full: number): ReferenceReturn {
  const batch = environment.create(1);
  const block = new Uint32Array(4);
  const actions = new Uint16Array(1);
  const rewards = new Float32Array(1);
  const [terminated, truncated] = [new Uint8Array(1), new Uint8Array(1)];
  return over(episodes, full, (taskSeed) => {
    // Block 2^32 − 1 is none that an environment draws from.
    const words = seedWords(taskSeed);
    batch.seed(0, taskSeed);
    batch.reset(0, taskSeed);
    let total = 0;
    for (let step = 0; ; step++) {
      seedBlock(words, 0, step, 0xffffffff, block);
      actions[0] = Math.floor((block[0]! * environment.actions) / 2 ** 32);
      batch.step(actions, step, rewards, terminated, truncated);
      total += rewards[0]!;
      if (terminated[0] === 1 || truncated[0] === 1) return total;
    }
  });
}

const satReturn = (satisfied: number): number =>
  satisfied / SAT_CLAUSES + (satisfied === SAT_CLAUSES ? 1 : 0);

/** `[15]`: 1, 0, or −1 while free. */
type Assignment = Int8Array;

/** `free` literals of each clause that is not satisfied: 0 when it is falsified. */
function liveClauses(literals: Uint8Array, values: Assignment): { free: number; unit: number }[] {
  const live: { free: number; unit: number }[] = [];
  for (let at = 0; at < literals.length; at += 3) {
    const clause = literals.subarray(at, at + 3);
    if (clause.some((literal) => values[literal >>> 1] === 1 - (literal & 1))) continue;
    const free = clause.filter((literal) => values[literal >>> 1] === -1);
    live.push({ free: free.length, unit: free[0] ?? -1 });
  }
  return live;
}

const weight = (live: readonly { free: number }[], base: number): number =>
  live.reduce((sum, { free }) => sum + base ** -free, 0);

/** Gives the variables in turn the value of lower cost, false on ties. */
function satInTurn(literals: Uint8Array, cost: (values: Assignment) => number): number {
  const values = new Int8Array(SAT_VARIABLES).fill(-1);
  for (let variable = 0; variable < SAT_VARIABLES; variable++) {
    const costs = [0, 1].map((value) => {
      values[variable] = value;
      return cost(values);
    });
    values[variable] = costs[1]! < costs[0]! ? 1 : 0;
  }
  return satReturn(SAT_CLAUSES - liveClauses(literals, values).length);
}

/**
 * Cost: a live clause with f free literals costs 2^−f, what random values would leave of it (Johnson, "Approximation
 * algorithms for combinatorial problems", 1974; the weights of Jeroslow and Wang).
 */
export const satGreedyReturn = (episodes: number): ReferenceReturn =>
  over(episodes, 2, (taskSeed) => {
    const literals = satClauses(taskSeed);
    return satInTurn(literals, (values) => weight(liveClauses(literals, values), 2));
  });

/** Cost: whether unit propagation falsifies a clause, then what it leaves, a clause with f free literals at 4^−f. */
export const satLookaheadReturn = (episodes: number): ReferenceReturn =>
  over(episodes, 2, (taskSeed) => {
    const literals = satClauses(taskSeed);
    return satInTurn(literals, (values) => {
      const before = liveClauses(literals, values);
      const propagated = values.slice();
      for (let live = before; ; live = liveClauses(literals, propagated)) {
        if (live.some(({ free }) => free === 0)) return SAT_CLAUSES + weight(before, 2);
        const forced = live.find(({ free }) => free === 1);
        if (forced === undefined) return weight(live, 4);
        propagated[forced.unit >>> 1] = 1 - (forced.unit & 1);
      }
    });
  });

/** The best of all 2^15 assignments. */
export const satOptimalReturn = (episodes: number): ReferenceReturn =>
  over(episodes, 2, (taskSeed) => {
    const falsified = satFalsified(satClauses(taskSeed));
    return satReturn(SAT_CLAUSES - falsified.reduce((least, count) => Math.min(least, count)));
  });

/** `[2^15]`: how many clauses each assignment falsifies; bit v of an index is the value of variable v. */
export function satFalsified(literals: Uint8Array): Uint8Array {
  const all = 2 ** SAT_VARIABLES - 1;
  const falsified = new Uint8Array(2 ** SAT_VARIABLES);
  for (let at = 0; at < literals.length; at += 3) {
    let fixed = 0;
    let mask = 0;
    for (const literal of literals.subarray(at, at + 3)) {
      mask |= 1 << (literal >>> 1);
      fixed |= (literal & 1) << (literal >>> 1);
    }
    // All subsets of the other variables, downwards.
    const others = all & ~mask;
    for (let subset = others; ; subset = (subset - 1) & others) {
      falsified[subset | fixed]! += 1;
      if (subset === 0) break;
    }
  }
  return falsified;
}

const allowedActions = (values: Uint8Array): number[] =>
  Array.from({ length: COUNTDOWN_ACTIONS }, (_, action) => action).filter(
    (action) => countdownResult(values, 0, action) > 0,
  );

function after(values: Uint8Array, action: number): Uint8Array {
  const next = values.slice();
  countdownApply(next, 0, action, countdownResult(values, 0, action));
  return next;
}

/** Whether at most `operations` operations reach the target. */
export function countdownReachable(values: Uint8Array, target: number, operations: number): boolean {
  const allowed = allowedActions(values);
  if (allowed.some((action) => countdownResult(values, 0, action) === target)) return true;
  return (
    operations > 1 &&
    allowed.some((action) => countdownReachable(after(values, action), target, operations - 1))
  );
}

/**
 * Plays an operation from which the target is at most `foresight` operations away (that one included) where there is
 * one, and a uniform allowed one otherwise: 0 is uniform over allowed actions, 3 the optimum.
 */
export const countdownForesightReturn = (episodes: number, foresight: number): ReferenceReturn =>
  over(episodes, 1, (taskSeed) => {
    const task = countdownTask(taskSeed);
    const words = seedWords(taskSeed);
    const block = new Uint32Array(4);
    let values = task.numbers;
    for (let step = 0; step < COUNTDOWN_NUMBERS - 1; step++) {
      const allowed = allowedActions(values);
      if (allowed.length === 0) return 0;
      seedBlock(words, 0, step, 0xffffffff, block);
      const action =
        bestAction(values, allowed, task.target, foresight) ??
        allowed[Math.floor((block[0]! * allowed.length) / 2 ** 32)]!;
      if (countdownResult(values, 0, action) === task.target) return 1;
      values = after(values, action);
    }
    return 0;
  });

function bestAction(
  values: Uint8Array,
  allowed: readonly number[],
  target: number,
  foresight: number,
): number | undefined {
  for (let within = 1; within <= foresight; within++) {
    const found = allowed.find((action) =>
      within === 1
        ? countdownResult(values, 0, action) === target
        : countdownReachable(after(values, action), target, within - 1),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}
