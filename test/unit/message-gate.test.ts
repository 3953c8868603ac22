import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Identity } from '../../src/protocol/identity.ts';
import type { Message } from '../../src/protocol/messages.ts';
import type { Acknowledgement } from '../../src/protocol/wire.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from '../../verifier/limits.ts';
import { MessageGate } from '../../verifier/message-gate.ts';
import { TokenBuckets } from '../../verifier/rates.ts';
import { TestMiner, TestNetwork } from '../helpers/network.ts';

const HOME = '10.0.0.1';
const ELSEWHERE = '10.0.0.2';

let network: TestNetwork;
let now = 0;

beforeEach(() => {
  network = new TestNetwork();
  now = 0;
});
afterEach(() => network.remove());

/** A gate over the network, and how often it asked the sequencer. */
function gateOf(changes: Partial<GatewayLimits> = {}) {
  const limits = { ...DEFAULT_LIMITS, ...changes };
  const messages = new TokenBuckets(
    { perSecond: limits.messagesPerSecond, burst: limits.messagesBurst },
    100,
    () => now,
  );
  let asked = 0;
  const sequencer = {
    state: network.state,
    submit(message: unknown) {
      asked += 1;
      return network.submit(message);
    },
  };
  const gate = new MessageGate({ sequencer, limits, now: () => now, messages });
  /** The code of a refusal, with the limit that it names. */
  const outcome = (address: string, message: Message) =>
    gate.submit(address, message).then(
      () => 'acknowledged',
      ({ code, details }) => (details?.limit === undefined ? code : `${code} ${details.limit}`),
    );
  return { gate, messages, outcome, asked: () => asked };
}

const forged = (message: Message): Message => ({ ...message, signature: network.other.enrol(0).signature });

describe('a signature that is not the named miner’s', () => {
  test('costs the address that sent it, and nothing of the miner’s', async () => {
    const { outcome, messages } = gateOf({ messagesBurst: 100, strangerCost: 20, refusedBurst: 1 });
    for (let i = 1; i <= 5; i++) {
      expect(messages.wait(ELSEWHERE)).toBe(0);
      expect(await outcome(ELSEWHERE, forged(network.miner.enrol(0, i)))).toBe('BAD_SIGNATURE');
    }
    expect(messages.wait(ELSEWHERE)).toBeGreaterThan(0);
    expect(messages.wait(HOME)).toBe(0);
    expect(await outcome(HOME, network.miner.enrol(0))).toBe('acknowledged');
  });
});

describe('messages that a rule refuses', () => {
  test('are charged to the key that signed them, wherever they come from, until it has waited', async () => {
    const { outcome, asked } = gateOf({ refusedPerSecond: 1, refusedBurst: 3 });
    for (const slots of [9, 10, 11]) {
      const address = slots === 10 ? HOME : ELSEWHERE;
      expect(await outcome(address, network.miner.enrol(0, slots))).toBe('SLOTS_INVALID');
    }
    expect(await outcome(HOME, network.miner.enrol(0, 12))).toBe('TOO_MANY_REQUESTS refusedPerSecond');
    expect(asked()).toBe(3);
    expect(await outcome(ELSEWHERE, network.other.enrol(0))).toBe('acknowledged');
    now = 1_000;
    expect(await outcome(HOME, network.miner.enrol(0))).toBe('acknowledged');
  });

  test('are not charged to a key whose signature nobody has checked', async () => {
    const { outcome } = gateOf({ refusedBurst: 1 });
    for (let i = 0; i < 3; i++) {
      expect(await outcome(ELSEWHERE, forged(network.miner.commit(i)))).toBe('PHASE_NOT_OPEN');
    }
    expect(await outcome(HOME, network.miner.enrol(0))).toBe('acknowledged');
  });
});

