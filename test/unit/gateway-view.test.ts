import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/protocol/bytes.ts';
import { NetworkState } from '../../src/replica/state.ts';
import type { Bus } from '../../verifier/bus/bus.ts';
import { createInProcessBus } from '../../verifier/bus/in-process.ts';
import { lineLog } from '../../verifier/log.ts';
import { LedgerFollower } from '../../verifier/roles/follower.ts';
import { GatewayView } from '../../verifier/roles/gateway-view.ts';
import { openDesk } from '../../verifier/roles/sequencer-desk.ts';
import { EVENTS_SUBJECT, HEAD_SUBJECT, SUBMIT_SUBJECT } from '../../verifier/roles/subjects.ts';
import type { VerifierEvent } from '../../verifier/types.ts';
import { TestMirror } from '../helpers/mirror.ts';
import { KEYS, type TestMiner, type TestNetwork } from '../helpers/network.ts';
import { TestSequencer } from '../helpers/sequencer.ts';

let writer: TestSequencer;
let network: TestNetwork;
let miner: TestMiner;
let bus: Bus;
let desk: { close(): Promise<void> };
let mirror: TestMirror;
let view: GatewayView;
let follower: LedgerFollower;
let events: VerifierEvent[];

beforeEach(() => {
  writer = new TestSequencer();
  network = writer.network;
  miner = network.miner;
  bus = createInProcessBus();
  desk = openDesk(writer.sequencer, bus);
  mirror = new TestMirror(network.ledger);
  const state = new NetworkState(network.genesis);
  view = new GatewayView({ state, ledger: mirror.ledger, bus });
  follower = new LedgerFollower({
    mirror,
    state,
    bus,
    log: lineLog(() => {}),
    onEntry: (index) => view.applied(index),
    onFatal: (error) => {
      throw error;
    },
  });
  view.start(follower);
  events = [];
  view.subscribe((event) => events.push(event));
});

afterEach(async () => {
  view.stop();
  await follower.stop();
  await desk.close();
  await bus.close();
  mirror.close();
  await writer.stop();
});

/** Both miners enrol with the sequencer, which closes the phase. */
async function enrolBoth(): Promise<void> {
  for (const each of [miner, network.other]) await writer.sequencer.submit(each.enrol(0));
  await writer.left(0, 'enrol');
}

describe('a message', () => {
  test('is acknowledged by the sequencer, and seen once it is followed', async () => {
    const { index, verifier } = await view.submit(miner.enrol(0));
    expect(verifier).toBe(KEYS.verifier.address);
    await follower.look();
    expect(view.ledger.get(index).body).toMatchObject({ type: 'enrol', miner: miner.identity.address });
    expect(events).toMatchObject([{ type: 'entry', index }]);
  });

  test('with a signature of somebody else never reaches the sequencer', async () => {
    await desk.close();
    const { signature } = network.other.enrol(0);
    await expect(view.submit({ ...miner.enrol(0), signature })).rejects.toMatchObject({
      code: 'BAD_SIGNATURE',
    });
    expect(events).toMatchObject([{ type: 'refused', message: 'enrol', error: { code: 'BAD_SIGNATURE' } }]);
  });

  test('that is no message is refused here', async () => {
    await desk.close();
    await expect(view.submit({ type: 'enrol' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('of a phase that this copy has not seen begin is taken all the same', async () => {
    await enrolBoth();
    expect(view.state.window(0)?.phase).toBe('enrol');
    const { phase } = await view.submit(miner.commit(0));
    expect(phase).toBe('commit');
  });

  test('of a phase that has not begun anywhere is refused', async () => {
    await expect(view.submit(miner.commit(0))).rejects.toMatchObject({ code: 'PHASE_NOT_OPEN' });
  });

  test('that the sequencer refuses is refused with its code and details', async () => {
    await enrolBoth();
    // This copy still believes that the phase is open.
    await expect(view.submit(miner.enrol(0, 4))).rejects.toMatchObject({ code: 'PHASE_CLOSED' });
  });

  test('finds no sequencer: it may be sent again', async () => {
    await desk.close();
    await expect(view.submit(miner.enrol(0))).rejects.toMatchObject({
      code: 'UNREACHABLE',
      details: { retryAfterSeconds: 2 },
    });
  });

  test('is not called acknowledged when another process answers something else', async () => {
    await desk.close();
    const close = bus.serve(SUBMIT_SUBJECT, async () => utf8('{"index":1}'), { concurrency: 1, queue: 1 });
    await expect(view.submit(miner.enrol(0))).rejects.toMatchObject({ code: 'INTERNAL' });
    await close();
  });
});

describe('a question', () => {
  test('about a receipt that does not exist has the sequencer’s answer', async () => {
    await expect(view.receipt(0, miner.identity.address)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('about the head is answered from this copy where it has one', async () => {
    await enrolBoth();
    await follower.look();
    await desk.close();
    expect(await view.head()).toEqual(network.ledger.heads().at(-1));
  });

  test('about the head of a network that has just begun is answered by the sequencer', async () => {
    expect(await view.head()).toMatchObject({ treeSize: 1, phase: 'genesis' });
  });

  test('that is answered with something else fails', async () => {
    await desk.close();
    const close = bus.serve(HEAD_SUBJECT, async () => utf8('not JSON'), { concurrency: 1, queue: 1 });
    await expect(view.head()).rejects.toMatchObject({ code: 'INTERNAL' });
    await close();
  });
});

describe('what the sequencer tells', () => {
  test('of evaluations and of the end of the run is in the status', async () => {
    const evaluation = { type: 'evaluation', version: 3, meanReturn: 41.5, episodes: 100 };
    bus.publish(EVENTS_SUBJECT, utf8(JSON.stringify(evaluation)));
    bus.publish(EVENTS_SUBJECT, utf8('{"type":"finished"}'));
    await expect.poll(() => view.status().finished).toBe(true);
    expect(view.status().evaluation).toEqual({ version: 3, meanReturn: 41.5 });
    expect(events).toContainEqual(evaluation);
  });

  test('and is not understood is left out', async () => {
    bus.publish(EVENTS_SUBJECT, utf8('not JSON'));
    bus.publish(EVENTS_SUBJECT, utf8('{"type":"evaluation","version":"3"}'));
    bus.publish(EVENTS_SUBJECT, utf8('{"type":"finished"}'));
    await expect.poll(() => view.status().finished).toBe(true);
    expect(view.status().evaluation).toBeNull();
  });
});
