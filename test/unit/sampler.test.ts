import { expect, test } from 'vitest';
import { gumbelTable } from '../../src/policy/gumbel.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { noise, packSeeds, sample, sampleBatch, sampleSlots } from '../../src/policy/sampler.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { words } from '../support/policies.ts';

const seed = (n: number) => sha256(Uint8Array.of(n, n >>> 8)).slice(0, 16);

test('the highest score wins and the lowest index takes a tie', () => {
  expect(sample(Int32Array.of(1, 5, 3), Int32Array.of(0, 0, 0))).toBe(1);
  expect(sample(Int32Array.of(7, 7, 7), Int32Array.of(0, 0, 0))).toBe(0);
  expect(sample(Int32Array.of(1, 4, 0), Int32Array.of(0, 3, 7))).toBe(1);
  expect(sample(Int32Array.of(-9, -4, -4), Int32Array.of(0, -1, -1))).toBe(1);
});

test('noise takes 16 bits an action: block ⌊i/8⌋, low half of each word first', () => {
  const bytes = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4);
  const out = new Int32Array(19);
  noise(bytes, 77, 19, out);
  const table = gumbelTable();
  const expected: number[] = [];
  for (let index = 0; index < 3; index++) {
    const block = new Uint32Array(4);
    philox4x32(77, index, 3, 4, 1, 2, block);
    for (const word of block) expected.push(table[word % 65_536]!, table[Math.floor(word / 65_536)]!);
  }
  expect([...out]).toEqual(expected.slice(0, 19));
});

test('noise depends on the seed and on the step', () => {
  const draw = (n: number, step: number) => {
    const out = new Int32Array(8);
    noise(seed(n), step, 8, out);
    return out.join();
  };
  expect(new Set([draw(1, 0), draw(1, 1), draw(2, 0), draw(2, 1)]).size).toBe(4);
  expect(draw(1, 0)).toBe(draw(1, 0));
});

test.each([2, 3, 9, 18, 100])('batches of %d actions are sampled as each step is alone', (actions) => {
  const seeds = Array.from({ length: 13 }, (_, slot) => seed(slot));
  const next = words(actions);
  const steps = 7;
  const logits = Int32Array.from({ length: 13 * steps * actions }, () => (next() % 4096) - 2048);
  const whole = new Uint16Array(13 * steps);
  sampleSlots(packSeeds(seeds), steps, logits, actions, whole);
  const gumbel = new Int32Array(actions);
  for (let step = 0; step < steps; step++) {
    const rows = new Int32Array(13 * actions);
    const expected: number[] = [];
    for (let slot = 0; slot < 13; slot++) {
      const row = logits.subarray((slot * steps + step) * actions, (slot * steps + step + 1) * actions);
      rows.set(row, slot * actions);
      noise(seeds[slot]!, step, actions, gumbel);
      expected.push(sample(row, gumbel));
    }
    const out = new Uint16Array(13);
    sampleBatch(packSeeds(seeds), step, rows, actions, out);
    expect([...out]).toEqual(expected);
    expect(Array.from({ length: 13 }, (_, slot) => whole[slot * steps + step])).toEqual(expected);
  }
});

test('actions follow the softmax of the logits', () => {
  const logits = Int32Array.of(0, 1024, -2048, 512, 3000);
  const weights = [...logits].map((logit) => Math.exp(logit / 1024));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const draws = process.env.GRAIL_LONG ? 2_000_000 : 200_000;
  const counts = new Array<number>(5).fill(0);
  const gumbel = new Int32Array(5);
  const one = seed(4);
  for (let step = 0; step < draws; step++) {
    noise(one, step, 5, gumbel);
    counts[sample(logits, gumbel)]! += 1;
  }
  let chiSquare = 0;
  for (const [action, count] of counts.entries()) {
    const expected = (draws * weights[action]!) / total;
    chiSquare += ((count - expected) * (count - expected)) / expected;
  }
  // Four degrees of freedom: 18.5 is passed once in a thousand seeds, and this seed is fixed.
  expect(chiSquare).toBeLessThan(18.5);
});
