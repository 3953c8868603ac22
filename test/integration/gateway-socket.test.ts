import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { failureSchema } from '../../src/protocol/api.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { SequencerView } from '../../verifier/types.ts';
import { TestGateway, type TestSocket } from '../helpers/gateway.ts';
import { KEYS, type TestNetwork } from '../helpers/network.ts';

const running: TestGateway[] = [];

const start = async (...options: ConstructorParameters<typeof TestGateway>) => {
  const gateway = await new TestGateway(...options).start();
  running.push(gateway);
  return gateway;
};

afterEach(async () => {
  for (const gateway of running.splice(0)) {
    await gateway.expectAlive();
    await gateway.stop();
  }
});

const indices = (socket: TestSocket) => socket.of('entry').map(({ index }) => index);
const upTo = (size: number, from = 0) => Array.from({ length: size - from }, (_, i) => from + i);

/** Sends a frame and gives the error that it is answered with. */
async function errorOf(socket: TestSocket, frame: unknown): Promise<string> {
  const before = socket.of('error').length;
  socket.send(frame);
  return (await socket.next('error', before + 1)).error.code;
}

describe('following a ledger', () => {
  test('a connection is greeted with the network and the size of its ledger, and told nothing more', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    const hello = await socket.next('hello');
    expect(hello).toEqual({ type: 'hello', genesisHash: toHex(gateway.network.state.genesisHash), size: 1 });
    gateway.network.take(gateway.network.miner.enrol(0));
    socket.send({ type: 'ping' });
    await socket.next('pong');
    expect(socket.frames.map(({ type }) => type)).toEqual(['hello', 'pong']);
  });

  test('a subscriber gets the backlog, the word that it is complete, and what follows', async () => {
    const gateway = await start();
    const { network } = gateway;
    await network.run(0);
    const { size } = network.ledger;
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 2 });
    expect((await socket.next('synced')).size).toBe(size);
    expect(indices(socket)).toEqual(upTo(size, 2));
    await network.run(1);
    await socket.until(() => indices(socket).length === network.ledger.size - 2);
    expect(socket.of('entry').map(({ entry }) => entry)).toEqual(
      [...network.ledger.range(2)].map(({ entry }) => entry),
    );
    expect(socket.of('synced').length).toBe(1);
  });

  test('a subscriber at the end is synced at once', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 1 });
    expect((await socket.next('synced')).size).toBe(1);
  });

  test('nothing is missed or repeated when entries are appended while the backlog is sent', async () => {
    // The backlog pauses at every entry, so that it is sent in as many pieces as possible.
    const gateway = await start({ socketPauseBytes: 1 });
    const { network } = gateway;
    for (let window = 0; window < 4; window++) await network.run(window);
    const sockets = await Promise.all([1, 2, 3, 4].map(() => gateway.open()));
    for (const [i, socket] of sockets.entries()) socket.send({ type: 'subscribe', from: 7 * i });
    for (let window = 4; window < 8; window++) {
      await network.run(window);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { size } = network.ledger;
    for (const [i, socket] of sockets.entries()) {
      await socket.until(() => indices(socket).at(-1) === size - 1);
      expect(indices(socket)).toEqual(upTo(size, 7 * i));
      const synced = socket.frames.findIndex(({ type }) => type === 'synced');
      const before = socket.frames.slice(0, synced).filter(({ type }) => type === 'entry').length;
      expect(socket.of('synced')[0]!.size).toBe(7 * i + before);
    }
  });

  test('a follower of closers gets those of verifiers, genesis, and the entries of its miner', async () => {
    const gateway = await start();
    const { network } = gateway;
    await network.run(0);
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 0, entries: 'closers', miner: KEYS.miner.address });
    await network.run(1);
    const wanted = [...network.ledger.range()].filter(({ entry }) => entry.author !== KEYS.other.address);
    await socket.until(() => indices(socket).length === wanted.length);
    expect(indices(socket)).toEqual(wanted.map(({ index }) => index));
    const without = await gateway.open();
    without.send({ type: 'subscribe', from: 0, entries: 'closers' });
    await without.next('synced');
    expect(new Set(without.of('entry').map(({ entry }) => entry.author))).toEqual(
      new Set([null, KEYS.verifier.address]),
    );
  });

  test('refusals go to those who follow everything, and to the miner whose message it was', async () => {
    const gateway = await start();
    const { network } = gateway;
    const [all, own, others, silent] = await Promise.all([1, 2, 3, 4].map(() => gateway.open()));
    all!.send({ type: 'subscribe', from: 1 });
    own!.send({ type: 'subscribe', from: 1, entries: 'closers', miner: KEYS.miner.address });
    others!.send({ type: 'subscribe', from: 1, entries: 'closers', miner: KEYS.other.address });
    for (const socket of [all!, own!, others!]) await socket.next('synced');
    expect((await gateway.post(network.miner.commit(0))).status).toBe(409);
    for (const socket of [all!, own!]) {
      expect(await socket.next('refused')).toMatchObject({
        miner: KEYS.miner.address,
        window: 0,
        message: 'commit',
        error: { code: 'PHASE_NOT_OPEN' },
      });
    }
    for (const socket of [others!, silent!]) {
      socket.send({ type: 'ping' });
      await socket.next('pong');
      expect(socket.of('refused')).toEqual([]);
    }
  });

  test('evaluations go to subscribers', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 1 });
    await socket.next('synced');
    const event = { type: 'evaluation', version: 3, meanReturn: 480.5, episodes: 100 } as const;
    gateway.network.emit(event);
    expect(await socket.next('evaluation')).toEqual(event);
  });
});

