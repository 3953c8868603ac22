import { expect, test } from 'vitest';
import { policyLoss, valueLoss } from '../../src/training/losses.ts';
import { words } from '../support/policies.ts';

const LOW = 0.2;
const HIGH = 0.35;
const BONUS = 0.03;
const ACTIONS = 3;

function softmax(logits: number[]): number[] {
  const total = logits.reduce((sum, l) => sum + Math.exp(l), 0);
  return logits.map((l) => Math.exp(l) / total);
}

interface Row {
  readonly logits: number[];
  readonly old: number[];
  readonly action: number;
  readonly advantage: number;
  readonly weight: number;
}

/** The loss of one row straight from its definition, in float64. */
function rowLoss({ logits, old, action, advantage, weight }: Row): number {
  const p = softmax(logits);
  const ratio = p[action]! / softmax(old)[action]!;
  const clipped = Math.min(Math.max(ratio, 1 - LOW), 1 + HIGH);
  const entropy = -p.reduce((sum, value) => sum + value * Math.log(value), 0);
  return -weight * Math.min(ratio * advantage, clipped * advantage) - BONUS * entropy;
}

function lossOf(rows: Row[]) {
  const logRatio = Float32Array.from(rows, ({ logits, old, action }) =>
    Math.log(softmax(logits)[action]! / softmax(old)[action]!),
  );
  const probabilities = Float32Array.from(rows.flatMap(({ logits }) => softmax(logits)));
  return policyLoss({
    actions: ACTIONS,
    chosen: Uint16Array.from(rows, ({ action }) => action),
    probabilities,
    logProbabilities: probabilities.map(Math.log),
    logRatio,
    ratio: logRatio.map(Math.exp),
    advantages: Float32Array.from(rows, ({ advantage }) => advantage),
    weights: Float32Array.from(rows, ({ weight }) => weight),
    clipLow: LOW,
    clipHigh: HIGH,
    entropyBonus: BONUS,
  });
}

const next = words(11);
const real = (range: number) => (next() / 2 ** 32 - 0.5) * 2 * range;
const ROWS = Array.from({ length: 64 }, () => ({
  logits: Array.from({ length: ACTIONS }, () => real(1)),
  old: Array.from({ length: ACTIONS }, () => real(1)),
  action: next() % ACTIONS,
  advantage: real(2),
  weight: 1 + real(1),
}));

test('the loss is the mean of the rows’ losses', () => {
  const { surrogate, entropy } = lossOf(ROWS);
  const expected = ROWS.reduce((sum, row) => sum + rowLoss(row), 0);
  expect(surrogate - BONUS * entropy).toBeCloseTo(expected, 4);
});

test('the gradient of the logits agrees with finite differences on both branches of the clip', () => {
  const { dLogits, clipped } = lossOf(ROWS);
  expect(clipped).toBeGreaterThan(10);
  expect(clipped).toBeLessThan(54);
  const h = 1e-5;
  for (const [index, row] of ROWS.entries()) {
    for (let j = 0; j < ACTIONS; j++) {
      const at = (delta: number) =>
        rowLoss({ ...row, logits: row.logits.with(j, row.logits[j]! + delta) }) / ROWS.length;
      expect(dLogits[index * ACTIONS + j]).toBeCloseTo((at(h) - at(-h)) / (2 * h), 6);
    }
  }
});

test('a row on the clipped branch has no gradient but the entropy’s', () => {
  const row = { logits: [2, 0, 0], old: [0, 0, 0], action: 0, advantage: 1, weight: 1 };
  const flat = lossOf([row]).dLogits;
  const without = lossOf([{ ...row, advantage: 0 }]).dLogits;
  expect([...flat]).toEqual([...without]);
});

/** A row whose ratio is `ratio`. */
function rowOfRatio(ratio: number, advantage: number): Row {
  const p = ratio / ACTIONS;
  const rest = Math.log((1 - p) / 2);
  return { logits: [Math.log(p), rest, rest], old: [0, 0, 0], action: 0, advantage, weight: 1 };
}

test.each([
  ['a good action just below 1 + clipHigh', 1 + HIGH - 0.01, 1, true],
  ['a good action just above it', 1 + HIGH + 0.01, 1, false],
  ['a bad action just above 1 − clipLow', 1 - LOW + 0.01, -1, true],
  ['a bad action just below it', 1 - LOW - 0.01, -1, false],
])('%s is learnt from or not', (_, ratio, advantage, learns) => {
  const row = rowOfRatio(ratio, advantage);
  const slope = lossOf([row]).dLogits[0]! - lossOf([{ ...row, advantage: 0 }]).dLogits[0]!;
  expect(slope !== 0).toBe(learns);
});

test('a row of weight 2 counts as two rows', () => {
  const [row] = ROWS as [Row];
  const twice = lossOf([{ ...row, weight: 2 }]).surrogate;
  expect(twice).toBeCloseTo(2 * lossOf([{ ...row, weight: 1 }]).surrogate, 12);
});

test('the value loss is half the squared error and its gradient the mean error', () => {
  const { squares, dValues } = valueLoss(Float32Array.of(3, -1), Float32Array.of(1, 1));
  expect(squares).toBe(4);
  expect([...dValues]).toEqual([1, -1]);
});

test.each([
  ['a weight of 0', { weight: 0, advantage: -1 }],
  ['an advantage of 0', { weight: 1, advantage: 0 }],
])('%s takes part with nothing, even where the ratio is infinite', (_, { weight, advantage }) => {
  const loss = policyLoss({
    actions: 2,
    chosen: Uint16Array.of(0),
    probabilities: Float32Array.of(0.5, 0.5),
    logProbabilities: Float32Array.of(-Math.LN2, -Math.LN2),
    logRatio: Float32Array.of(100),
    ratio: Float32Array.of(Infinity),
    advantages: Float32Array.of(advantage),
    weights: Float32Array.of(weight),
    clipLow: LOW,
    clipHigh: HIGH,
    entropyBonus: 0,
  });
  expect(loss.surrogate + 0).toBe(0);
  expect([...loss.dLogits].map((d) => d + 0)).toEqual([0, 0]);
});
