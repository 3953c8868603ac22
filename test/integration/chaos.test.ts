import { beforeAll, describe, expect, test } from 'vitest';
import { RULES, type Rule } from '../chaos/examine.ts';
import { runKills } from '../chaos/kills.ts';
import type { Outcome } from '../chaos/outcome.ts';

/** A sample of `npm run chaos`, which does the same 200 times. */
const MOMENTS = process.env.GRAIL_LONG ? 8 : 3;

describe('a verifier of one process and its miners, killed at moments that a seed chooses', () => {
  let outcome: Outcome;

  beforeAll(async () => {
    const { signal } = new AbortController();
    outcome = await runKills('one', MOMENTS, { seed: 5, signal, log: () => {} });
  }, 600_000);

  test('were killed as often, in the middle of windows', () => {
    const kills = Object.values(outcome.disturbances).reduce((sum, count) => sum + count, 0);
    expect(kills).toBe(MOMENTS);
    expect(outcome.disturbances.verifier).toBeGreaterThan(0);
    expect(outcome.figures.windows).toBeGreaterThan(1);
    expect(outcome.figures.acknowledgements).toBeGreaterThan(2 * MOMENTS);
  });

  test.each(Object.entries(RULES) as [Rule, string][])('%s: %s', (rule) => {
    expect(outcome.findings.filter((finding) => finding.rule === rule)).toEqual([]);
  });
});
