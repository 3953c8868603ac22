import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { MAX_OBSERVATION_BYTES } from '../../src/params/constants.ts';
import { failureSchema } from '../../src/protocol/api.ts';
import { Identity } from '../../src/protocol/identity.ts';
import type { Message } from '../../src/protocol/messages.ts';
import { acknowledgementSchema } from '../../src/protocol/wire.ts';
import type { GatewayLimits } from '../../verifier/limits.ts';
import type { GatewayProcessReport, GatewayProcessStart } from '../helpers/gateway-process.ts';
import { KEYS, named, TestMiner, TestNetwork, tinyGenesis } from '../helpers/network.ts';

/** How long an honest client may wait for anything while others attack: it shares two cores with them. */
const PATIENCE_MS = 20_000;
const HONEST = '127.0.0.1';
const ATTACKERS = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'];

/** Miners of genesis, each with a message that has not been posted yet. */
const identities = Array.from({ length: 64 }, (_, i) => new Identity(new Uint8Array(32).fill(100 + i)));
const genesis = tinyGenesis({
  miners: [KEYS.miner.address, KEYS.other.address, ...identities.map(({ address }) => address)].sort(),
});

let network: TestNetwork;
let fresh: TestMiner[] = [];
let child: ChildProcess | null = null;
let port = 0;
let report: GatewayProcessReport;
const open = new Set<Socket | WebSocket>();

beforeEach(() => {
  network = new TestNetwork(genesis);
  fresh = identities.map((identity) => new TestMiner(network, identity));
});

afterEach(async () => {
  for (const socket of open) socket instanceof WebSocket ? socket.terminate() : socket.destroy();
  open.clear();
  network.remove();
  const gone = once(child!, 'exit');
  child!.disconnect();
  const [code] = await gone;
  child = null;
  expect(code).toBe(0);
});

async function start(limits: Partial<GatewayLimits> = {}, blobs: number[] = []): Promise<void> {
  const told: GatewayProcessStart = { genesis, limits, blobs };
  const script = new URL('../helpers/gateway-process.ts', import.meta.url);
  child = fork(script, [JSON.stringify(told)], { stdio: 'inherit' });
  [report] = await once(child, 'message');
  port = Number(new URL(report.url).port);
}

async function look(): Promise<GatewayProcessReport> {
  child!.send('report');
  [report] = await once(child!, 'message');
  return report;
}

interface Reply {
  readonly status: number;
  readonly code: string | null;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One request on a connection of its own. Rejects when the connection breaks. */
function ask(address: string, path: string, body?: string | Uint8Array): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...{ host: '127.0.0.1', port, path, localAddress: address, agent: false },
      method: body === undefined ? 'GET' : 'POST',
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
    });
    request.on('error', reject).on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('error', reject).on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const status = response.statusCode!;
        const code = status < 400 ? null : failureSchema.parse(JSON.parse(text)).error.code;
        if (status === 429) expect(Number(response.headers['retry-after'])).toBeGreaterThanOrEqual(1);
        resolve({ status, code, headers: response.headers, text });
      });
    });
    request.end(body);
  });
}

const post = (address: string, message: Message | string) =>
  ask(address, '/v1/messages', typeof message === 'string' ? message : JSON.stringify(message));

/** Bytes on a bare connection that stays open. */
async function bare(address: string, text = ''): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: address });
  open.add(socket);
  socket.on('error', () => {}).on('close', () => open.delete(socket));
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('close', () => reject(new Error('closed before it was open')));
  });
  if (text !== '') socket.write(text);
  return socket;
}