describe('wrong frames', () => {
  const wrong: unknown[] = [
    '',
    'x',
    'null',
    '[]',
    '1',
    '{}',
    '{"type":"subscribe"}',
    { type: 'publish' },
    { type: '__proto__' },
    { type: 'ping', more: 1 },
    '{"type":"ping","__proto__":{}}',
    { type: 'subscribe', from: -1 },
    { type: 'subscribe', from: 1.5 },
    { type: 'subscribe', from: '0' },
    { type: 'subscribe', from: null },
    { type: 'subscribe', from: 2 ** 60 },
    '{"type":"subscribe","from":NaN}',
    { type: 'subscribe', from: 0, entries: 'some' },
    { type: 'subscribe', from: 0, miner: '0x00' },
    { type: 'subscribe', from: 0, miner: KEYS.miner.address.toUpperCase() },
    { type: 'subscribe', from: 0, constructor: 1 },
    '['.repeat(4_000),
  ];

  test('each is answered with BAD_REQUEST, and the connection goes on', async () => {
    const gateway = await start({ badFrames: wrong.length + 2, framesBurst: 1_000 });
    const socket = await gateway.open();
    for (const frame of wrong) expect([frame, await errorOf(socket, frame)]).toEqual([frame, 'BAD_REQUEST']);
    socket.socket.send(Buffer.from('{"type":"ping"}'), { binary: true });
    expect((await socket.next('error', wrong.length + 1)).error.message).toContain('binary');
    socket.send({ type: 'subscribe', from: 0 });
    await socket.next('synced');
  });

  test('an entry that does not exist cannot be followed', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    expect(await errorOf(socket, { type: 'subscribe', from: 2 })).toBe('NOT_FOUND');
    socket.send({ type: 'subscribe', from: 0 });
    await socket.next('synced');
  });

  test('a second subscription is refused, and the first goes on', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 1 });
    await socket.next('synced');
    expect(await errorOf(socket, { type: 'subscribe', from: 0 })).toBe('BAD_REQUEST');
    gateway.network.take(gateway.network.miner.enrol(0));
    await socket.next('entry');
    expect(indices(socket)).toEqual([1]);
  });

  test('a connection that sends nothing but wrong frames is closed', async () => {
    const gateway = await start({ badFrames: 3 });
    const socket = await gateway.open();
    for (const _ of [1, 2, 3]) socket.send({ type: 'x' });
    expect(await socket.close()).toEqual({ code: 4400, reason: 'BAD_REQUEST' });
    expect(socket.of('error').length).toBe(3);
  });

  test('a flood of frames closes the connection', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    for (let i = 0; i < 500; i++) socket.send({ type: 'ping' });
    expect(await socket.close()).toEqual({ code: 4429, reason: 'TOO_MANY_REQUESTS' });
    expect(socket.of('pong').length).toBeLessThan(100);
  });

  test('a frame beyond the limit closes the connection', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    socket.send({ type: 'ping', filler: 'x'.repeat(5_000) });
    expect((await socket.close()).code).toBe(1009);
  });

  test('a fragmented frame beyond the limit closes the connection', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    for (let i = 0; i < 100; i++) socket.socket.send('x'.repeat(100), { fin: false });
    expect((await socket.close()).code).toBe(1009);
  });

  /** Bytes on a bare connection after a handshake; gives the close code that comes back. */
  async function closeCodeAfter(gateway: TestGateway, bytes: Buffer): Promise<number> {
    const socket = connect(gateway.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.write(
      'GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`,
    );
    while (!Buffer.concat(chunks).includes('hello')) await once(socket, 'data');
    socket.write(bytes);
    await once(socket, 'end');
    socket.destroy();
    const all = Buffer.concat(chunks);
    expect(all[all.length - 4]).toBe(0x88);
    return all.readUInt16BE(all.length - 2);
  }

  test('what is no frame, or no UTF-8, closes the connection', async () => {
    const gateway = await start();
    const masked = (opcode: number, payload: number[]) =>
      Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0, ...payload]);
    expect(await closeCodeAfter(gateway, masked(1, [0xff, 0xfe]))).toBe(1007);
    expect(await closeCodeAfter(gateway, masked(7, [0]))).toBe(1002);
    // A client must mask.
    expect(await closeCodeAfter(gateway, Buffer.from([0x81, 1, 0x78]))).toBe(1002);
  });
});

