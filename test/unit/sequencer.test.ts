import { afterEach, describe, expect, test } from 'vitest';
import type { Hex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Message } from '../../src/protocol/messages.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import { KEYS } from '../helpers/network.ts';
import { TestSequencer } from '../helpers/sequencer.ts';

let running: TestSequencer | null = null;

function start(...options: ConstructorParameters<typeof TestSequencer>): TestSequencer {
  running = new TestSequencer(...options);
  return running;
}

afterEach(async () => {
  await running?.stop();
  running = null;
});

/** Posts a message, whatever comes of it. */
function offer({ sequencer }: TestSequencer, message: Message): void {
  sequencer.submit(message).catch((error) => {
    if (!(error instanceof GrailError)) throw error;
  });
}

const PHASES = ['enrol', 'commit', 'opening'] as const;

/** Calls `action` after `ticks` turns of the microtask queue. */
function after(ticks: number, action: () => void): void {
  if (ticks === 0) action();
  else queueMicrotask(() => after(ticks - 1, action));
}

describe('a message that comes while a phase closes is before its closer or too late, never in between', () => {
  const cases = PHASES.flatMap((phase) => [0, 1, 2, 3, 4, 5, 6].map((ticks) => [phase, ticks] as const));

  test.each(cases)('%s, %i turns after the decision', async (phase, ticks) => {
    // Long enough for the others to be in time on a busy machine.
    const node = start({ phaseTimeoutMs: 300 });
    const { miner, other, state } = node.network;
    // Who is waited for in vain arrives in the very moment.
    node.onImpatience = () => {
      if (state.window(0)!.phase === phase) after(ticks, () => offer(node, other[phase](0)));
    };
    for (const now of PHASES) {
      offer(node, miner[now](0));
      if (now !== phase) offer(node, other[now](0));
      await node.left(0, now);
      if (now === phase) break;
    }
    await node.replay();
  });
});

test('a second proof that comes while the verdict is made counts in it', async () => {
  const node = start({ windows: 1 });
  const { miner, other } = node.network;
  for (const phase of PHASES) {
    for (const who of [miner, other]) offer(node, who[phase](0));
    await node.left(0, phase);
  }
  let checks = 0;
  node.checkProof = async (_signals, proof) => {
    // The first proof of part 0 is false, and its second chance comes when it is looked at.
    if (++checks === 1) offer(node, miner.proof(0, 0, 'cc'));
    if (proof[0] === 0xaa) throw new GrailError('PROOF_INVALID', 'false');
  };
  offer(node, miner.proof(0, 0, 'aa'));
  offer(node, miner.proof(0, 1, 'dd'));
  for (const part of [0, 1]) offer(node, other.proof(0, part, `e${part}`));
  await node.done;
  const { results } = node.network.ledger.get(node.network.ledger.size - 1).body as unknown as VerdictBody;
  expect(results.map(({ rejection, proofs }) => ({ rejection, proofs }))).toEqual([
    { rejection: null, proofs: 2 },
    { rejection: null, proofs: 2 },
  ]);
});

test('a verifier that stops while it checks proofs checks no further ones and publishes nothing', async () => {
  const node = start({ windows: 1 });
  const { miner, other } = node.network;
  for (const phase of PHASES) {
    for (const who of [miner, other]) offer(node, who[phase](0));
    await node.left(0, phase);
  }
  const checked: number[] = [];
  const stopped = new Promise<void>((resolve) => {
    node.checkProof = async (_signals, proof) => {
      checked.push(proof[0]!);
      if (checked.length === 1) resolve(node.sequencer.stop());
      if (proof[0] === 0xaa) throw new GrailError('PROOF_INVALID', 'false');
    };
  });
  offer(node, miner.proof(0, 0, 'aa'));
  offer(node, miner.proof(0, 0, 'cc'));
  offer(node, miner.proof(0, 1, 'dd'));
  for (const part of [0, 1]) offer(node, other.proof(0, part, `e${part}`));
  await stopped;
  // The first proofs of the four parts, and not the second chance of the one that failed.
  expect(checked).not.toContain(0xcc);
  expect(node.network.state.nextVerdict).toBe(0);
});

test('nobody can make a network wait for a miner that is away by repeating what it once signed', async () => {
  const node = start({ phaseTimeoutMs: 5 });
  const { miner, other, state } = node.network;
  // `other` lets a phase run out: it is waited for no more. From then on, patience is long.
  node.onImpatience = () => {
    node.config.phaseTimeoutMs = 60_000;
  };
  offer(node, miner.enrol(0));
  await node.left(0, 'enrol');
  expect(state.enrolWindow).toBe(1);
  offer(node, other.register());
  offer(node, miner.enrol(1));
  await node.left(1, 'enrol');
});

test('a registration that is repeated is acknowledged where it stands', async () => {
  const node = start({ phaseTimeoutMs: 5 });
  const { miner, stranger } = node.network;
  const first = await node.sequencer.submit(stranger.register());
  offer(node, miner.enrol(0));
  await node.left(0, 'enrol');
  const { window, phase, index, messageHash } = first;
  const again = await node.sequencer.submit(stranger.register());
  expect(again).toMatchObject({ window, phase, index, messageHash });
});

test('a window whose commitments are all rejected ends without waiting for what cannot be credited', async () => {
  const node = start({ windows: 1 });
  const { miner, other } = node.network;
  for (const key of [KEYS.miner, KEYS.other])
    node.rejected.set(key.address as Hex, { code: 'POLICY_MISMATCH' });
  for (const phase of ['enrol', 'commit'] as const) {
    for (const who of [miner, other]) offer(node, who[phase](0));
    await node.left(0, phase);
  }
  await node.done;
  await node.replay();
  const { results } = node.network.ledger.get(node.network.ledger.size - 1).body as unknown as VerdictBody;
  expect(results.map(({ credit, trained }) => ({ credit, trained }))).toEqual([
    { credit: 0, trained: false },
    { credit: 0, trained: false },
  ]);
}, 30_000);
