import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { checkHead, headSchema } from '../../src/ledger/head.ts';
import { MAX_OBSERVATION_BYTES } from '../../src/params/constants.ts';
import {
  consistencySchema,
  entriesSchema,
  genesisAnswerSchema,
  inclusionSchema,
  indexedEntrySchema,
  readySchema,
  statusSchema,
} from '../../src/protocol/api.ts';
import { fromHex, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { recover } from '../../src/protocol/identity.ts';
import { verifyConsistency, verifyInclusion } from '../../src/protocol/merkle.ts';
import { attestationDigest } from '../../src/protocol/messages.ts';
import { acknowledgementSchema, receiptSchema } from '../../src/protocol/wire.ts';
import { DEFAULT_LIMITS } from '../../verifier/limits.ts';
import { expectFailure, expectRawFailure, TestGateway } from '../helpers/gateway.ts';
import { KEYS, named } from '../helpers/network.ts';

describe('reading', () => {
  let gateway: TestGateway;
  let blob: `0x${string}`;

  beforeAll(async () => {
    gateway = await new TestGateway().start();
    await gateway.network.run(0);
    blob = await gateway.network.blobs.put(new Uint8Array([1, 2, 3]));
  });

  afterEach(() => gateway.expectAlive());
  afterAll(() => gateway.stop());

  test('genesis is the document that the network is named after', async () => {
    expect(genesisAnswerSchema.parse(await gateway.json('/v1/genesis'))).toEqual(gateway.network.genesis);
  });

  test('status reports windows and the newest policy', async () => {
    const status = statusSchema.parse(await gateway.json('/v1/status'));
    expect(status).toMatchObject({ policyVersion: 1, verdicts: 1, size: gateway.network.ledger.size });
    expect(status.windows.map(({ phase }) => phase)).toEqual(['done', 'enrol']);
  });

  test('the head is signed by the verifier', async () => {
    const head = headSchema.parse(await gateway.json('/v1/head'));
    checkHead(gateway.network.state.domain, head);
    expect(head).toMatchObject({ author: KEYS.verifier.address, treeSize: gateway.network.ledger.size });
  });

  test('entries come in pages that join without gaps', async () => {
    const { size } = gateway.network.ledger;
    const seen: unknown[] = [];
    while (seen.length < size) {
      const page = entriesSchema.parse(await gateway.json(`/v1/entries?from=${seen.length}&limit=3`));
      expect(page).toMatchObject({ from: seen.length, size });
      expect(page.entries.length).toBe(Math.min(3, size - seen.length));
      seen.push(...page.entries);
    }
    expect(seen).toEqual([...gateway.network.ledger.range()].map(({ entry }) => entry));
    expect(entriesSchema.parse(await gateway.json('/v1/entries')).entries).toEqual(seen);
    expect(entriesSchema.parse(await gateway.json(`/v1/entries?from=${size}`)).entries).toEqual([]);
  });

  test('one entry comes with its leaf hash', async () => {
    const found = indexedEntrySchema.parse(await gateway.json('/v1/entries/2'));
    expect(found).toEqual({
      index: 2,
      leaf: toHex(gateway.network.ledger.leaf(2)),
      entry: gateway.network.ledger.get(2),
    });
  });

  test('inclusion proofs verify, at the present size and an earlier one', async () => {
    for (const query of ['index=3', 'index=3&size=5']) {
      const found = inclusionSchema.parse(await gateway.json(`/v1/proofs/inclusion?${query}`));
      const { index, size } = found;
      const proof = found.proof.map(fromHex);
      expect(
        verifyInclusion({ leaf: fromHex(found.leaf), index, size, proof, root: fromHex(found.root) }),
      ).toBe(true);
      expect(found.root).toBe(toHex(gateway.network.ledger.root(size)));
    }
  });

  test('consistency proofs verify', async () => {
    const found = consistencySchema.parse(await gateway.json('/v1/proofs/consistency?from=3&to=7'));
    const { from, to } = found;
    const proof = found.proof.map(fromHex);
    const [fromRoot, toRoot] = [fromHex(found.fromRoot), fromHex(found.toRoot)];
    expect(verifyConsistency({ from, to, fromRoot, toRoot, proof })).toBe(true);
    const now = consistencySchema.parse(await gateway.json('/v1/proofs/consistency?from=0'));
    expect(now).toMatchObject({ from: 0, to: gateway.network.ledger.size, proof: [] });
  });

  test('a blob comes as its bytes, to be cached for ever', async () => {
    const response = await gateway.get(`/v1/blobs/${blob}`);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('cache-control')).toContain('immutable');
    expect(response.headers.get('etag')).toBe(`"${blob}"`);
  });

  test('a receipt is signed by the verifier', async () => {
    const path = `/v1/receipts/0/${KEYS.miner.address}`;
    const { verifier, signature, result, ...value } = receiptSchema.parse(await gateway.json(path));
    expect(recover(attestationDigest(gateway.network.state.domain, 'receipt', value), signature)).toBe(
      verifier,
    );
    expect(verifier).toBe(KEYS.verifier.address);
    expect(result).toMatchObject({ miner: KEYS.miner.address, credit: 200 });
  });

  test('readiness says what was checked', async () => {
    const { checks } = readySchema.parse(await gateway.json('/readyz'));
    expect(checks).toContainEqual({ check: 'gateway', ok: true, detail: 'taking requests' });
  });

  test('answers may be read by a web page of another origin', async () => {
    expect((await gateway.get('/v1/status')).headers.get('access-control-allow-origin')).toBe('*');
  });

  test('HEAD answers like GET without a body', async () => {
    const response = await gateway.get('/v1/genesis', { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  const wrong: [path: string, code: 'BAD_REQUEST' | 'NOT_FOUND' | 'BLOB_MISSING' | 'TOO_LARGE'][] = [
    ['/', 'NOT_FOUND'],
    ['/v1', 'NOT_FOUND'],
    ['/V1/genesis', 'NOT_FOUND'],
    ['/v1/genesis/', 'NOT_FOUND'],
    ['/v1//genesis', 'NOT_FOUND'],
    ['/v1/genesis?x=1', 'BAD_REQUEST'],
    ['/v1/head?__proto__=1', 'BAD_REQUEST'],
    ['/v1/status?constructor=1', 'BAD_REQUEST'],
    ['/v1/messages', 'BAD_REQUEST'],
    ['/v1/events', 'BAD_REQUEST'],
    ['/healthz?verbose=1', 'BAD_REQUEST'],
    ['/openapi.json?x', 'BAD_REQUEST'],
    ...[
      '-1',
      '1.5',
      'NaN',
      'Infinity',
      '1e3',
      '0x1',
      '01',
      '+1',
      '',
      'a',
      '%20',
      '1,2',
      '1%00',
      '9'.repeat(30),
    ].flatMap((text): [string, 'BAD_REQUEST'][] => [
      [`/v1/entries?from=${text}`, 'BAD_REQUEST'],
      [`/v1/entries?limit=${text}`, 'BAD_REQUEST'],
      [`/v1/proofs/inclusion?index=${text}`, 'BAD_REQUEST'],
      [`/v1/proofs/inclusion?index=0&size=${text}`, 'BAD_REQUEST'],
      [`/v1/proofs/consistency?from=${text}`, 'BAD_REQUEST'],
      [`/v1/receipts/${text || 'x'}/${KEYS.miner.address}`, 'BAD_REQUEST'],
    ]),
    ['/v1/entries/-1', 'BAD_REQUEST'],
    ['/v1/entries/x', 'BAD_REQUEST'],
    ['/v1/entries/%E0%A4%A', 'BAD_REQUEST'],
    ['/v1/entries/%FF', 'BAD_REQUEST'],
    ['/v1/entries?limit=0', 'BAD_REQUEST'],
    ['/v1/entries?limit=257', 'BAD_REQUEST'],
    ['/v1/entries?from=0&from=1', 'BAD_REQUEST'],
    ['/v1/entries?from[]=0', 'BAD_REQUEST'],
    ['/v1/entries?from=0&__proto__=1', 'BAD_REQUEST'],
    ['/v1/entries?from=0&x=1', 'BAD_REQUEST'],
    ['/v1/entries?from=100000', 'NOT_FOUND'],
    ['/v1/entries/100000', 'NOT_FOUND'],
    [`/v1/entries/${2 ** 40 + 1}`, 'BAD_REQUEST'],
    ['/v1/proofs/inclusion', 'BAD_REQUEST'],
    ['/v1/proofs/inclusion?index=5&size=5', 'NOT_FOUND'],
    ['/v1/proofs/inclusion?index=0&size=0', 'NOT_FOUND'],
    ['/v1/proofs/inclusion?index=0&size=100000', 'NOT_FOUND'],
    ['/v1/proofs/consistency?from=3&to=2', 'BAD_REQUEST'],
    ['/v1/proofs/consistency?from=0&to=100000', 'NOT_FOUND'],
    [`/v1/blobs/${named('nothing')}`, 'BLOB_MISSING'],
    [`/v1/blobs/${named('nothing').toUpperCase()}`, 'BAD_REQUEST'],
    [`/v1/blobs/${named('nothing').slice(2)}`, 'BAD_REQUEST'],
    [`/v1/blobs/${named('nothing')}00`, 'BAD_REQUEST'],
    ['/v1/blobs/0x', 'BAD_REQUEST'],
    ['/v1/blobs/..%2fledger.sqlite', 'BAD_REQUEST'],
    ['/v1/blobs/%2e%2e%2fledger.sqlite', 'BAD_REQUEST'],
    ['/v1/blobs/..%5cledger.sqlite', 'BAD_REQUEST'],
    ['/v1/blobs/%00', 'BAD_REQUEST'],
    ['/v1/receipts/1/0x00', 'BAD_REQUEST'],
    [`/v1/receipts/1/${KEYS.miner.address}`, 'NOT_FOUND'],
    [`/v1/receipts/0/${KEYS.stranger.address}`, 'NOT_FOUND'],
    [`/v1/receipts/0/${KEYS.miner.address.toUpperCase()}`, 'BAD_REQUEST'],
    [`/v1/entries?from=${'0'.repeat(3_000)}`, 'TOO_LARGE'],
  ];

  test(`${wrong.length} wrong requests are told what is wrong with them`, async () => {
    for (const [path, code] of wrong) {
      const response = await gateway.get(path);
      expect([path, response.status]).toEqual([
        path,
        { BAD_REQUEST: 400, NOT_FOUND: 404, BLOB_MISSING: 404, TOO_LARGE: 413 }[code],
      ]);
      await expectFailure(response, code);
    }
  });

  test('a path that climbs out of its folder is nothing to the router', async () => {
    // fetch would resolve the dots itself.
    for (const path of [
      '/v1/blobs/../../ledger.sqlite',
      '/../../../etc/passwd',
      '//v1/genesis',
      '/v1/blobs/..',
    ]) {
      const answer = await gateway.raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
      expect(answer).toMatch(/"code":"(?:NOT_FOUND|BAD_REQUEST)"/);
    }
  });

  test('a method that a path does not take is refused, with those that it takes', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const response = await gateway.get('/v1/genesis', { method });
      expect(response.headers.get('allow')).toBe('GET, HEAD');
      await expectFailure(response, 'BAD_REQUEST');
    }
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await gateway.get('/v1/messages', { method });
      expect(response.headers.get('allow')).toBe('POST');
      await expectFailure(response, 'BAD_REQUEST');
    }
  });

  test('a connection that speaks something else gets a coded answer', async () => {
    for (const text of [
      '\x16\x03\x01\x02\x00\x01\x00',
      'hello\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'BREW /pot HTTP/1.1\r\n\r\n',
    ]) {
      expectRawFailure(await gateway.raw(text), 'BAD_REQUEST');
    }
    expectRawFailure(await gateway.raw('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'), 'BAD_REQUEST');
    expectRawFailure(
      await gateway.raw('GET / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nConnection: close\r\n\r\n'),
      'BAD_REQUEST',
    );
    const upgrade = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    expectRawFailure(await gateway.raw(`GET /v1/status HTTP/1.1\r\n${upgrade}\r\n`), 'NOT_FOUND');
    expectRawFailure(await gateway.raw(`GET /v1/events HTTP/1.1\r\n${upgrade}\r\n`), 'BAD_REQUEST');
    expectRawFailure(await gateway.raw(`GET /v1/events?from=1 HTTP/1.1\r\n${upgrade}\r\n`), 'BAD_REQUEST');
    const smuggled =
      'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    expectRawFailure(await gateway.raw(smuggled), 'BAD_REQUEST');
  });

  test('headers without end are refused', async () => {
    const headers = `X-Filler: ${'x'.repeat(20_000)}\r\n`;
    expectRawFailure(await gateway.raw(`GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`), 'TOO_LARGE');
  });
});

describe('posting', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await new TestGateway().start();
  });

  afterEach(() => gateway.expectAlive());
  afterAll(() => gateway.stop());

  test('a message is acknowledged by a signature over its place in the ledger', async () => {
    const message = gateway.network.stranger.register();
    const response = await gateway.post(message);
    expect(response.status).toBe(200);
    const { verifier, signature, ...promise } = acknowledgementSchema.parse(await response.json());
    const digest = attestationDigest(gateway.network.state.domain, 'acknowledgement', promise);
    expect(recover(digest, signature)).toBe(verifier);
    expect(gateway.network.ledger.get(promise.index).body).toEqual(message);
    expect(toHex(gateway.network.ledger.root(promise.treeSize))).toBe(promise.treeRoot);
  });

  test('a rule that is broken comes back as its code and details', async () => {
    const { details } = await expectFailure(
      await gateway.post(gateway.network.miner.commit(0)),
      'PHASE_NOT_OPEN',
    );
    expect(details).toEqual({ window: 0, expected: 'commit', got: 'enrol' });
    const { signature } = gateway.network.other.enrol(0);
    await expectFailure(
      await gateway.post({ ...gateway.network.miner.enrol(0), signature }),
      'BAD_SIGNATURE',
    );
    await expectFailure(await gateway.post(gateway.network.miner.enrol(0, 9)), 'SLOTS_INVALID');
  });

  test('a message of another shape is refused, and nobody else hears of it', async () => {
    const heard: unknown[] = [];
    const stop = gateway.network.subscribe((event) => heard.push(event));
    const enrol = gateway.network.miner.enrol(0);
    const commit = gateway.network.miner.commit(0);
    const opening = gateway.network.miner.opening(0);
    const { signature: _, ...unsigned } = enrol;
    const bodies: unknown[] = [
      '',
      'null',
      'true',
      '1',
      '"x"',
      '[]',
      '{}',
      '{',
      '{"type":',
      '{"type":"enrol",}',
      `${JSON.stringify(enrol)}x`,
      '\ufeff{}',
      '{"type":NaN}',
      [enrol],
      unsigned,
      { ...enrol, type: 'bribe' },
      { ...enrol, type: '__proto__' },
      { ...enrol, type: 'constructor' },
      { ...enrol, type: ['enrol'] },
      { ...enrol, more: 1 },
      { ...enrol, constructor: { prototype: { admin: true } } },
      `{"__proto__":{"admin":true},${JSON.stringify(enrol).slice(1)}`,
      ...[-1, 1.5, '0', null, [0], { valueOf: 0 }, 2 ** 53, 2 ** 41].map((window) => ({ ...enrol, window })),
      JSON.stringify(enrol).replace('"window":0', '"window":1e400'),
      JSON.stringify(enrol).replace('"window":0', '"window":-0.5'),
      ...[0, -1, 65_537, '2'].map((slots) => ({ ...enrol, slots })),
      ...[
        '',
        '0x',
        'x',
        enrol.signature.slice(2),
        `${enrol.signature}00`,
        enrol.signature.toUpperCase(),
        5,
      ].map((signature) => ({ ...enrol, signature })),
      ...['0x', KEYS.miner.address.slice(2), `${KEYS.miner.address}00`, `0x${'g'.repeat(40)}`].map(
        (miner) => ({ ...enrol, miner }),
      ),
      ...['', '0', '0x0', '0xzz', '0xABCD', 7, null].map((actions) => ({ ...commit, actions })),
      { ...commit, commitRoot: '0x' },
      { ...opening, traceDigests: [] },
      { ...opening, traceDigests: 'x' },
      { ...opening, traceDigests: [1] },
      { ...opening, traceDigests: new Array(4097).fill(named('x')) },
      { ...gateway.network.miner.proof(0, 0), part: -1 },
      { ...gateway.network.miner.proof(0, 0), proof: `0x${'00'.repeat(257)}` },
    ];
    for (const body of bodies) await expectFailure(await gateway.post(body), 'BAD_REQUEST');
    stop();
    expect(heard).toEqual([]);
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('admin');
  });

  test('the name of an unknown field is not sent back without end', async () => {
    const response = await gateway.post({ ...gateway.network.miner.enrol(0), ['x'.repeat(1_000_000)]: 1 });
    expect((await expectFailure(response, 'BAD_REQUEST')).message.length).toBeLessThan(600);
  });

  test('JSON nested without end is refused before it is parsed', async () => {
    for (const deep of ['['.repeat(1_000_000), '{"a":'.repeat(300_000), `${'['.repeat(9)}${']'.repeat(9)}`]) {
      const { message } = await expectFailure(await gateway.post(deep), 'BAD_REQUEST');
      expect(message).toContain('nested');
    }
    // Brackets within strings are no nesting.
    const { message } = await expectFailure(
      await gateway.post({ type: `${'['.repeat(100)}\\"` }),
      'BAD_REQUEST',
    );
    expect(message).not.toContain('nested');
  });

  test('bytes that are not UTF-8 are refused', async () => {
    const bytes = new TextEncoder().encode(JSON.stringify(gateway.network.miner.enrol(0)));
    bytes[10] = 0xff;
    expect((await expectFailure(await gateway.post(bytes), 'BAD_REQUEST')).message).toContain('UTF-8');
  });

  test('a rule that bounds how often something may be sent says when to try again', async () => {
    const own = await new TestGateway().start();
    try {
      for (const miner of [own.network.miner, own.network.other]) own.network.take(miner.enrol(0));
      await own.network.close(0);
      own.network.take(own.network.miner.commit(0));
      await own.network.close(0);
      own.network.take(own.network.miner.opening(0));
      await own.network.close(0);
      for (const fill of ['aa', 'bb']) own.network.take(own.network.miner.proof(0, 0, fill));
      const response = await own.post(own.network.miner.proof(0, 0, 'cc'));
      expect(response.headers.get('retry-after')).toBe('1');
      await expectFailure(response, 'TOO_MANY_REQUESTS');
    } finally {
      await own.stop();
    }
  });

  test('another content type or encoding is refused', async () => {
    const body = JSON.stringify(gateway.network.other.enrol(0));
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=utf-16',
      'application/jsonx',
    ]) {
      await expectFailure(await gateway.post(body, { 'content-type': type }), 'BAD_REQUEST');
    }
    const gzip = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    await expectFailure(await gateway.post(body, gzip), 'BAD_REQUEST');
    expect((await gateway.post(body, { 'content-type': 'application/json; charset=UTF-8' })).status).toBe(
      200,
    );
  });

  test('a query on a message is refused', async () => {
    const response = await gateway.get('/v1/messages?dry=1', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(gateway.network.miner.register()),
    });
    await expectFailure(response, 'BAD_REQUEST');
  });

  test('the largest message fits, and a body beyond the limit does not', async () => {
    // The shape is right, so it is a rule that refuses it, not a limit.
    const largest = gateway.network.miner.opening(0, {
      traceDigests: new Array(4096).fill(named('digest')),
      observations: `0x${'00'.repeat(MAX_OBSERVATION_BYTES)}`,
      window: 2 ** 40,
    });
    expect(JSON.stringify(largest).length).toBeLessThanOrEqual(DEFAULT_LIMITS.bodyBytes);
    await expectFailure(await gateway.post(largest), 'PHASE_NOT_OPEN');
    const beyond = JSON.stringify(largest) + ' '.repeat(DEFAULT_LIMITS.bodyBytes);
    await expectFailure(await gateway.post(beyond), 'TOO_LARGE');
    const more = { ...largest, observations: `0x${'00'.repeat(MAX_OBSERVATION_BYTES + 1)}` };
    await expectFailure(await gateway.post(more), 'BAD_REQUEST');
  });

  test('a body that claims to be too large is refused before it is sent', async () => {
    const head =
      'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n';
    expectRawFailure(await gateway.raw(`${head}Content-Length: 99999999\r\n\r\n`), 'TOO_LARGE');
    expectRawFailure(await gateway.raw(`${head}Content-Length: -1\r\n\r\n`), 'BAD_REQUEST');
    expectRawFailure(await gateway.raw(`${head}Content-Length: x\r\n\r\n`), 'BAD_REQUEST');
  });

  test('a sender that hangs up in the middle leaves nothing behind', async () => {
    const size = gateway.network.ledger.size;
    const head =
      'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
    const socket = connect(gateway.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(head);
    socket.destroy();
    await once(socket, 'close');
    await gateway.expectAlive();
    expect(gateway.network.ledger.size).toBe(size);
  });
});

