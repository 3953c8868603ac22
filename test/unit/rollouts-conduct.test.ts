import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CHEATS, type CheatKind, cheat } from '../../rollouts/cheats.ts';
import { type Conduct, honest, type WindowContext } from '../../rollouts/conduct.ts';
import { inlineEngine } from '../../rollouts/engine/index.ts';
import { PolicyStore } from '../../rollouts/policies.ts';
import { NetworkView } from '../../rollouts/view.ts';
import { referenceBackend } from '../../src/backends/index.ts';
import { openChallenges } from '../../src/proofs/opening.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Message } from '../../src/protocol/messages.ts';
import { initialise } from '../../src/training/initialise.ts';
import { KEYS, TestNetwork } from '../helpers/network.ts';
import { mineableGenesis } from '../support/mining.ts';

/** What each conduct posts, put to the real rules of a network whose phases are closed by hand. */
let network: TestNetwork;
let view: NetworkView;
const told: string[] = [];
const proof = new Uint8Array(256).fill(7);

beforeEach(() => {
  network = new TestNetwork(mineableGenesis());
  view = new NetworkView(network.genesis, KEYS.miner.address);
  told.length = 0;
});

afterEach(() => network.remove());

/** Shows the miner everything that the ledger holds by now. */
function follow(): void {
  for (const { index, entry } of network.ledger.range()) view.apply(index, entry);
}

function contextOf(window: number): WindowContext {
  follow();
  return {
    genesis: network.genesis,
    genesisHash: network.state.genesisHash,
    domain: network.state.domain,
    identity: KEYS.miner,
    view,
    window: view.windows.get(window)!,
    slots: 2,
    policies: new PolicyStore(network.genesis, async () => {
      throw new Error('windows 0 and 1 use policy 0');
    }),
    play: (input) => inlineEngine(referenceBackend()).play(input),
    tell: (what) => told.push(what),
  };
}

/** Submits messages and gives the code of the first refusal, or null. */
function submit(messages: readonly Message[]): Code | null {
  let refused: Code | null = null;
  for (const message of messages) {
    try {
      network.take(message);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      refused ??= error.code;
    }
  }
  return refused;
}

async function openEnrolled(window: number): Promise<WindowContext> {
  network.take(network.miner.enrol(window));
  await network.close(window);
  return contextOf(window);
}

const commit = async (context: WindowContext, conduct: Conduct) =>
  submit(await conduct.commits(context, () => conduct.rollouts(context)));

/** An honest commitment, its challenge, and the right opening. */
async function challenged(conduct: Conduct, window = 0) {
  const context = await openEnrolled(window);
  expect(await commit(context, conduct)).toBeNull();
  await network.close(window);
  follow();
  const opening = openChallenges(
    network.genesis,
    network.state.genesisHash,
    initialise(network.genesis).policy,
    { window, windowSeed: context.window.open!.seed, challengeSeed: context.window.challenge!.seed },
    KEYS.miner.address,
    await conduct.rollouts(context),
  );
  return { context, opening };
}

describe('the honest conduct', () => {
  test('passes the gate in every phase, and says nothing of cheating', async () => {
    const { context, opening } = await challenged(honest);
    expect(submit(await honest.openings(context, opening))).toBeNull();
    await network.close(0);
    for (const part of [0, 1]) {
      expect(submit(await honest.proofs(context, part, async () => proof))).toBeNull();
    }
    expect(told).toEqual([]);
  });
});

describe('cheats that the gate refuses', () => {
  test.each(['short-commit', 'bad-signature'] satisfies CheatKind[])('%s with its code', async (kind) => {
    const context = await openEnrolled(0);
    expect(await commit(context, cheat(kind))).toBe(CHEATS[kind]);
    expect(told).toHaveLength(1);
  });

  test('unenrolled does not enrol, and its commit is NOT_ENROLLED', async () => {
    expect(cheat('unenrolled').enrols).toBe(false);
    network.take(network.other.enrol(0));
    await network.close(0);
    expect(await commit(contextOf(0), cheat('unenrolled'))).toBe('NOT_ENROLLED');
  });

  test('late-commit waits for the challenge, and is PHASE_CLOSED', async () => {
    expect(cheat('late-commit').commitsIn).toBe('opening');
    const context = await openEnrolled(0);
    await network.close(0);
    follow();
    expect(await commit(context, cheat('late-commit'))).toBe('PHASE_CLOSED');
  });

  test('minus-128 is INT8_RANGE', async () => {
    const conduct = cheat('minus-128');
    const { context, opening } = await challenged(conduct);
    expect(submit(await conduct.openings(context, opening))).toBe('INT8_RANGE');
    expect(told).toHaveLength(1);
  });
});

describe('cheats that the gate lets through', () => {
  test('two-commits leaves evidence: neither commitment counts', async () => {
    const context = await openEnrolled(0);
    await commit(context, cheat('two-commits'));
    const { commits } = network.state.window(0)!;
    expect(commits.conflict(KEYS.miner.address)).toBeDefined();
    expect(commits.countedOf(KEYS.miner.address)).toBeUndefined();
    follow();
    expect(context.window.commits).toHaveLength(2);
  });

  test('forge-opening opens the right observations to other accumulators', async () => {
    const conduct = cheat('forge-opening');
    const { context, opening } = await challenged(conduct);
    const [right] = await honest.openings(context, opening);
    const [forged] = await conduct.openings(context, opening);
    expect(forged!.observations).toBe(right!.observations);
    for (const [part, digest] of right!.traceDigests.entries()) {
      expect(forged!.traceDigests[part]).not.toBe(digest);
    }
    expect(submit([forged!])).toBeNull();
  });

  test('withhold-proof makes no proof at all', async () => {
    const { context } = await challenged(honest);
    const made = cheat('withhold-proof').proofs(context, 0, () => Promise.reject(new Error('it proved')));
    expect(await made).toEqual([]);
  });

  test('replay-proof is honest at first, then posts the bytes of its earlier proof', async () => {
    const conduct = cheat('replay-proof');
    const first = await challenged(conduct, 0);
    expect(submit(await conduct.openings(first.context, first.opening))).toBeNull();
    await network.close(0);
    follow();
    for (const part of [0, 1]) submit(await conduct.proofs(first.context, part, async () => proof));
    expect(told).toEqual([]);
    const second = await challenged(conduct, 1);
    const [again] = await conduct.proofs(second.context, 1, () => Promise.reject(new Error('it proved')));
    expect(again).toMatchObject({ window: 1, part: 1, proof: `0x${'07'.repeat(256)}` });
    expect(told).toHaveLength(1);
  });

  test('a cheat for whose steps no proof exists posts bytes that prove nothing', async () => {
    const { context } = await challenged(honest);
    const unprovable = () => Promise.reject(new GrailError('WITNESS_FAILED', 'the action is not the argmax'));
    const [filler] = await cheat('random-policy').proofs(context, 0, unprovable);
    expect(filler!.proof).toBe(`0x${'00'.repeat(256)}`);
  });

  test('a prover that fails for another reason is no filler', async () => {
    const { context } = await challenged(honest);
    const broken = () => Promise.reject(new GrailError('PROVER_FAILED', 'out of memory'));
    await expect(cheat('random-policy').proofs(context, 0, broken)).rejects.toMatchObject({
      code: 'PROVER_FAILED',
    });
  });
});
