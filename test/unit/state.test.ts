import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { type Message, signMessage } from '../../src/protocol/messages.ts';
import type { CloserBody, FoldBody, OpenBody, VerdictBody } from '../../src/replica/bodies.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { KEYS, named, TestNetwork, tinyGenesis } from '../helpers/network.ts';

let network: TestNetwork;

beforeEach(() => {
  network = new TestNetwork();
});

afterEach(() => {
  network.remove();
});

function refusal(action: () => unknown): GrailError {
  try {
    action();
  } catch (error) {
    if (error instanceof GrailError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

function expectRefused(message: Message, code: Code, details: Record<string, unknown> = {}): void {
  const before = network.state.size;
  const { code: found, details: given } = refusal(() => network.take(message));
  expect({ code: found, details: given }).toMatchObject({ code, details });
  expect(network.state.size).toBe(before);
}

/** Brings window 0 to a phase in which `miner` has delivered everything before and `other` only enrolled. */
async function reach(phase: 'commit' | 'opening' | 'prove' | 'done'): Promise<void> {
  network.take(network.miner.enrol(0));
  network.take(network.other.enrol(0, 4));
  await network.close(0);
  if (phase === 'commit') return;
  network.take(network.miner.commit(0));
  await network.close(0);
  if (phase === 'opening') return;
  network.take(network.miner.opening(0));
  await network.close(0);
  if (phase === 'prove') return;
  for (const part of [0, 1]) network.take(network.miner.proof(0, part));
  await network.close(0, { [KEYS.other.address]: { code: 'COMMIT_MISSING' } });
}

describe('signatures', () => {
  test('a message signed by another key than it names is refused', () => {
    const { signature } = network.other.enrol(0);
    expectRefused({ ...network.miner.enrol(0), signature }, 'BAD_SIGNATURE', {
      expected: KEYS.miner.address,
    });
  });

  test('a message changed after it was signed is refused', () => {
    expectRefused({ ...network.miner.enrol(0), slots: 3 }, 'BAD_SIGNATURE');
  });

  test('a message signed for another network is refused', () => {
    const domain = { ...network.state.domain, genesisHash: new Uint8Array(32) };
    const { signature: _, ...unsigned } = network.miner.enrol(0);
    expectRefused(signMessage(domain, KEYS.miner, unsigned), 'BAD_SIGNATURE');
  });

  test('bytes that are no signature at all are refused', () => {
    expectRefused({ ...network.miner.enrol(0), signature: `0x${'00'.repeat(65)}` }, 'BAD_SIGNATURE', {
      got: null,
    });
  });

  test('what costs nothing is checked before the signature', () => {
    const signature: Hex = `0x${'00'.repeat(65)}`;
    expectRefused({ ...network.stranger.enrol(0), signature }, 'NOT_REGISTERED');
    expectRefused({ ...network.miner.commit(0), signature }, 'PHASE_NOT_OPEN');
  });
});

describe('registration and enrolment', () => {
  test('a key that is not registered may not enrol', () => {
    expectRefused(network.stranger.enrol(0), 'NOT_REGISTERED', { miner: KEYS.stranger.address });
  });

  test('a key registered while a window enrols may enrol two windows later, and not before', async () => {
    network.take(network.stranger.register());
    expectRefused(network.stranger.enrol(0), 'NOT_YET_ELIGIBLE', { eligibleFrom: 2, window: 0 });
    await network.close(0);
    expectRefused(network.stranger.enrol(1), 'NOT_YET_ELIGIBLE', { eligibleFrom: 2, window: 1 });
    for (const _ of ['commit', 'opening', 'prove']) await network.close(0);
    await network.close(1);
    expect(network.take(network.stranger.enrol(2))).toMatchObject({ phase: 'enrol', window: 2 });
  });

  test('registering again names the entry that registered the key, and adds none', () => {
    const { index } = network.take(network.stranger.register());
    expect(index).toBe(1);
    expect(network.take(network.stranger.register()).index).toBe(1);
    expect(network.take(network.miner.register()).index).toBe(0);
    expect(network.ledger.size).toBe(2);
  });

  test('a miner that lost its bond cools down', async () => {
    await reach('done');
    for (const window of [1, 2, 3]) {
      expect(network.state.enrolWindow).toBe(window);
      await network.close(window);
      for (const _ of ['commit', 'opening', 'prove']) await network.close(window);
    }
    // Rejected in window 0, lag 1, coolDown 2: windows up to 4 are lost.
    expectRefused(network.other.enrol(4), 'COOLING_DOWN', { until: 4, window: 4 });
    expect(network.state.eligible()).toEqual([KEYS.miner.address]);
    await network.close(4);
    expect(network.take(network.other.enrol(5))).toMatchObject({ window: 5 });
  });

  test('more slots than genesis allows are refused', () => {
    expectRefused(network.miner.enrol(0, 9), 'SLOTS_INVALID', { got: 9 });
    expect(network.take(network.miner.enrol(0, 8)).index).toBe(1);
  });

  test('slots that are not whole groups are refused', () => {
    network.remove();
    const { algorithm, ...rest } = tinyGenesis();
    // PPO has groups of one, so the rule is asked of the state, which does not parse its genesis again.
    const state = new NetworkState({ ...rest, algorithm, groupSize: 4 });
    network = new TestNetwork();
    const message = (slots: number) =>
      signMessage(state.domain, KEYS.miner, { type: 'enrol', miner: KEYS.miner.address, window: 0, slots });
    expect(refusal(() => state.admit(message(6))).code).toBe('SLOTS_INVALID');
    expect(state.admit(message(8)).kind).toBe('new');
  });
});

describe('phases', () => {
  test('a message for a window or phase that has not begun is told to wait', async () => {
    expectRefused(network.miner.enrol(1), 'PHASE_NOT_OPEN', { window: 1, got: null });
    network.take(network.miner.enrol(0));
    expectRefused(network.miner.commit(0), 'PHASE_NOT_OPEN', { expected: 'commit', got: 'enrol' });
    await network.close(0);
    expectRefused(network.miner.opening(0), 'PHASE_NOT_OPEN', { expected: 'opening', got: 'commit' });
    expectRefused(network.miner.proof(0, 0), 'PHASE_NOT_OPEN', { expected: 'prove', got: 'commit' });
  });

  test('a message for a closed phase is too late', async () => {
    const late = [network.miner.enrol(0, 3)];
    await reach('commit');
    for (const message of late) expectRefused(message, 'PHASE_CLOSED', { expected: 'enrol', got: 'commit' });
    network.take(network.miner.commit(0));
    await network.close(0);
    expectRefused(network.other.commit(0), 'PHASE_CLOSED', { expected: 'commit', got: 'opening' });
    network.take(network.miner.opening(0));
    await network.close(0);
    expectRefused(network.miner.opening(0), 'PHASE_CLOSED', { expected: 'opening', got: 'prove' });
    await network.close(0, { [KEYS.miner.address]: { code: 'PROOF_MISSING' } });
    expectRefused(network.miner.proof(0, 0), 'PHASE_CLOSED', { expected: 'prove', got: 'done' });
  });

  test('a message for a window that is forgotten is too late', async () => {
    for (let window = 0; window <= 16; window++) {
      for (const _ of ['enrol', 'commit', 'opening', 'prove']) await network.close(window);
    }
    expect(network.state.window(0)).toBeUndefined();
    expectRefused(network.miner.proof(0, 0), 'PHASE_CLOSED', { window: 0, got: 'done' });
  });

  test('proofs are remembered for as long as their window', async () => {
    await reach('prove');
    network.take(network.miner.proof(0, 0));
    expect(network.state.proofIndex.size).toBe(1);
    await network.close(0);
    for (let window = 1; window <= 15; window++) {
      for (const _ of ['enrol', 'commit', 'opening', 'prove']) await network.close(window);
    }
    expect(network.state.proofIndex.size).toBe(1);
    for (const _ of ['enrol', 'commit', 'opening', 'prove']) await network.close(16);
    expect(network.state.proofIndex.size).toBe(0);
  });

  test('windows overlap: one enrols while the window before commits', async () => {
    await reach('commit');
    expect(network.take(network.miner.enrol(1)).window).toBe(1);
    expect(network.take(network.miner.commit(0)).window).toBe(0);
  });

  test('pending names the miners that a phase waits for', async () => {
    const pending = () => network.state.pending(network.state.window(0)!);
    const both = [KEYS.miner.address, KEYS.other.address].sort();
    expect(pending()).toEqual(both);
    network.take(network.miner.enrol(0));
    expect(pending()).toEqual([KEYS.other.address]);
    network.take(network.other.enrol(0));
    await network.close(0);
    expect(pending()).toEqual(both);
    network.take(network.miner.commit(0));
    await network.close(0);
    expect(pending()).toEqual([KEYS.miner.address]);
    network.take(network.miner.opening(0));
    await network.close(0);
    network.take(network.miner.proof(0, 1));
    expect(pending()).toEqual([KEYS.miner.address]);
    network.take(network.miner.proof(0, 0));
    expect(pending()).toEqual([]);
  });
});

describe('commitments', () => {
  test('a miner that did not enrol may not commit', async () => {
    network.take(network.miner.enrol(0));
    await network.close(0);
    expectRefused(network.other.commit(0), 'NOT_ENROLLED', { miner: KEYS.other.address, window: 0 });
  });

  test('a commitment to another policy is refused', async () => {
    await reach('commit');
    const policyRoot = named('another policy');
    expectRefused(network.miner.commit(0, { policyRoot }), 'POLICY_ROOT_MISMATCH', { got: policyRoot });
  });

  test('one byte of actions too few or too many is refused', async () => {
    await reach('commit');
    const expected = '4 bytes';
    expectRefused(network.miner.commit(0, { actions: '0x000000' }), 'COMMIT_SHAPE', {
      expected,
      got: '3 bytes',
    });
    expectRefused(network.miner.commit(0, { actions: '0x0000000000' }), 'COMMIT_SHAPE', {
      expected,
      got: '5 bytes',
    });
    expectRefused(network.miner.commit(0, { actions: '0x' }), 'COMMIT_SHAPE', { expected, got: '0 bytes' });
  });
});

describe('openings', () => {
  test('a miner without a commitment has nothing to open', async () => {
    await reach('opening');
    expectRefused(network.other.opening(0), 'COMMIT_MISSING', { miner: KEYS.other.address });
  });

  test('an answer to another challenge is refused', async () => {
    await reach('opening');
    const challengeSeed = named('another challenge');
    expectRefused(network.miner.opening(0, { challengeSeed }), 'CHALLENGE_MISMATCH', { got: challengeSeed });
  });

  test('a digest or an observation too few or too many is refused', async () => {
    await reach('opening');
    const [digest] = network.miner.opening(0).traceDigests;
    expectRefused(network.miner.opening(0, { traceDigests: [digest!] }), 'OPENING_SHAPE', {
      expected: '2 digests, 32 observation bytes',
      got: '1 digests, 32 observation bytes',
    });
    const three = [digest!, digest!, digest!];
    expectRefused(network.miner.opening(0, { traceDigests: three }), 'OPENING_SHAPE');
    expectRefused(network.miner.opening(0, { observations: `0x${'00'.repeat(31)}` }), 'OPENING_SHAPE');
    expectRefused(network.miner.opening(0, { observations: `0x${'00'.repeat(33)}` }), 'OPENING_SHAPE');
  });

  test('a digest that is not below the field’s order is refused', async () => {
    await reach('opening');
    const [digest] = network.miner.opening(0).traceDigests;
    const hex = (value: bigint): Hex => `0x${value.toString(16).padStart(64, '0')}`;
    const opening = (value: bigint) => network.miner.opening(0, { traceDigests: [digest!, hex(value)] });
    expectRefused(opening(FIELD_ORDER), 'OPENING_SHAPE', { got: hex(FIELD_ORDER) });
    expect(network.take(opening(FIELD_ORDER - 1n)).phase).toBe('opening');
  });

  test('−128 is refused wherever it stands, −127 is taken', async () => {
    await reach('opening');
    const observations: Hex = `0x${'81'.repeat(31)}80`;
    expectRefused(network.miner.opening(0, { observations }), 'INT8_RANGE', { got: -128, at: 31 });
    expect(network.take(network.miner.opening(0, { observations: `0x${'81'.repeat(32)}` })).phase).toBe(
      'opening',
    );
  });
});

describe('proofs', () => {
  test('a miner that did not open its steps has nothing to prove', async () => {
    await reach('prove');
    expectRefused(network.other.proof(0, 0), 'OPENING_MISSING', { miner: KEYS.other.address });
  });

  test('a proof of another size, or of a part that does not exist, is refused', async () => {
    await reach('prove');
    const { signature: _, ...unsigned } = network.miner.proof(0, 0);
    const sized = (bytes: number) =>
      signMessage(network.state.domain, KEYS.miner, { ...unsigned, proof: `0x${'aa'.repeat(bytes)}` as Hex });
    expectRefused(sized(255), 'PROOF_ENCODING', { got: '255 bytes, part 0' });
    expectRefused(sized(0), 'PROOF_ENCODING');
    expectRefused(network.miner.proof(0, 2), 'PROOF_ENCODING', { got: '256 bytes, part 2' });
  });

  test('a part may be proven twice, not three times', async () => {
    await reach('prove');
    network.take(network.miner.proof(0, 0, '01'));
    const second = network.take(network.miner.proof(0, 0, '02'));
    expectRefused(network.miner.proof(0, 0, '03'), 'TOO_MANY_REQUESTS', { part: 0 });
    expect(network.take(network.miner.proof(0, 0, '02')).index).toBe(second.index);
    expect(network.take(network.miner.proof(0, 1, '03')).phase).toBe('prove');
  });
});

describe('equivocation', () => {
  test('the same message again gives the first entry, and adds none', async () => {
    for (const phase of ['enrol', 'commit', 'opening'] as const) {
      const first = network.take(network.miner[phase](0));
      expect(network.take(network.miner[phase](0)).index).toBe(first.index);
      await network.close(0);
    }
    const first = network.take(network.miner.proof(0, 0));
    const size = network.ledger.size;
    expect(network.take(network.miner.proof(0, 0)).index).toBe(first.index);
    expect(network.ledger.size).toBe(size);
  });

  test('a second, different message is kept as evidence, and neither counts; a third is refused', async () => {
    const phases = { enrol: 'enrolments', commit: 'commits', opening: 'openings' } as const;
    for (const [phase, name] of Object.entries(phases) as ['enrol' | 'commit' | 'opening', 'enrolments'][]) {
      const messages = {
        enrol: [1, 2, 3].map((slots) => network.other.enrol(0, slots)),
        commit: ['00', '01', '02'].map((fill) => network.other.commit(0, { actions: `0x${fill.repeat(4)}` })),
        opening: ['00', '01', '02'].map((fill) =>
          network.other.opening(0, { observations: `0x${fill.repeat(32)}` }),
        ),
      }[phase];
      const [first, second, third] = messages as [Message, Message, Message];
      const kept = network.take(first);
      const evidence = network.take(second);
      expect(evidence.index).toBe(kept.index + 1);
      expectRefused(third, 'EQUIVOCATION', { type: phase });
      expect(network.take(first).index).toBe(kept.index);
      expect(network.take(second).index).toBe(evidence.index);
      const posted = network.state.window(0)![name];
      expect(posted.countedOf(KEYS.other.address)).toBeUndefined();
      expect(posted.miners()).toContain(KEYS.other.address);
      await network.close(0);
      // The next phase is reached by a network in which the phase was clean.
      network.remove();
      network = new TestNetwork();
      network.take(network.other.enrol(0));
      await network.close(0);
      if (phase === 'enrol') continue;
      network.take(network.other.commit(0));
      await network.close(0);
    }
  });

  test('a miner with two enrolments is not enrolled', async () => {
    network.take(network.miner.enrol(0, 1));
    network.take(network.miner.enrol(0, 2));
    await network.close(0);
    expectRefused(network.miner.commit(0), 'NOT_ENROLLED');
  });

  test('a miner with two commitments has nothing to open', async () => {
    await reach('commit');
    network.take(network.miner.commit(0));
    network.take(network.miner.commit(0, { commitRoot: named('others') }));
    await network.close(0);
    expectRefused(network.miner.opening(0), 'COMMIT_MISSING');
  });

  test('it is decided by order: phase roots do not hold what does not count', async () => {
    network.take(network.other.enrol(0));
    const alone = network.state.openBody(new Uint8Array(32)).enrolRoot;
    network.take(network.miner.enrol(0, 1));
    expect(network.state.openBody(new Uint8Array(32)).enrolRoot).not.toBe(alone);
    network.take(network.miner.enrol(0, 2));
    expect(network.state.openBody(new Uint8Array(32)).enrolRoot).toBe(alone);
  });
});

/** Applies an entry to a replay of the network's ledger, which must be unchanged by a refusal. */
function expectInvalid(entry: LedgerEntry, rule: Code = 'LEDGER_INVALID'): void {
  const index = network.state.size;
  const { code, details } = refusal(() => network.state.apply(entry));
  expect({ code, index: details.index, rule: details.rule }).toEqual({ code: 'LEDGER_INVALID', index, rule });
  expect(network.state.size).toBe(index);
}

describe('replaying a ledger', () => {
  test('a whole network replays to the same state', async () => {
    await network.run(0);
    await network.run(1);
    const replay = new NetworkState(network.genesis);
    for (const { entry } of network.ledger.range()) replay.apply(entry);
    expect(replay.size).toBe(network.state.size);
    expect(replay.versions).toEqual(network.state.versions);
    expect(replay.miners).toEqual(network.state.miners);
    expect(replay.nextVerdict).toBe(2);
    expect([...replay.proofIndex]).toEqual([...network.state.proofIndex]);
  });

  test('the first entry must be genesis, and genesis must be the first entry', () => {
    const genesis = NetworkState.genesisEntry(network.genesis);
    expectInvalid(genesis);
    const state = new NetworkState(network.genesis);
    expect(refusal(() => state.apply({ ...genesis, window: 1 })).code).toBe('LEDGER_INVALID');
    const other = NetworkState.genesisEntry(tinyGenesis({ name: 'other' }));
    expect(refusal(() => state.apply(other)).code).toBe('LEDGER_INVALID');
    state.apply(genesis);
    expect(state.size).toBe(1);
  });

  test('a message’s entry must be filed under its phase, window, view and author', () => {
    const body = network.miner.enrol(0);
    const entry: LedgerEntry = { window: 0, phase: 'enrol', view: 0, author: KEYS.miner.address, body };
    expectInvalid({ ...entry, window: 1 });
    expectInvalid({ ...entry, phase: 'commit' });
    expectInvalid({ ...entry, view: 1 });
    expectInvalid({ ...entry, author: KEYS.other.address });
    expectInvalid({ ...entry, author: null });
    expectInvalid({ ...entry, body: { ...body, more: 1 } });
    expectInvalid({ ...entry, body: { type: 'bribe' } });
    network.state.apply(entry);
  });

  test('a message that the rules refuse is named with its rule', async () => {
    const file = (body: Message & { window: number }): LedgerEntry => {
      const phase = body.type === 'proof' ? 'prove' : (body.type as 'enrol' | 'commit');
      return { window: body.window, phase, view: 0, author: body.miner, body };
    };
    expectInvalid(
      file({ ...network.miner.enrol(0), signature: network.other.enrol(0).signature }),
      'BAD_SIGNATURE',
    );
    expectInvalid(file(network.stranger.enrol(0)), 'NOT_REGISTERED');
    expectInvalid(file(network.miner.commit(0)), 'PHASE_NOT_OPEN');
    const enrolment = file(network.miner.enrol(0));
    network.append(enrolment);
    expectInvalid(enrolment);
    await network.close(0);
    expectInvalid(enrolment, 'PHASE_CLOSED');
  });

  test('a closer of somebody who is no verifier is refused', async () => {
    const entry = network.closing(await network.closer(0));
    expectInvalid({ ...entry, author: KEYS.miner.address });
    expectInvalid({ ...entry, author: null });
    expectInvalid({ ...entry, phase: 'commit' });
    expectInvalid({ ...entry, window: 1 });
    network.state.apply(entry);
  });

  test('a phase is closed once, in its order', async () => {
    const open = await network.closer(0);
    await reach('commit');
    expectInvalid(network.closing(open));
    const challenge = await network.closer(0);
    await network.close(0);
    expectInvalid(network.closing(challenge));
  });

  const altered = <B extends CloserBody>(body: B, changes: Partial<B>) =>
    network.closing({ ...body, ...changes });

  test('every member of an altered open entry is noticed', async () => {
    network.take(network.miner.enrol(0));
    const body = (await network.closer(0)) as OpenBody;
    expectInvalid(altered(body, { beacon0: named('x') }), 'BEACON_INVALID');
    expectInvalid(altered(body, { enrolRoot: named('x') }));
    expectInvalid(altered(body, { policyVersion: 1 }));
    expectInvalid(altered(body, { policyRoot: named('x') }));
    network.state.apply(network.closing(body));
  });

  test('a window cannot open before its policy is published', async () => {
    await network.close(0);
    await network.close(1);
    expect(refusal(() => network.state.openBody(new Uint8Array(32))).code).toBe('WRONG_PHASE');
  });

  test('every member of an altered challenge entry is noticed', async () => {
    await reach('commit');
    network.take(network.miner.commit(0));
    const body = await network.closer(0);
    expectInvalid(altered(body, { beacon1: named('x') } as Partial<CloserBody>), 'BEACON_INVALID');
    expectInvalid(altered(body, { commitRoot: named('x') } as Partial<CloserBody>));
    network.state.apply(network.closing(body));
  });

  test('every member of an altered fold entry is noticed, but for the digest that needs the policy', async () => {
    await reach('opening');
    network.take(network.miner.opening(0));
    const body = (await network.closer(0)) as FoldBody;
    expectInvalid(altered(body, { openingsRoot: named('x') }));
    expectInvalid(altered(body, { rho: named('x') }));
    network.state.apply(network.closing(body));
  });

  test('every member of an altered verdict that the rules give is noticed', async () => {
    await reach('prove');
    for (const part of [0, 1]) network.take(network.miner.proof(0, part));
    const body = (await network.closer(0)) as VerdictBody;
    const [first, second] = body.results as [VerdictBody['results'][0], VerdictBody['results'][0]];
    const update = (changes: Partial<VerdictBody['update']>) =>
      altered(body, { update: { ...body.update, ...changes } });
    expectInvalid(altered(body, { results: [second, first] }));
    expectInvalid(altered(body, { results: [first] }));
    expectInvalid(altered(body, { results: [first, first] }));
    expectInvalid(altered(body, { results: [{ ...first, miner: KEYS.stranger.address }, second] }));
    expectInvalid(altered(body, { results: [{ ...first, credit: first.credit + 1 }, second] }));
    expectInvalid(altered(body, { results: [{ ...first, rejection: { code: 'PROOF_MISSING' } }, second] }));
    expectInvalid(altered(body, { results: [{ ...first, slots: first.slots + 1 }, second] }));
    expectInvalid(altered(body, { rewardRoot: named('x') }));
    expectInvalid(update({ version: 2 }));
    network.state.apply(network.closing(body));
  });

  test('a verdict comes in the order of windows', async () => {
    const pass = async (window: number, count: number) => {
      for (let i = 0; i < count; i++) await network.close(window);
    };
    await pass(0, 3);
    await pass(1, 3);
    const entry = network.closing(await network.closer(1));
    expectInvalid(entry);
    await network.close(0);
    network.state.apply(network.closing(await network.closer(1)));
  });
});

describe('credits', () => {
  test('a rejected miner is credited nothing, and its slots still count in the sum', async () => {
    await reach('prove');
    for (const part of [0, 1]) network.take(network.miner.proof(0, part));
    const body = await network.close(0, { [KEYS.other.address]: { code: 'COMMIT_MISSING' } });
    const credits = (body as VerdictBody).results.map(({ miner, credit }) => [miner, credit]);
    // rate · n = 200 is less than ⌊1000 · 2 / 6⌋ = 333.
    expect(Object.fromEntries(credits)).toEqual({ [KEYS.miner.address]: 200, [KEYS.other.address]: 0 });
    expect(network.state.miners.get(KEYS.miner.address)!.credit).toBe(200n);
    expect(network.state.miners.get(KEYS.other.address)!.credit).toBe(0n);
  });
});
