import { beforeAll, describe, expect, test } from 'vitest';
import { away, failOver, runMany } from '../chaos/database.ts';
import { RULES, type Rule } from '../chaos/examine.ts';
import { killAtMoments } from '../chaos/kills.ts';
import type { Outcome, Run } from '../chaos/outcome.ts';

/** A sample of `npm run chaos`, which does the same 200 times. */
const MOMENTS = process.env.GRAIL_LONG ? 8 : 3;
const AWAY_MS = 2_000;

describe('a verifier of seven processes, killed at moments that a seed chooses, then without its database, then without its writer', () => {
  let outcome: Outcome;

  beforeAll(async () => {
    const { signal } = new AbortController();
    const run: Run = { seed: 5, signal, log: () => {} };
    outcome = await runMany('sample', run, async (network, told) => {
      await killAtMoments(network, MOMENTS, told, run);
      await Promise.all(network.actors.map((actor) => actor.launch()));
      await away(network.actor('postgres'), AWAY_MS);
      told.count('database killed');
      await network.verdicts(1);
      await failOver(network, told);
    });
  }, 600_000);

  test('was disturbed as often', () => {
    const { 'database killed': database, 'writer killed': writer, ...kills } = outcome.disturbances;
    expect([database, writer]).toEqual([1, 1]);
    expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBe(MOMENTS);
    expect(outcome.figures.acknowledgements).toBeGreaterThan(20);
  });

  test('had a standby that took the lease of the writer', () => {
    expect(outcome.observed.join('\n')).toMatch(/the standby had the lease/);
  });

  test.each(Object.entries(RULES) as [Rule, string][])('%s: %s', (rule) => {
    expect(outcome.findings.filter((finding) => finding.rule === rule)).toEqual([]);
  });
});
