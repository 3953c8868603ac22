import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cheat } from '../../rollouts/cheats.ts';
import { honest } from '../../rollouts/conduct.ts';
import { dueSteps, stepKey } from '../../rollouts/plan.ts';
import { NetworkView } from '../../rollouts/view.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { planCatchUp } from '../../src/pulse/index.ts';
import type { CloserBody } from '../../src/replica/bodies.ts';
import { KEYS, named, TestNetwork } from '../helpers/network.ts';

let network: TestNetwork;

beforeEach(() => {
  network = new TestNetwork();
});

afterEach(() => network.remove());

/** What a verifier sends a miner: its own entries, and those of the miner. */
function viewOf(miner: Hex): NetworkView {
  const view = new NetworkView(network.genesis, miner);
  for (const { index, entry } of network.ledger.range()) {
    if (entry.author === KEYS.verifier.address || entry.author === miner) view.apply(index, entry);
  }
  return view;
}

const due = (view: NetworkView, conduct = honest, joins = true) =>
  dueSteps(view, conduct, joins).map(stepKey);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof GrailError) return error.code;
    throw error;
  }
  return 'none';
}

describe('the view of one miner', () => {
  test('derives the seeds and ρ that the whole state derives, without other miners’ entries', async () => {
    await network.run(0);
    await network.run(1);
    const view = viewOf(KEYS.miner.address);
    for (const window of [0, 1]) {
      const [seen, real] = [view.windows.get(window)!, network.state.window(window)!];
      expect(seen.open!.seed).toEqual(real.open!.seed);
      expect(seen.challenge!.seed).toEqual(real.challenge!.seed);
      expect(seen.fold!.rho).toBe(real.fold!.rho);
      expect(seen.phase).toBe('done');
    }
    expect(view.enrolWindow).toBe(2);
    expect(view.credit).toBe(network.state.miners.get(KEYS.miner.address)!.credit);
  });

  test('lists published policies so that PULSE can plan', async () => {
    await network.run(0);
    await network.run(1);
    const { versions } = viewOf(KEYS.miner.address);
    const plan = planCatchUp(versions, network.genesis.initialPolicyRoot, 2);
    expect(plan.steps.map(({ hash }) => hash)).toEqual([named('patch 1'), named('patch 2')]);
  });

  test('ignores entries that it has seen', async () => {
    await network.run(0);
    const view = viewOf(KEYS.miner.address);
    const { credit, next } = view;
    for (const { index, entry } of network.ledger.range()) view.apply(index, entry);
    expect(view.credit).toBe(credit);
    expect(view.next).toBe(next);
    expect(view.windows.get(0)!.commits).toHaveLength(1);
  });

  test('knows how long a lost bond keeps the miner out', async () => {
    network.take(network.miner.enrol(0));
    for (const _ of ['enrol', 'commit', 'opening']) await network.close(0);
    await network.close(0, { [KEYS.miner.address]: { code: 'COMMIT_MISSING' } });
    const view = viewOf(KEYS.miner.address);
    expect(view.coolingUntil).toBe(network.state.miners.get(KEYS.miner.address)!.coolingUntil);
    expect(view.windows.get(0)!.result!.rejection).toEqual({ code: 'COMMIT_MISSING' });
    expect(due(view)).toEqual(['settle 0']);
  });

  test('lets a new miner register, and enrol two windows later', async () => {
    const stranger = KEYS.stranger.address;
    expect(due(viewOf(stranger))).toEqual(['register']);
    network.take(network.stranger.register());
    expect(viewOf(stranger).eligibleFrom).toBe(network.state.miners.get(stranger)!.eligibleFrom);
    expect(due(viewOf(stranger))).toEqual([]);
    for (const window of [0, 1]) {
      network.take(network.miner.enrol(window));
      await network.close(window);
    }
    expect(due(viewOf(stranger))).toEqual(['enrol 2']);
  });
});