describe('work that is no frame', () => {
  test('pings of the protocol count as frames', async () => {
    const gateway = await start();
    const socket = await gateway.open();
    for (let i = 0; i < 200; i++) socket.socket.ping();
    expect(await socket.close()).toEqual({ code: 4429, reason: 'TOO_MANY_REQUESTS' });
  });

  test('fragments without end are bounded by their bytes', async () => {
    const gateway = await start({ socketBytesBurst: 5_000 });
    const socket = await gateway.open();
    for (let i = 0; i < 2_000; i++) socket.socket.send('', { fin: false });
    expect(await socket.close()).toEqual({ code: 4429, reason: 'TOO_MANY_REQUESTS' });
  });

  test('refusals are told at a bounded rate, and entries all the same', async () => {
    const gateway = await start({ toldRefusalsBurst: 10 });
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 1 });
    await socket.next('synced');
    const error = new GrailError('PHASE_CLOSED', 'no').toJSON();
    for (let i = 0; i < 500; i++) {
      gateway.network.emit({ type: 'refused', miner: null, window: null, message: 'commit', error });
    }
    gateway.network.take(gateway.network.miner.enrol(0));
    await socket.next('entry');
    expect(socket.of('refused').length).toBeGreaterThanOrEqual(10);
    expect(socket.of('refused').length).toBeLessThan(100);
  });
});

