import { describe, expect, test } from 'vitest';
import { CHEATS, type CheatKind, cheat } from '../../rollouts/cheats.ts';
import { honest } from '../../rollouts/conduct.ts';
import type { PlayedRollouts } from '../../rollouts/engine/index.ts';
import { type BackendName, loadBackend } from '../../src/backends/index.ts';
import { packActions } from '../../src/protocol/actions.ts';
import { fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts';
import { commitRoot, rolloutDigests } from '../../src/protocol/commitment.ts';
import { commitsOf, mining } from '../support/mining.ts';

describe('honest rollouts', () => {
  test('are what a verifier replays, to the last action and the root', async () => {
    const setup = mining();
    const [commit] = await commitsOf(setup, honest);
    const check = setup.check(commit!);
    expect(check.rejection).toBeNull();
    const { digests, ...made } = (await honest.rollouts(setup.context)) as PlayedRollouts;
    expect(digests).toHaveLength(3);
    if (check.rejection === null) expect(check.rollouts).toEqual(made);
  });

  test.each(['reference', 'simd', 'cpu', 'wasm'] satisfies BackendName[])(
    'give the same commitment on the %s backend, every time',
    async (name) => {
      const backend = await loadBackend(name);
      const wanted = await commitsOf(mining(), honest);
      expect(await commitsOf(mining({ backend }), honest)).toEqual(wanted);
      expect(await commitsOf(mining({ backend }), honest)).toEqual(wanted);
    },
  );

  test('do not depend on how many slots run beside them', async () => {
    const three = await honest.rollouts(mining({ slots: 3 }).context);
    const one = await honest.rollouts(mining({ slots: 1 }).context);
    expect(three.actions.subarray(0, 64)).toEqual(one.actions);
    expect(three.observations.subarray(0, one.observations.length)).toEqual(one.observations);
  });

  test('share start states within a group and nothing else', async () => {
    const grouped = await honest.rollouts(mining({ slots: 4, groupSize: 2 }).context);
    const first = (slot: number) => grouped.observations.slice(slot * 64 * 4, slot * 64 * 4 + 4);
    expect(first(1)).toEqual(first(0));
    expect(first(3)).toEqual(first(2));
    expect(first(2)).not.toEqual(first(0));
    expect(grouped.actions.slice(0, 64)).not.toEqual(grouped.actions.slice(64, 128));
  });
});

describe('a replay tells what is wrong with a commitment', () => {
  test('one flipped action is ACTION_MISMATCH at its slot and step', async () => {
    const setup = mining();
    const [commit] = await commitsOf(setup, honest);
    const bytes = fromHex(commit!.actions);
    // One bit an action: step 9 of slot 1 is action 73, bit 1 of byte 9.
    bytes[9]! ^= 2;
    const honestActions = (await honest.rollouts(setup.context)).actions;
    expect(setup.check({ ...commit!, actions: toHex(bytes) }).rejection).toMatchObject({
      code: 'ACTION_MISMATCH',
      slot: 1,
      step: 9,
      expected: honestActions[73],
      got: 1 - honestActions[73]!,
    });
  });

  test('another commitRoot is COMMIT_ROOT_MISMATCH', async () => {
    const setup = mining();
    const [commit] = await commitsOf(setup, honest);
    const wrong: Hex = `0x${'12'.repeat(32)}`;
    expect(setup.check({ ...commit!, commitRoot: wrong }).rejection).toEqual({
      code: 'COMMIT_ROOT_MISMATCH',
      expected: commit!.commitRoot,
      got: wrong,
    });
  });

  test('a missing byte is COMMIT_SHAPE', async () => {
    const setup = mining();
    const [commit] = await commitsOf(setup, honest);
    const actions = commit!.actions.slice(0, -2) as Hex;
    expect(setup.check({ ...commit!, actions }).rejection?.code).toBe('COMMIT_SHAPE');
  });

  test.each(['random-policy', 'stale-policy', 'best-of-n', 'flip-one-action'] satisfies CheatKind[])(
    'the cheat %s is caught with its code, and says what it does',
    async (kind) => {
      const setup = mining();
      const [commit] = await commitsOf(setup, cheat(kind));
      expect(setup.check(commit!).rejection?.code).toBe(CHEATS[kind]);
      expect(setup.told).not.toEqual([]);
    },
  );

  test.each(['random-policy', 'stale-policy', 'best-of-n', 'flip-one-action'] satisfies CheatKind[])(
    'the cheat %s commits to the same again after a restart',
    async (kind) => {
      expect(await commitsOf(mining(), cheat(kind))).toEqual(await commitsOf(mining(), cheat(kind)));
    },
  );

  test('best-of-n with every slot enrolled still passes one slot off as another', async () => {
    const setup = mining({ slots: 8 });
    const [commit] = await commitsOf(setup, cheat('best-of-n'));
    expect(setup.check(commit!).rejection?.code).toBe('SEED_MISMATCH');
  });
});

describe('the rollout vector of docs/PROTOCOL.md', () => {
  // Computed once outside this project, with Python's hashlib.
  test('packs, digests and roots as documented', () => {
    const rollouts = {
      slots: 2,
      steps: 5,
      observations: Int8Array.from({ length: 10 }, (_, i) => i - 5),
      actions: Uint16Array.of(0, 1, 2, 2, 1, 1, 0, 0, 2, 0),
    };
    const context = {
      genesisHash: new Uint8Array(32).fill(0x11),
      window: 7,
      address: new Uint8Array(20).fill(0x22),
      actions: 3,
    };
    const digests = rolloutDigests(context, rollouts);
    expect({
      packed: toHex(packActions(rollouts.actions, 3)),
      slots: [0, 1].map((slot) => toHex(packActions(rollouts.actions.subarray(slot * 5, slot * 5 + 5), 3))),
      digests: digests.map(toHex),
      commitRoot: toHex(commitRoot(digests)),
    }).toEqual({
      packed: '0xa40502',
      slots: ['0xa401', '0x8100'],
      digests: [
        '0x340a6608f9bfeb0ec0b550c6e4c23389f0f17529f2da045bd2214371f11e7332',
        '0x301b45f0268ef9e246b53ce51618162487a6d5b7e345f50135cb51fd52a6e387',
      ],
      commitRoot: '0xcc3cbb1175e85cf35fa6428d7810b7ad9491f3a0ff1f806ac5e916366601d83c',
    });
  });
});