describe('a verifier that breaks a rule is found out', () => {
  async function altered(change: (body: CloserBody) => CloserBody, phases = 0): Promise<string> {
    network.take(network.miner.enrol(0));
    for (let i = 0; i < phases; i++) await network.close(0);
    const view = viewOf(KEYS.miner.address);
    const entry: LedgerEntry = network.closing(change(await network.closer(0)));
    return codeOf(() => view.apply(network.ledger.size, entry));
  }
  const same = (body: CloserBody) => body;

  test.each([0, 1, 2, 3])('an honest closer of phase %i is accepted', async (phases) => {
    expect(await altered(same, phases)).toBe('none');
  });

  test('another policy than the rules give is LEDGER_INVALID', async () => {
    expect(await altered((body) => ({ ...body, policyRoot: named('other') }) as CloserBody)).toBe(
      'LEDGER_INVALID',
    );
  });

  test('a beacon that is not the next of its chain is BEACON_INVALID', async () => {
    expect(await altered((body) => ({ ...body, beacon0: named('mine') }) as CloserBody)).toBe(
      'BEACON_INVALID',
    );
    expect(await altered((body) => ({ ...body, beacon1: named('mine') }) as CloserBody, 1)).toBe(
      'BEACON_INVALID',
    );
  });

  test('a ρ that does not follow from the openings is LEDGER_INVALID', async () => {
    expect(await altered((body) => ({ ...body, rho: named('chosen') }) as CloserBody, 2)).toBe(
      'LEDGER_INVALID',
    );
  });

  test('a closer of somebody who is no verifier is LEDGER_INVALID', async () => {
    const view = viewOf(KEYS.miner.address);
    const entry = { ...network.closing(await network.closer(0)), author: KEYS.stranger.address };
    expect(codeOf(() => view.apply(1, entry))).toBe('LEDGER_INVALID');
  });

  test('a message in the name of the miner that it never signed is LEDGER_INVALID', () => {
    const view = viewOf(KEYS.miner.address);
    const body = { ...network.miner.enrol(0, 2), slots: 65_536 };
    const entry: LedgerEntry = { window: 0, phase: 'enrol', view: 0, author: KEYS.miner.address, body };
    expect(codeOf(() => view.apply(1, entry))).toBe('LEDGER_INVALID');
    expect(view.windows.get(0)!.enrols).toEqual([]);
  });

  test('phases out of order are LEDGER_INVALID', async () => {
    network.take(network.miner.enrol(0));
    await network.close(0);
    const skipped = network.closing(await network.closer(0));
    expect(codeOf(() => new NetworkView(network.genesis, KEYS.miner.address).apply(1, skipped))).toBe(
      'LEDGER_INVALID',
    );
  });

  test('a ledger of another network is GENESIS_MISMATCH', () => {
    const view = new NetworkView({ ...network.genesis, name: 'another' }, KEYS.miner.address);
    expect(codeOf(() => view.apply(0, network.ledger.get(0)))).toBe('GENESIS_MISMATCH');
  });
});

describe('what is due', () => {
  test('follows a window through its phases, while the next one opens', async () => {
    const now = () => due(viewOf(KEYS.miner.address));
    expect(now()).toEqual(['enrol 0']);
    network.take(network.miner.enrol(0));
    expect(now()).toEqual([]);
    await network.close(0);
    expect(now()).toEqual(['commit 0', 'enrol 1']);
    network.take(network.miner.commit(0));
    expect(now()).toEqual(['enrol 1']);
    await network.close(0);
    expect(now()).toEqual(['opening 0', 'enrol 1']);
    network.take(network.miner.opening(0));
    await network.close(0);
    expect(now()).toEqual(['prove 0 0', 'prove 0 1', 'enrol 1']);
    network.take(network.miner.proof(0, 1));
    expect(now()).toEqual(['prove 0 0', 'enrol 1']);
    network.take(network.miner.proof(0, 0));
    await network.close(0);
    expect(now()).toEqual(['settle 0', 'enrol 1']);
  });

  test('a stopping miner finishes its window and enters no other', async () => {
    network.take(network.miner.enrol(0));
    await network.close(0);
    expect(due(viewOf(KEYS.miner.address), honest, false)).toEqual(['commit 0']);
  });

  test('after two commitments there is nothing to open', async () => {
    network.take(network.miner.enrol(0));
    await network.close(0);
    for (const name of ['a', 'b']) network.take(network.miner.commit(0, { commitRoot: named(name) }));
    await network.close(0);
    expect(due(viewOf(KEYS.miner.address), honest, false)).toEqual([]);
  });

  test('a late committer waits for the challenge, one that does not enrol commits anyway', async () => {
    network.take(network.miner.enrol(0));
    await network.close(0);
    expect(due(viewOf(KEYS.miner.address), cheat('late-commit'))).toEqual(['enrol 1']);
    expect(due(viewOf(KEYS.other.address), cheat('unenrolled'))).toEqual(['commit 0']);
    await network.close(0);
    expect(due(viewOf(KEYS.miner.address), cheat('late-commit'))).toEqual(['commit 0', 'enrol 1']);
  });
});