function webSocket(address: string): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/events`, { localAddress: address });
  open.add(socket);
  return socket.on('error', () => {}).on('close', () => open.delete(socket));
}

/** Waits for a condition; the test's own time limit is the only other end. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Repeats what an attacker does until the flood is over; failures of its own connections are its business. */
class Flood {
  readonly codes = new Map<string, number>();
  readonly #rounds: Promise<void>[];
  #over = false;

  constructor(attack: (address: string) => Promise<Reply | null>, eachAddress = 8, addresses = ATTACKERS) {
    this.#rounds = addresses.flatMap((address) =>
      Array.from({ length: eachAddress }, async () => {
        while (!this.#over) {
          const reply = await attack(address).catch(() => null);
          const code = reply === null ? 'broken' : (reply.code ?? 'served');
          this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
  }

  count(code: string): number {
    return this.codes.get(code) ?? 0;
  }

  async end(): Promise<void> {
    this.#over = true;
    for (const socket of open) socket instanceof WebSocket ? socket.terminate() : socket.destroy();
    await Promise.all(this.#rounds);
  }
}

/** What an honest miner does, each within its patience: it posts what is new, reads, and follows the ledger. */
async function expectServed(rounds = 5): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    const posted = await post(HONEST, fresh.pop()!.enrol(0));
    expect([posted.status, posted.code]).toEqual([200, null]);
    acknowledgementSchema.parse(JSON.parse(posted.text));
    expect((await ask(HONEST, '/v1/entries?limit=2')).status).toBe(200);
    const socket = webSocket(HONEST);
    const entry = new Promise<void>((resolve, reject) => {
      socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
      socket.on('open', () => socket.send('{"type":"subscribe","from":0}'));
      socket.on('message', (data) => {
        if (String(data).includes('"synced"')) resolve();
      });
    });
    await entry;
    socket.removeAllListeners('close').terminate();
    open.delete(socket);
    expect(performance.now() - began).toBeLessThan(PATIENCE_MS);
  }
}

const forged = (message: Message): Message => ({ ...message, signature: network.other.enrol(7).signature });

describe('an honest miner is served in time during a flood of', () => {
  test('signatures that are not the miner’s, in the name of that very miner', async () => {
    await start();
    const victims = fresh.slice(-5);
    let slots = 0;
    const flood = new Flood((address) => {
      slots += 1;
      const victim = victims[slots % victims.length]!;
      return post(address, forged(victim.enrol(0, 1 + (slots % 8))));
    });
    await until(() => flood.count('BAD_SIGNATURE') >= 16 && flood.count('TOO_MANY_REQUESTS') >= 100);
    await expectServed();
    await flood.end();
    // After its burst an address gets but a few checks a second, whatever it sends.
    expect(flood.count('BAD_SIGNATURE')).toBeLessThan(flood.count('TOO_MANY_REQUESTS'));
    expect((await look()).entries).toBe(1 + 5);
  });

  test('registrations', async () => {
    await start({ registrationsPerSecond: 2, registrationsBurst: 5 });
    let key = 0;
    const began = performance.now();
    const flood = new Flood((address) => {
      key += 1;
      const identity = new Identity(
        new Uint8Array(32)
          .fill(7)
          .fill(key & 255, 0, 1)
          .fill(key >> 8, 1, 2),
      );
      return post(address, new TestMiner(network, identity).register());
    }, 2);
    await until(() => flood.count('TOO_MANY_REQUESTS') >= 100);
    await expectServed();
    await flood.end();
    const most = 5 + (2 * (performance.now() - began)) / 1000 + 1;
    expect(flood.count('served')).toBeLessThanOrEqual(most);
    expect((await look()).entries).toBeLessThanOrEqual(1 + 5 + most);
  });

  test('messages that one registered key signed and no rule allows', async () => {
    await start({ refusedPerSecond: 1, refusedBurst: 10 });
    let slots = 8;
    const flood = new Flood((address) => {
      slots += 1;
      return post(address, network.miner.enrol(0, slots));
    });
    await until(() => flood.count('TOO_MANY_REQUESTS') >= 100);
    await expectServed();
    await flood.end();
    expect(flood.count('SLOTS_INVALID')).toBeGreaterThanOrEqual(10);
  });

  test('one message again and again', async () => {
    await start();
    const message = JSON.stringify(network.miner.enrol(0));
    const flood = new Flood((address) => post(address, message));
    await until(() => flood.count('served') >= 500);
    await expectServed();
    await flood.end();
    expect((await look()).entries).toBe(1 + 1 + 5);
  });

  test('garbage of the largest size', async () => {
    await start({ bodyBytesBurst: 16_000_000 });
    const size = 2_399_000;
    const garbage = [
      `${'['.repeat(8)}${'1,'.repeat(1_000_000)}`,
      `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":0`).join()}}`,
      `{"type":"${'\\u0041'.repeat(size / 6 - 10)}"}`,
      `{"type":"commit","actions":"0x${'ab'.repeat(size / 2 - 100)}"}`,
      `[${'1'.repeat(size - 2)}]`,
      `{${'"type":"enrol",'.repeat(100_000)}"type":"enrol"}`,
    ];
    let next = 0;
    const flood = new Flood((address) => post(address, garbage[next++ % garbage.length]!), 2);
    await until(() => flood.count('BAD_REQUEST') >= 12 && flood.count('TOO_MANY_REQUESTS') >= 12);
    await expectServed();
    await flood.end();
  });

  test('headers that never end', async () => {
    await start({ connections: 60, connectionsPerAddress: 40, headersTimeoutMs: 3_000 });
    const flood = new Flood(async (address) => {
      const socket = await bare(address, 'GET /healthz HTTP/1.1\r\nHost: x\r\n');
      const drip = setInterval(() => socket.write('X: x\r\n'), 100);
      await once(socket, 'close');
      clearInterval(drip);
      return null;
    }, 30);
    await until(() => flood.count('broken') >= 60 && open.size >= 40);
    await expectServed();
    await flood.end();
  });

  test('bodies that stop in the middle', async () => {
    await start({ bodyBytesInFlight: 10_000_000, requestTimeoutMs: 60_000 });
    const head = 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const part = `${head}Content-Length: 2300000\r\n\r\n${' '.repeat(2_200_000)}`;
    const answers: string[] = [];
    for (const address of [...ATTACKERS, ...ATTACKERS]) {
      const socket = await bare(address, part);
      socket.on('data', (data) => answers.push(String(data)));
    }
    // Four fit; each further one makes an address with two lose its first, or finds no room.
    await until(() => answers.length >= 4);
    const opening = network.miner.opening(0, {
      traceDigests: [named('digest')],
      observations: `0x${'00'.repeat(MAX_OBSERVATION_BYTES)}`,
    });
    expect((await post(HONEST, opening)).code).toBe('PHASE_NOT_OPEN');
    await expectServed();
    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1\.1 429 [\s\S]*retry-after: 1[\s\S]*"limit":"bodyBytesInFlight"/i);
    }
  });

  test('answers that nobody reads', async () => {
    await start({ answerBytesInFlight: 100_000_000 }, [30_000_000, 30_000_000, 1_000]);
    const [large, , small] = report.blobs;
    for (const address of [...ATTACKERS, ...ATTACKERS]) {
      const socket = await bare(address);
      socket.pause();
      socket.write(`GET /v1/blobs/${large} HTTP/1.1\r\nHost: x\r\n\r\n`);
    }
    expect((await ask(HONEST, `/v1/blobs/${small}`)).text.length).toBe(1_000);
    await expectServed();
    expect((await look()).rssBytes).toBeLessThan(1_000_000_000);
  });

  test('connections', async () => {
    await start({ connections: 60, connectionsPerAddress: 40 });
    const flood = new Flood(async (address) => {
      const socket = (await bare(address)).resume();
      await once(socket, 'close');
      return null;
    }, 100);
    await until(() => flood.count('broken') >= 300);
    await expectServed();
    await flood.end();
  });

  test('upgrades, and sockets that send frames without end', async () => {
    await start({ sockets: 20, socketsPerAddress: 15, requestsPerSecond: 50, requestsBurst: 100 });
    const closes = new Map<number, number>();
    const giant = Buffer.alloc(1_000_000, 'x');
    let kind = 0;
    const flood = new Flood(async (address) => {
      const socket = webSocket(address);
      kind += 1;
      const own = kind % 4;
      const closed = new Promise<void>((resolve) => {
        socket.on('unexpected-response', (_request, response) => {
          response.resume();
          socket.terminate();
        });
        socket.on('close', (code) => {
          closes.set(code, (closes.get(code) ?? 0) + 1);
          resolve();
        });
      });
      socket.on('open', () => {
        const send = () => {
          if (socket.readyState !== WebSocket.OPEN) return;
          if (own === 0) socket.send(giant);
          if (own === 1) for (let i = 0; i < 20; i++) socket.send('{"type":"ping"}');
          if (own === 2) for (let i = 0; i < 20; i++) socket.ping();
          if (own === 3) for (let i = 0; i < 5_000; i++) socket.send('', { fin: false });
          setImmediate(send);
        };
        send();
      });
      await closed;
      return null;
    });
    await until(() => [1009, 4429].every((code) => (closes.get(code) ?? 0) >= 5));
    await expectServed();
    await flood.end();
  });

  test('requests down one connection without waiting for answers', async () => {
    await start({ requestsPerSecond: 100, requestsBurst: 200 });
    const texts = new Map<Socket, string>();
    for (const address of ATTACKERS) {
      const socket = await bare(address, 'GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2_000));
      texts.set(socket, '');
      socket.on('data', (data) => texts.set(socket, texts.get(socket)! + data));
    }
    await expectServed();
    const answers = (text: string) => text.match(/HTTP\/1\.1 \d+/g) ?? [];
    await until(() => [...texts.values()].every((text) => answers(text).length === 2_000));
    for (const text of texts.values()) {
      expect(new Set(answers(text))).toEqual(new Set(['HTTP/1.1 200', 'HTTP/1.1 429']));
    }
  });
});

