import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ADVISED_CODES, adviceFor } from '../../rollouts/advice.ts';
import { Backoff, pause } from '../../rollouts/backoff.ts';
import { describeEvent, verdictRejection } from '../../rollouts/events.ts';
import { Pace } from '../../rollouts/pace.ts';
import { PolicyStore } from '../../rollouts/policies.ts';
import { policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { mineableGenesis, mining } from '../support/mining.ts';

describe('back-off', () => {
  test('doubles up to its limit, shortened by up to half, and starts over after a success', () => {
    const full = new Backoff({ baseMs: 100, maxMs: 450, random: () => 0 });
    expect([full.next(), full.next(), full.next(), full.next()]).toEqual([100, 200, 400, 450]);
    full.reset();
    expect(full.next()).toBe(100);
    const half = new Backoff({ baseMs: 100, maxMs: 450, random: () => 0.999 });
    expect(half.next()).toBeCloseTo(50, 0);
  });

  test('waits as long as the verifier says where that is longer, with up to a quarter more, and a minute at most', () => {
    const busy = (retryAfterSeconds: number) =>
      new GrailError('TOO_MANY_REQUESTS', 'too many', { retryAfterSeconds });
    const least = new Backoff({ baseMs: 100, maxMs: 100, random: () => 0 });
    expect(least.next(busy(2))).toBe(2000);
    expect(least.next(busy(0.01))).toBe(100);
    expect(least.next(busy(86_400))).toBe(60_000);
    expect(least.next(new GrailError('UNREACHABLE', 'away'))).toBe(100);
    const most = new Backoff({ baseMs: 100, maxMs: 100, random: () => 0.999 });
    expect(most.next(busy(2))).toBeCloseTo(2500, -1);
  });

  test('a pause ends at once when it is aborted', async () => {
    const aborter = new AbortController();
    const paused = pause(3_600_000, aborter.signal);
    aborter.abort();
    await paused;
    await pause(3_600_000, aborter.signal);
  });
});

describe('a pace', () => {
  test('is measured from the first report on, and says when the rest is done', () => {
    let nowMs = 0;
    const pace = new Pace(() => nowMs);
    expect(pace.perSecond).toBeNull();
    pace.update(100);
    expect(pace.etaSeconds(1000)).toBeNull();
    nowMs = 2000;
    pace.update(300);
    expect(pace.perSecond).toBe(100);
    expect(pace.etaSeconds(1000)).toBe(7);
  });

  test('begins anew when what was done is done again on another backend', () => {
    let nowMs = 0;
    const pace = new Pace(() => nowMs);
    for (const done of [500, 900]) pace.update(done);
    nowMs = 1000;
    pace.update(10);
    nowMs = 2000;
    pace.update(60);
    expect(pace.perSecond).toBe(50);
  });
});

describe('advice', () => {
  test('stands in the guide as the terminal gives it', () => {
    const guide = readFileSync(join(packageRoot(), 'docs', 'guides', 'miners.md'), 'utf8');
    const rows = guide.split('\n').filter((line) => line.startsWith('|'));
    for (const code of ADVISED_CODES) {
      const advice = adviceFor(code)
        .replace('--slots', '`--slots`')
        .replace('grail doctor', '`grail doctor`');
      const row = rows.find((line) => line.includes(`\`${code}\``) && line.includes(advice));
      expect(row, `${code}: ${advice}`).toBeDefined();
    }
  });
});

describe('the policies of a miner', () => {
  test('come by PULSE from what it holds, and are fetched once', async () => {
    const { context, policies } = mining();
    const { versions } = context.view;
    const first = await context.policies.reach(versions, 1);
    expect(policyRoot(first.policy)).toEqual(policyRoot(policies[1]));
    expect(first.blobs).toBe(1);
    expect(await context.policies.reach(versions, 1)).toMatchObject({ blobs: 0, bytes: 0 });
    expect((await context.policies.reach(versions, 1)).policy).toBe(first.policy);
  });

  test('policy 0 needs no blob', async () => {
    const { context, policies } = mining();
    const { policy, blobs } = await context.policies.reach(context.view.versions, 0);
    expect(blobs).toBe(0);
    expect(policyRoot(policy)).toEqual(policyRoot(policies[0]));
  });

  test('a patch that is not there is PATCH_CHAIN_BROKEN, which may pass', async () => {
    const { context, genesis } = mining();
    const lost = new PolicyStore(genesis, async () => new Uint8Array(3));
    const error = await expectCode('PATCH_CHAIN_BROKEN', lost.reach(context.view.versions, 1));
    expect(error.fault).toBe('retry');
  });

  test('a genesis whose seed gives another policy than it names is GENESIS_INVALID', async () => {
    const genesis = { ...mineableGenesis(), initialPolicyRoot: toHex(new Uint8Array(32)) };
    const store = new PolicyStore(genesis, async () => new Uint8Array());
    await expectCode(
      'GENESIS_INVALID',
      store.reach([{ version: 0, policyRoot: genesis.initialPolicyRoot }], 0),
    );
  });
});

describe('what a miner prints', () => {
  test('a rejection names the code, the place, what was expected and what came', () => {
    const event = verdictRejection(4, { code: 'ACTION_MISMATCH', slot: 2, step: 7, expected: 0, got: 1 });
    expect(describeEvent(event)).toBe(
      'window 4: rejected: ACTION_MISMATCH at slot 2, step 7: expected 0, got 1. An action is not the one that policy and noise give. Memory errors, or a changed client: run grail doctor.',
    );
  });

  test('a refusal at the gate names the message and the verifier’s sentence', () => {
    expect(
      describeEvent({
        event: 'rejected',
        window: 3,
        at: 'gate',
        message: 'commit',
        code: 'PHASE_CLOSED',
        reason: 'too late',
        advice: 'Be faster.',
      }),
    ).toBe('window 3: the verifier refused the commit: PHASE_CLOSED: too late (Be faster.)');
  });

  test('a verdict on a development network says that the credit is worth nothing', () => {
    const pay = { slots: 2, credit: 5, share: 0.5, total: '9' };
    const verdict = { event: 'verdict', window: 1, ...pay, trained: true, index: 8 } as const;
    expect(describeEvent({ ...verdict, insecureDev: true })).toMatch(/credited 5, 9 so far \(insecure-dev/);
    expect(describeEvent({ ...verdict, insecureDev: false })).toBe('window 1: credited 5, 9 so far');
  });
});
