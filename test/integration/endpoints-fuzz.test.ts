import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { VerifierClient } from '../../rollouts/client.ts';
import { Endpoints } from '../../rollouts/endpoints.ts';
import { followLedger } from '../../rollouts/feed.ts';
import { failureSchema } from '../../src/protocol/api.ts';
import { concat, utf8 } from '../../src/protocol/bytes.ts';
import { CODES, type Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { ROUTES } from '../../verifier/routes.ts';
import { TestGateway } from '../helpers/gateway.ts';
import { KEYS, named, TestNetwork } from '../helpers/network.ts';
import { mutatedBytes, mutatedJson, type Random } from '../support/fuzz.ts';
import { seededRandom } from '../support/pulse.ts';

const LONG = Boolean(process.env.GRAIL_LONG);
const REQUESTS = LONG ? 60_000 : 1_500;
const ANSWERS = LONG ? 40_000 : 1_500;
const FRAMES = LONG ? 5_000 : 300;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
const AT_ONCE = 16;
const UNBOUNDED = 1e9;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Does `work` for every number below `count`, some at once. */
async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)]!;

/** Values of parameters, right and wrong. */
const VALUES = [
  ...[
    '0',
    '1',
    '3',
    '7',
    '999999',
    '1099511627776',
    '-1',
    '1.5',
    '1e3',
    '0x1',
    '',
    '%00',
    '%',
    '%ff',
    'null',
  ],
  ...['__proto__', '..%2f..%2fetc%2fpasswd', '%2e%2e', '..', ';', '[]', 'a'.repeat(300), '0'.repeat(2_100)],
  ...[KEYS.miner.address, KEYS.stranger.address, named('blob'), named('blob').slice(0, 20)],
];
const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'BREW',
  'get',
  'M-SEARCH',
];
const QUERY = ['from', 'to', 'limit', 'index', 'size', 'x', '__proto__', 'constructor', 'from[]', ''];
const HANDSHAKE = [
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${'A'.repeat(22)}==`,
];
const HEADERS = [
  'Content-Type: application/json',
  'Content-Type: text/plain',
  'Content-Type: application/json; charset="utf-8"',
  'Content-Encoding: gzip',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Content-Length: 0',
  'Content-Length: 99999999999999999999',
  'Content-Length: -1',
  'Expect: 100-continue',
  'Expect: nothing',
  'Connection: close',
  ...HANDSHAKE,
  'Upgrade: h2c',
  'Host: other',
  'Host: ',
  'Origin: https://example.org',
  'Range: bytes=0-0',
  'If-None-Match: *',
  'Cookie: a=b; __proto__=c',
  'X-Forwarded-For: 10.0.0.1',
  `traceparent: 00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`,
  'traceparent: x',
  'X: \u0001',
  ': ',
  `X-Long: ${'x'.repeat(20_000)}`,
];

/** One HTTP request, more or less. */
function anyRequest(random: Random, messages: readonly object[]): Uint8Array {
  const template = random(12) === 0 ? '/v1/events' : pick(random, ROUTES).path;
  const path = template.replace(/:\w+/g, () => pick(random, VALUES));
  const query =
    random(3) > 0
      ? []
      : Array.from({ length: 1 + random(3) }, () => [pick(random, QUERY), pick(random, VALUES)]);
  const target = query.length === 0 ? path : `${path}?${query.map((pair) => pair.join('=')).join('&')}`;
  const method = random(3) === 0 ? pick(random, METHODS) : path === '/v1/messages' ? 'POST' : 'GET';
  const body =
    method === 'POST' || random(8) === 0
      ? mutatedJson(pick(random, messages), pick(random, messages), random)
      : new Uint8Array(0);
  const headers = ['Host: x'];
  if (body.length > 0) headers.push(`Content-Length: ${body.length}`);
  if (random(4) > 0) headers.push('Content-Type: application/json');
  if (path === '/v1/events' && random(2) === 0) headers.push(...HANDSHAKE);
  for (let i = random(3); i > 0; i--) headers.push(pick(random, HEADERS));
  const whole = concat(utf8(`${method} ${target} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`), body);
  return random(4) === 0 ? mutatedBytes(whole, utf8('GET /healthz HTTP/1.1\r\n\r\n'), random) : whole;
}

/** Sends bytes and nothing more, and gives all that comes back. */
async function exchange(port: number, bytes: Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
  socket.end(bytes);
  await once(socket, 'close').catch(() => {});
  return Buffer.concat(chunks).toString('latin1');
}

/** The status and code of the first answer. */
function outcomeOf(answer: string): { status: number; code: string | null } {
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  if (status === 100) return outcomeOf(rest.join('\r\n\r\n'));
  if (status < 400) return { status, code: null };
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  const body = rest.join('\r\n\r\n').slice(0, length);
  // A HEAD has no body; what follows it may be the answer to what followed the request.
  if (body === '' || body.startsWith('HTTP/1.1 ')) return { status, code: null };
  return { status, code: failureSchema.parse(JSON.parse(Buffer.from(body, 'latin1').toString())).error.code };
}

test(
  `${REQUESTS} altered requests to every endpoint are answered, or refused with a code below 500`,
  async () => {
    const gateway = await new TestGateway({
      ...{ requestsPerSecond: UNBOUNDED, requestsBurst: UNBOUNDED },
      ...{ messagesPerSecond: UNBOUNDED, messagesBurst: UNBOUNDED, refusedBurst: UNBOUNDED },
      ...{ registrationsPerSecond: UNBOUNDED, registrationsBurst: UNBOUNDED },
    }).start();
    ends.push(() => gateway.stop());
    const { network } = gateway;
    await network.run(0);
    await network.blobs.put(utf8('a blob'));
    const messages = [network.miner, network.other, network.stranger].flatMap((miner) => [
      ...[miner.register(), miner.enrol(1), miner.commit(0), miner.opening(1), miner.proof(1, 0)],
    ]);
    const random = seededRandom(2_027);
    const seen = new Map<string, number>();
    await each(REQUESTS, async (index) => {
      const request = anyRequest(random, messages);
      const answer = await exchange(gateway.port, request);
      const where = `request ${index}: ${Buffer.from(request).toString('latin1').slice(0, 1_000)}`;
      let outcome: ReturnType<typeof outcomeOf>;
      try {
        outcome = outcomeOf(answer);
      } catch (error) {
        throw new Error(`${where}\n${answer.slice(0, 1_000)}`, { cause: error });
      }
      const { status, code } = outcome;
      // Nothing to answer: less than a line came.
      if (answer === '') return;
      if (!(status < 500)) throw new Error(`${where}\n${answer.slice(0, 1_000)}`);
      if (code !== null) expect([where, CODES[code as Code].status]).toEqual([where, status]);
      const name = code ?? String(status);
      seen.set(name, (seen.get(name) ?? 0) + 1);
    });
    for (const name of ['200', '101', 'BAD_REQUEST', 'NOT_FOUND', 'TOO_LARGE']) {
      expect([name, seen.has(name)]).toEqual([name, true]);
    }
    expect(gateway.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
    await gateway.expectAlive();
  },
  TIMEOUT_MS,
);

/** A verifier that answers every path with what `answers` holds for it, altered. */
async function alteredVerifier(answers: ReadonlyMap<string, unknown>, random: Random): Promise<string> {
  const all = [...answers.values()];
  const server: Server = createServer((request, response) => {
    request.resume();
    const value = answers.get(request.url!) ?? pick(random, all);
    const sound = request.url === '/v1/genesis' && random(2) === 0;
    const status = sound || random(4) > 0 ? 200 : pick(random, [200, 204, 400, 404, 429, 500, 503]);
    response.writeHead(status, {
      'retry-after': pick(random, ['1', '-1', 'NaN', 'Infinity', '9'.repeat(400)]),
    });
    response.end(sound ? JSON.stringify(value) : mutatedJson(value, pick(random, all), random));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The code of what is refused; anything that is no coded error fails the test. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'taken';
  } catch (error) {
    if (error instanceof GrailError && Object.hasOwn(CODES, error.code)) return error.code;
    throw error;
  }
}

test(
  `${ANSWERS} altered answers of a verifier are refused by the miner’s client with a code`,
  async () => {
    const network = new TestNetwork();
    ends.push(async () => network.remove());
    await network.run(0);
    const message = network.miner.enrol(1);
    const miner = KEYS.miner.address;
    const answers = new Map<string, unknown>([
      ['/v1/genesis', network.genesis],
      ['/v1/messages', await network.submit(message)],
      [`/v1/receipts/0/${miner}`, await network.receipt(0, miner)],
      ['/v1/status', network.status()],
      ['/refusal', { error: { code: 'PHASE_CLOSED', message: 'no', details: { window: 1 } } }],
    ]);
    const random = seededRandom(2_028);
    const url = await alteredVerifier(answers, random);
    let client: VerifierClient | null = null;
    while (client === null) client = await VerifierClient.connect({ url }).catch(() => null);
    const sound = client;
    const seen = new Map<string, number>();
    await each(ANSWERS, async (index) => {
      const asks = [
        () => sound.post(message),
        () => sound.receipt(0, miner),
        () => sound.status(),
        () => sound.blob(named('blob')),
        () => VerifierClient.connect({ url, expectedGenesis: named('genesis') }),
      ];
      const code = await codeOf(asks[index % asks.length]!());
      seen.set(code, (seen.get(code) ?? 0) + 1);
    });
    for (const code of ['taken', 'BAD_REQUEST', 'BAD_SIGNATURE', 'BLOB_CORRUPT', 'GENESIS_MISMATCH']) {
      expect([code, seen.has(code)]).toEqual([code, true]);
    }
  },
  TIMEOUT_MS,
);

test(
  `${FRAMES} altered sequences of frames end the miner’s feed with a code, or are followed`,
  async () => {
    const network = new TestNetwork();
    ends.push(async () => network.remove());
    await network.run(0);
    const { size } = network.ledger;
    const hello = {
      type: 'hello',
      genesisHash: `0x${Buffer.from(network.state.genesisHash).toString('hex')}`,
      size,
    };
    const error = { code: 'LEDGER_CORRUPT', message: 'no', details: {} };
    const frames: object[] = [
      ...[...network.ledger.range()].map(({ index, entry }) => ({ type: 'entry', index, entry })),
      ...[hello, { type: 'synced', size }, { type: 'pong' }, { type: 'error', error }],
      { type: 'refused', miner: KEYS.miner.address, window: 0, message: 'commit', error },
      { type: 'evaluation', version: 1, meanReturn: 20.5, episodes: 100 },
    ];
    const random = seededRandom(2_029);
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    ends.push(async () => {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    });
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.send(JSON.stringify(hello));
      for (let i = 0; i < 3; i++) {
        const bytes = mutatedJson(pick(random, frames), pick(random, frames), random);
        socket.send(bytes, { binary: random(50) === 0 });
      }
      socket.close();
    });
    const { port } = server.address() as AddressInfo;
    const seen = new Map<string, number>();
    await each(FRAMES, async () => {
      const aborter = new AbortController();
      const code = await codeOf(
        followLedger({
          endpoints: new Endpoints([new URL(`http://127.0.0.1:${port}/`)]),
          genesisHash: network.state.genesisHash,
          miner: KEYS.miner.address,
          next: () => 0,
          signal: aborter.signal,
          onEntry: () => {},
          onSynced: () => {},
          // A connection that ends is no fault: the next one would be tried.
          onDown: () => aborter.abort(),
        }),
      );
      seen.set(code, (seen.get(code) ?? 0) + 1);
    });
    for (const code of ['taken', 'BAD_REQUEST']) expect([code, seen.has(code)]).toEqual([code, true]);
  },
  TIMEOUT_MS,
);
