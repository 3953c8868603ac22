import { expect, test } from 'vitest';
import { policyLoss, valueLoss } from '../../src/training/losses.ts';
import { words } from '../support/policies.ts';

const CLIP = 0.2;
const BONUS = 0.03;
const ACTIONS = 3;

function softmax(logits: number[]): number[] {
  const total = logits.reduce((sum, l) => sum + Math.exp(l), 0);
  return logits.map((l) => Math.exp(l) / total);
}

/** The loss of one row straight from its definition, in float64. */
function rowLoss(logits: number[], old: number[], action: number, advantage: number): number {
  const p = softmax(logits);
  const ratio = p[action]! / softmax(old)[action]!;
  const clipped = Math.min(Math.max(ratio, 1 - CLIP), 1 + CLIP);
  const entropy = -p.reduce((sum, value) => sum + value * Math.log(value), 0);
  return -Math.min(ratio * advantage, clipped * advantage) - BONUS * entropy;
}

function lossOf(rows: { logits: number[]; old: number[]; action: number; advantage: number }[]) {
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
    clip: CLIP,
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
}));

test('the loss is the mean of the rows’ losses', () => {
  const { surrogate, entropy } = lossOf(ROWS);
  const expected = ROWS.reduce((sum, r) => sum + rowLoss(r.logits, r.old, r.action, r.advantage), 0);
  expect(surrogate - BONUS * entropy).toBeCloseTo(expected, 4);
});

test('the gradient of the logits agrees with finite differences on both branches of the clip', () => {
  const { dLogits, clipped } = lossOf(ROWS);
  expect(clipped).toBeGreaterThan(10);
  expect(clipped).toBeLessThan(54);
  const h = 1e-5;
  for (const [row, { logits, old, action, advantage }] of ROWS.entries()) {
    for (let j = 0; j < ACTIONS; j++) {
      const at = (delta: number) =>
        rowLoss(logits.with(j, logits[j]! + delta), old, action, advantage) / ROWS.length;
      expect(dLogits[row * ACTIONS + j]).toBeCloseTo((at(h) - at(-h)) / (2 * h), 6);
    }
  }
});

test('a row on the clipped branch has no gradient but the entropy’s', () => {
  const row = { logits: [2, 0, 0], old: [0, 0, 0], action: 0, advantage: 1 };
  const flat = lossOf([row]).dLogits;
  const without = lossOf([{ ...row, advantage: 0 }]).dLogits;
  expect([...flat]).toEqual([...without]);
});

test('the value loss is half the squared error and its gradient the mean error', () => {
  const { squares, dValues } = valueLoss(Float32Array.of(3, -1), Float32Array.of(1, 1));
  expect(squares).toBe(4);
  expect([...dValues]).toEqual([1, -1]);
});
