import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NetworkState } from '../../src/replica/state.ts';
import type { Bus } from '../../verifier/bus/bus.ts';
import { createInProcessBus } from '../../verifier/bus/in-process.ts';
import { lineLog } from '../../verifier/log.ts';
import { LedgerFollower } from '../../verifier/roles/follower.ts';
import { ENTRIES_SUBJECT } from '../../verifier/roles/subjects.ts';
import { TestMirror } from '../helpers/mirror.ts';
import { TestNetwork } from '../helpers/network.ts';

let network: TestNetwork;
let mirror: TestMirror;
let state: NetworkState;
let bus: Bus;
let applied: number[];
let lines: string[];
let fatal: Error[];
let follower: LedgerFollower;

beforeEach(() => {
  network = new TestNetwork();
  network.take(network.miner.enrol(0));
  mirror = new TestMirror(network.ledger);
  state = new NetworkState(network.genesis);
  bus = createInProcessBus();
  applied = [];
  lines = [];
  fatal = [];
  follower = new LedgerFollower({
    mirror,
    state,
    bus,
    log: lineLog((line) => lines.push(line)),
    onEntry: (index) => applied.push(index),
    onFatal: (error) => fatal.push(error),
  });
});

afterEach(async () => {
  await follower.stop();
  await bus.close();
  mirror.close();
  network.remove();
});

test('what the copy holds already is applied without telling anybody', () => {
  expect(state.size).toBe(2);
  expect(applied).toEqual([]);
});

test('a look applies what is new, in order, and tells of it once', async () => {
  network.take(network.other.enrol(0));
  await network.close(0);
  await Promise.all([follower.look(), follower.look(), follower.look()]);
  expect(applied).toEqual([2, 3]);
  expect(state.window(0)?.phase).toBe('commit');
  await follower.look();
  expect(applied).toEqual([2, 3]);
});

test('a look that is asked for while another is under way sees what came in between', async () => {
  const first = follower.look();
  network.take(network.other.enrol(0));
  await follower.look();
  expect(applied).toEqual([2]);
  await first;
});

test('news on the bus make it look', async () => {
  follower.start();
  network.take(network.other.enrol(0));
  bus.publish(ENTRIES_SUBJECT, new Uint8Array());
  await vi.waitFor(() => expect(applied).toEqual([2]), { interval: 5, timeout: 900 });
});

test('it looks by itself when the bus says nothing', async () => {
  follower.start();
  network.take(network.other.enrol(0));
  await vi.waitFor(() => expect(applied).toEqual([2]), { timeout: 30_000 });
});

test('a database that is away is told of once, and is looked at again', async () => {
  mirror.away = true;
  await follower.look();
  await follower.look();
  expect(follower.trouble?.code).toBe('STORAGE_UNAVAILABLE');
  expect(lines.filter((line) => line.includes('cannot be followed')).length).toBe(1);

  network.take(network.other.enrol(0));
  mirror.away = false;
  await follower.look();
  expect(follower.trouble).toBeNull();
  expect(applied).toEqual([2]);
  expect(fatal).toEqual([]);
});

test('a ledger that breaks a rule ends it', async () => {
  // A phase that is closed twice.
  const closer = network.closing(await network.closer(0));
  network.ledger.append(closer);
  network.ledger.append(closer);
  await follower.look();
  expect(fatal.length).toBe(1);
  expect(applied).toEqual([2]);
});