describe('registrations', () => {
  const strangers = [11, 12, 13, 14].map(
    (fill) => () => new TestMiner(network, new Identity(new Uint8Array(32).fill(fill))).register(),
  );

  test('of new keys share one budget, which those that are registered do not touch', async () => {
    const { outcome } = gateOf({ registrationsPerSecond: 1, registrationsBurst: 2 });
    const register = (i: number) => outcome(`10.0.1.${i}`, strangers[i]!());
    expect([await register(0), await register(1)]).toEqual(['acknowledged', 'acknowledged']);
    expect(await register(2)).toBe('TOO_MANY_REQUESTS registrationsPerSecond');
    expect(await outcome(HOME, network.miner.register())).toBe('acknowledged');
    expect(await outcome(HOME, network.miner.enrol(0))).toBe('acknowledged');
    now = 1_000;
    expect([await register(2), await register(3)]).toEqual([
      'acknowledged',
      'TOO_MANY_REQUESTS registrationsPerSecond',
    ]);
  });

  test('cost their address as much as other messages of many', async () => {
    const { outcome, messages } = gateOf({ messagesBurst: 30, strangerCost: 20 });
    await outcome(ELSEWHERE, strangers[0]!());
    expect(messages.wait(ELSEWHERE)).toBe(0);
    await outcome(ELSEWHERE, strangers[1]!());
    expect(messages.wait(ELSEWHERE)).toBeGreaterThan(0);
  });
});

describe('repetitions', () => {
  test('of what was acknowledged get the same acknowledgement without asking the sequencer', async () => {
    const { gate, asked } = gateOf();
    const message = network.miner.enrol(0);
    const first = await gate.submit(HOME, message);
    for (const address of [HOME, ELSEWHERE]) {
      // As it comes from another body.
      expect(await gate.submit(address, { ...message })).toEqual(first);
    }
    expect([asked(), network.ledger.size]).toEqual([1, 2]);
  });

  test('of what is under way wait for its answer', async () => {
    const { gate, asked } = gateOf();
    const message = network.miner.enrol(0);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => gate.submit(`10.0.2.${i}`, { ...message })),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(asked()).toBe(1);
  });

  test('of what was refused ask again', async () => {
    const { outcome, asked } = gateOf();
    expect(await outcome(HOME, network.miner.commit(0))).toBe('PHASE_NOT_OPEN');
    expect(await outcome(HOME, network.miner.commit(0))).toBe('PHASE_NOT_OPEN');
    expect(asked()).toBe(2);
  });

  test('beyond the acknowledgements that are remembered ask the sequencer, which gives the same place', async () => {
    const { gate, asked } = gateOf({ rememberedAcknowledgements: 1 });
    const { index } = await gate.submit(HOME, network.miner.enrol(0));
    await gate.submit(HOME, network.other.enrol(0));
    expect((await gate.submit(HOME, network.miner.enrol(0))).index).toBe(index);
    expect(asked()).toBe(3);
  });
});

test('messages under way of one key are bounded for each address that sends them', async () => {
  const waiting: (() => void)[] = [];
  const sequencer = {
    state: network.state,
    submit: () =>
      new Promise<Acknowledgement>((resolve) => waiting.push(() => resolve({} as Acknowledgement))),
  };
  const limits = { ...DEFAULT_LIMITS, messagesInFlightPerKey: 2 };
  const messages = new TokenBuckets({ perSecond: 1, burst: 1 }, 1, () => 0);
  const gate = new MessageGate({ sequencer, limits, now: () => 0, messages });
  // Somebody fills the places with messages in the miner's name.
  const flood = [1, 2].map((slots) => gate.submit(ELSEWHERE, forged(network.miner.enrol(0, slots))));
  await expect(gate.submit(ELSEWHERE, forged(network.miner.enrol(0, 3)))).rejects.toMatchObject({
    code: 'TOO_MANY_REQUESTS',
    details: { limit: 'messagesInFlightPerKey', retryAfterSeconds: 1 },
  });
  const own = gate.submit(HOME, network.miner.enrol(0));
  expect(waiting.length).toBe(3);
  for (const end of waiting) end();
  await Promise.all([...flood, own]);
  const again = gate.submit(ELSEWHERE, forged(network.miner.enrol(0, 3)));
  waiting.at(-1)!();
  await again;
});