describe('limits', () => {
  const running: TestGateway[] = [];
  const start = async (...options: ConstructorParameters<typeof TestGateway>) => {
    const gateway = await new TestGateway(...options).start();
    running.push(gateway);
    return gateway;
  };

  afterEach(async () => {
    for (const gateway of running.splice(0)) await gateway.stop();
  });

  test('a body that drips is given up', async () => {
    const gateway = await start({ requestTimeoutMs: 600, headersTimeoutMs: 300 });
    const head = 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const drip = async (text: string, piece: string) => {
      const socket = connect(gateway.port, '127.0.0.1');
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('error', () => {});
      socket.write(text);
      const timer = setInterval(() => socket.write(piece), 50);
      await once(socket, 'close');
      clearInterval(timer);
      return Buffer.concat(chunks).toString();
    };
    const [declared, chunked, headers] = await Promise.all([
      drip(`${head}Content-Length: 100000\r\n\r\n`, ' '),
      drip(`${head}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n'),
      drip('GET / HTTP/1.1\r\n', 'X: x\r\n'),
    ]);
    for (const answer of [declared, chunked, headers]) expectRawFailure(answer, 'TIMEOUT');
    await gateway.expectAlive();
  });

  test('an address that posts too fast is told to wait, and may go on after that', async () => {
    const gateway = await start({ messagesPerSecond: 20, messagesBurst: 5 });
    const message = gateway.network.miner.enrol(0);
    const answers = await Promise.all(Array.from({ length: 12 }, () => gateway.post(message)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(5);
    for (const response of refused) {
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      await expectFailure(response, 'TOO_MANY_REQUESTS');
    }
    // Reading has a rate of its own.
    await gateway.expectAlive();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await gateway.post(message)).status).toBe(200);
  });

  test('an address that asks too fast is told to wait', async () => {
    const gateway = await start({ requestsPerSecond: 1, requestsBurst: 3 });
    const answers = await Promise.all(Array.from({ length: 6 }, () => gateway.get('/v1/status')));
    expect(answers.filter(({ status }) => status === 200).length).toBe(3);
    for (const response of answers.filter(({ status }) => status !== 200)) {
      await expectFailure(response, 'TOO_MANY_REQUESTS');
    }
  });

  test('connections of one address are bounded, and free again when they close', async () => {
    const gateway = await start({ connectionsPerAddress: 3 });
    const idle = [1, 2, 3].map(() => connect(gateway.port, '127.0.0.1'));
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expectRawFailure(await gateway.raw('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'), 'TOO_MANY_REQUESTS');
    for (const socket of idle) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await gateway.expectAlive();
  });

  test('a page ends before its bytes exceed the limit, but always holds an entry', async () => {
    const gateway = await start({ pageBytes: 1_000 });
    const { network } = gateway;
    for (const miner of [network.miner, network.other]) network.take(miner.enrol(0));
    const page = entriesSchema.parse(await gateway.json('/v1/entries'));
    // Genesis alone is larger than a page.
    expect([page.entries.length, page.size]).toEqual([1, 3]);
    expect(entriesSchema.parse(await gateway.json('/v1/entries?from=1')).entries.length).toBe(2);
  });

  test('blobs that are being sent are bounded together', async () => {
    const gateway = await start({ answerBytesInFlight: 10 });
    const hash = await gateway.network.blobs.put(new Uint8Array(40_000_000));
    // Nobody reads the first answer, so that it stays in memory.
    const socket = connect(gateway.port, '127.0.0.1');
    socket.pause();
    socket.write(`GET /v1/blobs/${hash} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'readable').catch(() => {});
    await expectFailure(await gateway.get(`/v1/blobs/${hash}`), 'TOO_MANY_REQUESTS');
    socket.destroy();
    let bytes = 0;
    while (bytes !== 40_000_000) {
      bytes = (await (await gateway.get(`/v1/blobs/${hash}`)).arrayBuffer()).byteLength;
    }
  });

  test('a fault of the verifier itself is logged whole and told without its insides', async () => {
    const gateway = await start({}, (network) => ({
      state: network.state,
      ledger: network.ledger,
      submit: () => {
        throw new TypeError('secret of the implementation');
      },
      head: () => {
        throw new GrailError('LEDGER_CORRUPT', '/home/operator/ledger.sqlite is damaged', {
          file: '/home/operator',
          index: 3,
        });
      },
      receipt: (window, miner) => network.receipt(window, miner),
      status: () => network.status(),
      subscribe: (listener) => network.subscribe(listener),
    }));
    const posted = await expectFailure(await gateway.post(gateway.network.miner.enrol(0)), 'INTERNAL');
    expect(JSON.stringify(posted)).not.toContain('secret');
    const read = await expectFailure(await gateway.get('/v1/head'), 'LEDGER_CORRUPT');
    expect(read.details).toEqual({ index: 3 });
    expect(JSON.stringify(read)).not.toContain('operator');
    expect(JSON.stringify(gateway.log.lines)).toContain('secret of the implementation');
    expect(JSON.stringify(gateway.log.lines)).toContain('/home/operator/ledger.sqlite is damaged');
  });

  test('a port that is taken is named', async () => {
    const gateway = await start();
    const { createGateway } = await import('../../verifier/gateway.ts');
    const { network, log, port } = gateway;
    const second = createGateway({ sequencer: network, blobs: network.blobs, host: '127.0.0.1', port, log });
    await expect(second.start()).rejects.toMatchObject({ code: 'USAGE' });
    await second.stop();
  });

  test('stopping answers what is under way and frees the port', async () => {
    const gateway = await new TestGateway().start();
    const socket = await gateway.open();
    await socket.next('hello');
    const answer = gateway.get('/v1/status');
    await answer;
    const stopped = gateway.gateway.stop();
    expect(await socket.close()).toEqual({ code: 4503, reason: 'STOPPED' });
    await stopped;
    await expect(gateway.get('/healthz')).rejects.toThrow();
    gateway.network.remove();
  });

  test('every default limit is a positive number', () => {
    for (const value of Object.values(DEFAULT_LIMITS))
      expect(z.number().positive().safeParse(value).success).toBe(true);
  });
});
