import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failureSchema } from '../../src/protocol/api.ts';
import { CODES, type Code } from '../../src/protocol/codes.ts';
import { acknowledgementSchema } from '../../src/protocol/wire.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { TestGateway } from '../helpers/gateway.ts';
import type { TestNetwork } from '../helpers/network.ts';

const COUNT = process.env.GRAIL_LONG ? 100_000 : 3_000;
const SEED = 20_260_117;
const UNBOUNDED = 1e9;
const TIMEOUT_MS = process.env.GRAIL_LONG ? 3_600_000 : 120_000;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await new TestGateway({
    messagesPerSecond: UNBOUNDED,
    messagesBurst: UNBOUNDED,
    requestsPerSecond: UNBOUNDED,
    requestsBurst: UNBOUNDED,
    framesPerSecond: UNBOUNDED,
    framesBurst: UNBOUNDED,
    socketBytesPerSecond: UNBOUNDED,
    socketBytesBurst: UNBOUNDED,
    registrationsPerSecond: UNBOUNDED,
    registrationsBurst: UNBOUNDED,
    refusedPerSecond: UNBOUNDED,
    refusedBurst: UNBOUNDED,
    bodyBytesPerSecond: UNBOUNDED,
    badFrames: UNBOUNDED,
  }).start();
  const { network } = gateway;
  await network.run(0);
  // Every phase has a window in it, so that mutations meet every rule.
  for (const miner of [network.miner, network.other]) network.take(miner.enrol(1));
  await network.close(1);
  network.take(network.miner.commit(1));
});

afterAll(() => gateway.stop());

/** Values that parsers and checks are known to stumble over. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    '0x',
    '0x0',
    -0,
    -1,
    2 ** 53,
    1e308,
    5e-324,
    '\u0000',
    '\ud800',
    '__proto__',
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.integer().map((value) => `0x${(value >>> 0).toString(16)}`),
);

function messages(network: TestNetwork): Record<string, unknown>[] {
  return [network.miner, network.other, network.stranger].flatMap((miner) => [
    miner.register(),
    ...[0, 1, 2, 3].flatMap((window) => [
      miner.enrol(window),
      miner.commit(window),
      miner.opening(window),
      miner.proof(window, window % 3),
    ]),
  ]);
}

/** A message with one thing changed, as text or bytes. */
function mutated(network: TestNetwork): fc.Arbitrary<string | Uint8Array> {
  const valid = fc.constantFrom(...messages(network));
  const field = fc.nat(8);
  const name = (message: object, at: number) => Object.keys(message)[at % Object.keys(message).length]!;
  const text = valid.map((message) => JSON.stringify(message));
  return fc.oneof(
    text,
    fc
      .tuple(valid, field, odd)
      .map(([message, at, value]) => JSON.stringify({ ...message, [name(message, at)]: value })),
    fc
      .tuple(valid, fc.string(), odd)
      .map(([message, key, value]) => JSON.stringify({ ...message, [key]: value })),
    fc.tuple(valid, field).map(([message, at]) => {
      const { [name(message, at)]: _, ...rest } = message;
      return JSON.stringify(rest);
    }),
    fc
      .tuple(valid, field, fc.nat(2_000), fc.constantFrom(...'0123456789abcdefgX"\\'))
      .map(([message, at, position, digit]) => {
        const key = name(message, at);
        const value = message[key];
        if (typeof value !== 'string' || value.length < 3) return JSON.stringify(message);
        const place = 2 + (position % (value.length - 2));
        return JSON.stringify({ ...message, [key]: value.slice(0, place) + digit + value.slice(place + 1) });
      }),
    fc.tuple(text, fc.nat(), fc.nat(255)).map(([whole, position, byte]) => {
      const bytes = new TextEncoder().encode(whole);
      bytes[position % bytes.length] = byte;
      return bytes;
    }),
    fc.tuple(text, fc.nat()).map(([whole, length]) => whole.slice(0, length % whole.length)),
    fc.tuple(valid, valid).map(([a, b]) => JSON.stringify({ ...a, ...b })),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.uint8Array({ maxLength: 300 }),
  );
}

test(
  `${COUNT} mutated messages get an acknowledgement or a coded refusal, never a fault of the verifier`,
  async () => {
    const inputs = fc.sample(mutated(gateway.network), { numRuns: COUNT, seed: SEED });
    const seen = new Map<string, number>();
    const worker = async () => {
      for (let input = inputs.pop(); input !== undefined; input = inputs.pop()) {
        const response = await gateway.post(input);
        const answer = await response.json();
        const { status } = response;
        if (status === 200) acknowledgementSchema.parse(answer);
        const code = status === 200 ? 'acknowledged' : failureSchema.parse(answer).error.code;
        if (status !== 200) expect(CODES[code as Code].status).toBe(status);
        if (status >= 500) throw new Error(`${code}: ${String(input).slice(0, 1_000)}`);
        seen.set(code, (seen.get(code) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    // The inputs reach past the parser: otherwise this would test nothing but JSON.
    for (const code of [
      'acknowledged',
      'BAD_REQUEST',
      'BAD_SIGNATURE',
      'NOT_REGISTERED',
      'PHASE_NOT_OPEN',
      'PHASE_CLOSED',
    ]) {
      expect([code, (seen.get(code) ?? 0) > 0]).toEqual([code, true]);
    }
    await gateway.expectAlive();
    const replay = new NetworkState(gateway.network.genesis);
    for (const { entry } of gateway.network.ledger.range()) replay.apply(entry);
    expect(replay.size).toBe(gateway.network.ledger.size);
  },
  TIMEOUT_MS,
);

test(
  `${COUNT} mutated frames get an answer each or none, and the connection goes on`,
  async () => {
    const frame = fc.constantFrom<Record<string, unknown>>(
      { type: 'ping' },
      { type: 'subscribe', from: 0 },
      { type: 'subscribe', from: 0, entries: 'closers', miner: `0x${'11'.repeat(20)}` },
    );
    const arbitrary: fc.Arbitrary<string> = fc.oneof(
      fc
        .tuple(frame, fc.constantFrom('type', 'from', 'entries', 'miner'), odd)
        .map(([f, key, value]) => JSON.stringify({ ...f, [key]: value })),
      fc.tuple(frame, fc.string(), odd).map(([f, key, value]) => JSON.stringify({ ...f, [key]: value })),
      fc.tuple(frame, fc.nat()).map(([f, length]) => JSON.stringify(f).slice(0, length % 30)),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
    );
    const inputs = fc
      .sample(arbitrary, { numRuns: COUNT, seed: SEED })
      .filter((text) => Buffer.byteLength(text) < 4_096);
    const socket = await gateway.open();
    for (const [index, input] of inputs.entries()) {
      socket.send(input);
      if (index % 100 === 99) {
        const pongs = socket.of('pong').length;
        socket.send({ type: 'ping' });
        await socket.until(() => socket.of('pong').length > pongs);
      }
    }
    socket.send({ type: 'ping' });
    await socket.until(() => socket.frames.at(-1)?.type === 'pong');
    expect(socket.closed).toBeNull();
    const errors = socket.of('error');
    expect(errors.length).toBeGreaterThan(COUNT / 2);
    for (const { error } of errors) expect(['BAD_REQUEST', 'NOT_FOUND']).toContain(error.code);
    expect(socket.of('synced').length).toBe(1);
    await gateway.expectAlive();
  },
  TIMEOUT_MS,
);
