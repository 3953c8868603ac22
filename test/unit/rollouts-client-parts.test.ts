import { describe, expect, test } from 'vitest';
import { Backoff, pause } from '../../rollouts/backoff.ts';
import { describeEvent, verdictRejection } from '../../rollouts/events.ts';
import { PolicyStore } from '../../rollouts/policies.ts';
import { policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
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

  test('a pause ends at once when it is aborted', async () => {
    const aborter = new AbortController();
    const paused = pause(3_600_000, aborter.signal);
    aborter.abort();
    await paused;
    await pause(3_600_000, aborter.signal);
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
      'window 4: rejected: ACTION_MISMATCH at slot 2, step 7: expected 0, got 1. An action is not the one that policy and noise give.',
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
      }),
    ).toBe('window 3: the verifier refused the commit: PHASE_CLOSED: too late');
  });

  test('a verdict on a development network says that the credit is worth nothing', () => {
    const verdict = { event: 'verdict', window: 1, credit: 5, total: '9', trained: true, index: 8 } as const;
    expect(describeEvent({ ...verdict, insecureDev: true })).toMatch(/credited 5, 9 so far \(insecure-dev/);
    expect(describeEvent({ ...verdict, insecureDev: false })).toBe('window 1: credited 5, 9 so far');
  });
});