describe('limits of sockets', () => {
  async function refusedUpgrade(
    gateway: TestGateway,
  ): Promise<{ status: number; code: string; retryAfter: string }> {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/events`);
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const { error } = failureSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
    return { status: response.statusCode, code: error.code, retryAfter: response.headers['retry-after'] };
  }

  test('sockets of one address are bounded, and free again when they close', async () => {
    const gateway = await start({ socketsPerAddress: 2 });
    const [first] = [await gateway.open(), await gateway.open()];
    expect(await refusedUpgrade(gateway)).toEqual({
      status: 429,
      code: 'TOO_MANY_REQUESTS',
      retryAfter: '10',
    });
    first!.socket.close();
    await first!.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await (await gateway.open()).next('hello');
  });

  test('sockets are bounded in total', async () => {
    const gateway = await start({ sockets: 1 });
    await gateway.open();
    expect((await refusedUpgrade(gateway)).code).toBe('TOO_MANY_REQUESTS');
  });

  test('a reader that stops is paused, and goes on without a gap when it reads again', async () => {
    const gateway = await start({ heartbeatMs: 60_000 });
    const { network } = gateway;
    const socket = await gateway.open();
    await socket.next('hello');
    socket.socket.pause();
    socket.send({ type: 'subscribe', from: 0 });
    // 16 MB of entries: more than the kernel takes for a reader.
    const body = { type: 'filler', filler: 'x'.repeat(1_000_000) };
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 16; i++) {
      const index = network.ledger.append({ window: 0, phase: 'enrol', view: 0, author: null, body }).index;
      network.emit({ type: 'entry', index, entry: network.ledger.get(index) });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64_000_000);
    socket.socket.resume();
    await socket.until(() => indices(socket).length === 17);
    expect(indices(socket)).toEqual(upTo(17));
  });

  test('a reader that takes in nothing of what is live is dropped', async () => {
    const gateway = await start({ socketBufferBytes: 100_000 });
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 1 });
    await socket.next('synced');
    socket.socket.pause();
    const error = new GrailError('PHASE_CLOSED', 'x'.repeat(4_000)).toJSON();
    // The kernel takes some megabytes for a reader before anything waits.
    for (let i = 0; i < 8_000; i++) {
      gateway.network.emit({ type: 'refused', miner: null, window: null, message: 'commit', error });
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.socket.resume();
    await socket.until(() => socket.closed !== null);
    expect(socket.of('refused').length).toBeLessThan(8_000);
    expect([1006, 4429]).toContain(socket.closed!.code);
  });

  test('readers wait in turn when too much is waiting for all of them, and miss nothing', async () => {
    // One address has a quarter: one of the frames below.
    const gateway = await start({ socketBytesInFlight: 12_000_000, heartbeatMs: 60_000 });
    const { network } = gateway;
    const [stopped, reading] = [await gateway.open(), await gateway.open()];
    await reading.next('hello');
    stopped.socket.pause();
    for (const socket of [stopped, reading]) socket.send({ type: 'subscribe', from: 1 });
    await reading.next('synced');
    // More than the kernel takes for a reader.
    const body = { type: 'filler', filler: 'x'.repeat(2_000_000) };
    for (let i = 0; i < 12; i++) {
      const { index } = network.ledger.append({ window: 0, phase: 'enrol', view: 0, author: null, body });
      network.emit({ type: 'entry', index, entry: network.ledger.get(index) });
    }
    reading.send({ type: 'ping' });
    await reading.next('pong');
    stopped.socket.terminate();
    await reading.until(() => indices(reading).length === 12);
    expect(indices(reading)).toEqual(upTo(13, 1));
  });

  test('a reader that takes nothing is cut, whatever it says meanwhile', async () => {
    const gateway = await start({ heartbeatMs: 100, idleTimeoutMs: 500, framesPerSecond: 1_000 });
    const { network } = gateway;
    const socket = await gateway.open();
    await socket.next('hello');
    socket.socket.pause();
    socket.send({ type: 'subscribe', from: 1 });
    const body = { type: 'filler', filler: 'x'.repeat(2_000_000) };
    for (let i = 0; i < 12; i++) {
      network.ledger.append({ window: 0, phase: 'enrol', view: 0, author: null, body });
    }
    network.emit({ type: 'entry', index: 1, entry: network.ledger.get(1) });
    const alive = setInterval(() => socket.send({ type: 'ping' }), 50);
    // The cut is seen when a send fails, not by reading.
    await new Promise((resolve) => socket.socket.once('close', resolve).once('error', resolve));
    clearInterval(alive);
    expect(socket.of('entry').length).toBeLessThan(12);
  });

  test('a peer that is gone is noticed by its silence', async () => {
    const gateway = await start({ heartbeatMs: 100 });
    const quiet = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/events`, { autoPong: false });
    quiet.on('error', () => {});
    const closed = once(quiet, 'close');
    const lively = await gateway.open();
    const [code] = await closed;
    expect(code).toBe(1006);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(lively.closed).toBeNull();
  });

  test('a ledger that cannot be read closes the connection with its code', async () => {
    const gateway = await start({}, (network: TestNetwork): SequencerView => {
      const ledger = new Proxy(network.ledger, {
        get(target, name) {
          if (name === 'read') {
            return () => {
              throw new GrailError('LEDGER_CORRUPT', '/secret/path is damaged', { index: 0 });
            };
          }
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return {
        state: network.state,
        ledger,
        submit: (message) => network.submit(message),
        head: () => network.head(),
        receipt: (window, miner) => network.receipt(window, miner),
        status: () => network.status(),
        subscribe: (listener) => network.subscribe(listener),
      };
    });
    const socket = await gateway.open();
    socket.send({ type: 'subscribe', from: 0 });
    expect(await socket.close()).toEqual({ code: 4500, reason: 'LEDGER_CORRUPT' });
    expect(JSON.stringify(socket.frames)).not.toContain('secret');
  });
});
