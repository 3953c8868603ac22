import { expect, test } from 'vitest';
import {
  GUMBEL_ENTRIES,
  GUMBEL_MAX,
  GUMBEL_MIN,
  GUMBEL_TABLE_SHA256,
  gumbelTable,
  naturalLogarithm,
} from '../../src/policy/gumbel.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { fromDouble, logarithm, ONE, ulpsApart } from '../support/high-precision.ts';

const STRIDE = process.env.GRAIL_LONG ? 1 : 31;

test('the table has the hash that mpmath gives at 400 bits (test/vectors/gumbel.py)', () => {
  const table = gumbelTable();
  const bytes = new Uint8Array(2 * table.length);
  const view = new DataView(bytes.buffer);
  table.forEach((value, k) => {
    view.setInt16(2 * k, value, true);
  });
  expect(toHex(sha256(bytes))).toBe('0xf273585706bf10c9442a816bc9ca32a1c4110208ed55deda0c2c4fb4e1572667');
  expect(GUMBEL_TABLE_SHA256).toBe(toHex(sha256(bytes)));
});

test('every entry is the rounded Gumbel quantile, computed in 240-bit arithmetic', () => {
  const table = gumbelTable();
  let differing = 0;
  for (let k = 0; k < GUMBEL_ENTRIES; k += STRIDE) {
    const uniform = ((2n * BigInt(k) + 1n) * ONE) / 131_072n;
    const value = -1024n * logarithm(-logarithm(uniform));
    // BigInt shifts round down, so this is floor(value + ½).
    const rounded = Number((value + ONE / 2n) >> 240n);
    if (rounded !== table[k]) differing += 1;
  }
  expect(differing).toBe(0);
});

test('the table rises from −2526 to 12066', () => {
  const table = gumbelTable();
  expect([table[0], table[GUMBEL_ENTRIES - 1]]).toEqual([GUMBEL_MIN, GUMBEL_MAX]);
  expect([GUMBEL_MIN, GUMBEL_MAX]).toEqual([-2526, 12_066]);
  expect(table.every((value, k) => k === 0 || value >= table[k - 1]!)).toBe(true);
});

test('the logarithm is within two units in the last place', () => {
  let worst = 0;
  for (let k = 0; k < GUMBEL_ENTRIES; k += 61) {
    const x = (k + 0.5) / GUMBEL_ENTRIES;
    worst = Math.max(worst, ulpsApart(naturalLogarithm(x), logarithm(fromDouble(x))));
  }
  expect(worst).toBeLessThan(2);
});