describe('limits of one kind, just below and just beyond', () => {
  test('a connection that says nothing is told so and closed', async () => {
    await start({ headersTimeoutMs: 500 });
    const socket = await bare(HONEST);
    const [data] = await once(socket, 'data');
    expect(String(data)).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"TIMEOUT"/);
    await once(socket, 'close');
  });

  test('bytes of bodies of one address are bounded over time', async () => {
    await start({ bodyBytesPerSecond: 1, bodyBytesBurst: 2_000 });
    const body = `{"type":"${'x'.repeat(1_980)}"}`;
    expect((await post('127.0.0.2', body)).code).toBe('BAD_REQUEST');
    expect((await post('127.0.0.2', body)).code).toBe('BAD_REQUEST');
    const refused = await post('127.0.0.2', body);
    expect([refused.status, refused.text.includes('bodyBytesPerSecond')]).toEqual([429, true]);
    expect((await post('127.0.0.3', body)).code).toBe('BAD_REQUEST');
  });

  test('bytes of pages and blobs of one address are bounded over time', async () => {
    await start({ answerBytesPerSecond: 1, answerBytesBurst: 10_000 }, [9_990, 100]);
    const [large, small] = report.blobs;
    expect((await ask('127.0.0.2', `/v1/blobs/${large}`)).status).toBe(200);
    expect((await ask('127.0.0.2', `/v1/blobs/${small}`)).status).toBe(200);
    for (const path of [`/v1/blobs/${small}`, '/v1/entries']) {
      const refused = await ask('127.0.0.2', path);
      expect([refused.status, refused.text.includes('answerBytesPerSecond')]).toEqual([429, true]);
    }
    // What is small is not counted beforehand, and others have their own.
    expect((await ask('127.0.0.2', '/v1/status')).status).toBe(200);
    expect((await ask('127.0.0.3', `/v1/blobs/${small}`)).status).toBe(200);
  });

  test('an answer that drips to its reader ends', async () => {
    await start({ answerTimeoutMs: 1_000 }, [50_000_000]);
    const socket = await bare('127.0.0.2', `GET /v1/blobs/${report.blobs[0]} HTTP/1.1\r\nHost: x\r\n\r\n`);
    let bytes = 0;
    socket.on('data', ({ length }) => {
      bytes += length;
      socket.pause();
      setTimeout(() => socket.resume(), 20);
    });
    await once(socket, 'close');
    expect(bytes).toBeLessThan(50_000_000);
  });
});
