import { describe, expect, test } from 'vitest';
import { GUMBEL_MAX, GUMBEL_MIN, gumbelTable } from '../../src/policy/gumbel.ts';

/**
 * How far the sampler is from the softmax that training differentiates: the figures of docs/guides/algorithms.md. Exact, up
 * to float64, by summing over the table's 65,536 equally likely values of each action.
 */

/** P(noise = GUMBEL_MIN + v) and P(noise < GUMBEL_MIN + v). */
const SPAN = GUMBEL_MAX - GUMBEL_MIN + 1;
const mass = new Float64Array(SPAN);
for (const value of gumbelTable()) mass[value - GUMBEL_MIN]! += 1 / 65_536;
const below = new Float64Array(SPAN + 1);
for (let v = 0; v < SPAN; v++) below[v + 1] = below[v]! + mass[v]!;

/** The probability of each action, given integer logits with 10 fractional bits. */
function sampler(logits: readonly number[]): number[] {
  return logits.map((own, action) => {
    let total = 0;
    for (let v = 0; v < SPAN; v++) {
      let p = mass[v]!;
      for (const [other, logit] of logits.entries()) {
        // A tie goes to the lower index.
        const least = v + own - logit + (other > action ? 1 : 0);
        if (other !== action) p *= below[Math.min(Math.max(least, 0), SPAN)]!;
      }
      total += p;
    }
    return total;
  });
}

function softmax(logits: readonly number[]): number[] {
  const weights = logits.map((logit) => Math.exp(logit / 1024));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function totalVariation(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, value, i) => sum + Math.abs(value - q[i]!) / 2, 0);
}

/** KL(p ‖ q) in nats. */
function divergence(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, value, i) => sum + (value === 0 ? 0 : value * Math.log(value / q[i]!)), 0);
}

/** Every gap between two logits, in either order, in steps of 1/32 nat up to 16 nats. */
const GAPS = Array.from({ length: 1025 }, (_, i) => 32 * (i - 512));

describe('of two actions, whatever their logits', () => {
  const compared = GAPS.map((gap) => ({ gap, p: sampler([0, gap]), q: softmax([0, gap]) }));

  test('probabilities add up to 1', () => {
    for (const { p } of compared) expect(p[0]! + p[1]!).toBeCloseTo(1, 12);
  });

  test('the sampler’s are within 0.000123 of the softmax’s', () => {
    const most = Math.max(...compared.map(({ p, q }) => totalVariation(p, q)));
    expect(most).toBeGreaterThan(1.2e-4);
    expect(most).toBeLessThan(1.23e-4);
  });

  test('KL(sampler ‖ softmax) is below 1.15 millionths of a nat', () => {
    const most = Math.max(...compared.map(({ p, q }) => divergence(p, q)));
    expect(most).toBeGreaterThan(1.1e-6);
    expect(most).toBeLessThan(1.15e-6);
  });

  test('up to a gap of 8 nats the less likely action’s probability is within 0.06 % of the softmax’s', () => {
    for (const { gap, p, q } of compared) {
      const less = gap < 0 ? 1 : 0;
      if (Math.abs(gap) <= 8 * 1024) expect(Math.abs(p[less]! / q[less]! - 1)).toBeLessThan(6e-4);
    }
  });

  test.each([
    [10, 0.995],
    [12, 0.782],
    [14, 0.00196],
    [14.25, 0],
  ])('at a gap of %d nats it is the softmax’s times %d', (gap, ratio) => {
    const logits = [0, -gap * 1024];
    expect(sampler(logits)[1]! / softmax(logits)[1]!).toBeCloseTo(ratio, 3);
  });
});

test.each([
  [2, 3e-8, 1.0003],
  [6, 3.93e-8, 1.0005],
  [18, 4.37e-8, 1.0005],
])(
  'of %i actions with equal logits, the sampler’s KL is below %d and ties give the first at most %d of its share',
  (actions, kl, share) => {
    const logits = Array<number>(actions).fill(0);
    const p = sampler(logits);
    expect(divergence(p, softmax(logits))).toBeLessThan(kl);
    expect(p[0]! * actions).toBeGreaterThan(1);
    expect(p[0]! * actions).toBeLessThan(share);
  },
);
