import { seedBlock, seedWords } from '../policy/philox.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';

const NUMBERS = 4;
const LARGEST_NUMBER = 10;
/** Above every number, so that an operation is needed; below what results may be. */
const TARGET_MIN = 11;
const TARGET_MAX = 100;
/** Results fit an observation's int8. */
const RESULT_MAX = 127;

/** `[6]`: places of a pair, the larger number first. */
const LEFT = [0, 0, 0, 1, 1, 2] as const;
const RIGHT = [1, 2, 3, 2, 3, 3] as const;
const OPERATIONS = ['+', '−', '×', '÷'] as const;
export const COUNTDOWN_ACTIONS = LEFT.length * OPERATIONS.length;

/**
 * What `action` makes of the numbers at `values[at..at+3]` (in descending order, 0 where there is none): 0 when it is
 * not allowed, which are a missing number, a difference of 0, a quotient with a remainder, a result above 127.
 */
export function countdownResult(values: Uint8Array, at: number, action: number): number {
  const pair = action >>> 2;
  const a = values[at + LEFT[pair]!]!;
  const b = values[at + RIGHT[pair]!]!;
  if (b === 0) return 0;
  const operation = action & 3;
  let result: number;
  if (operation === 0) result = a + b;
  else if (operation === 1) result = a - b;
  else if (operation === 2) result = a * b;
  else result = a % b === 0 ? a / b : 0;
  return result > RESULT_MAX ? 0 : result;
}

/** Replaces the pair of `action` by `result`; the numbers stay in descending order, zeros last. */
export function countdownApply(values: Uint8Array, at: number, action: number, result: number): void {
  const pair = action >>> 2;
  values[at + LEFT[pair]!] = result;
  values[at + RIGHT[pair]!] = 0;
  sortDescending(values, at);
}

function sortDescending(values: Uint8Array, at: number): void {
  for (let i = 1; i < NUMBERS; i++) {
    for (let j = i; j > 0 && values[at + j]! > values[at + j - 1]!; j--) {
      const swapped = values[at + j]!;
      values[at + j] = values[at + j - 1]!;
      values[at + j - 1] = swapped;
    }
  }
}
