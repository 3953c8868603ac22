import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { failureSchema, healthSchema, readySchema } from '../../src/protocol/api.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../../verifier/gateway.ts';
import { HealthChecks } from '../../verifier/health.ts';
import type { GatewayLimits } from '../../verifier/limits.ts';
import { createLog } from '../../verifier/log.ts';
import { createMetrics } from '../../verifier/metrics/index.ts';
import type { OperatorContext } from '../../verifier/operator-routes.ts';
import { startOperatorServer } from '../../verifier/operator-server.ts';
import { parseTraceparent } from '../../verifier/trace.ts';
import { TestSocket } from '../helpers/gateway.ts';
import { samples, samplesOf } from '../helpers/metrics.ts';
import { TestNetwork } from '../helpers/network.ts';

/** A process that serves its operator alone. */
function operatorServer(options: GatewayOptions & OperatorContext): Gateway {
  let stop = async () => {};
  return {
    async start() {
      const server = await startOperatorServer(options);
      stop = server.stop;
      return server;
    },
    stop: () => stop(),
  };
}

/** What is started in a test, with what it tells. */
class Watched {
  readonly network: TestNetwork;
  readonly metrics = createMetrics();
  readonly health = new HealthChecks();
  readonly lines: Record<string, unknown>[] = [];
  readonly gateway: Gateway;
  url = '';

  constructor(parts: {
    make?: (options: GatewayOptions & OperatorContext) => Gateway;
    limits?: Partial<GatewayLimits>;
    network?: TestNetwork;
  }) {
    const { make = createGateway, limits = {}, network = new TestNetwork() } = parts;
    const { metrics, health } = this;
    const write = (line: string) => this.lines.push(JSON.parse(line));
    const log = createLog({ format: 'json', level: 'info', write });
    const where = { host: '127.0.0.1', port: 0, sequencer: network, blobs: network.blobs };
    this.network = network;
    metrics.network.follow(network, () => performance.now());
    this.gateway = make({ ...where, metrics, health, log, limits });
  }

  async start(): Promise<this> {
    this.url = (await this.gateway.start()).url;
    return this;
  }

  get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.get('/v1/messages', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  /** Waits until a series has a value: requests are counted when their connection has taken the answer. */
  async until(series: string, value: number): Promise<void> {
    await expect.poll(async () => (await samples(this.metrics)).get(series)).toBe(value);
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    this.network.remove();
  }
}

let watched: Watched;

async function start(parts: ConstructorParameters<typeof Watched>[0] = {}): Promise<Watched> {
  watched = await new Watched(parts).start();
  return watched;
}

afterEach(() => watched.stop());

/** A network whose sequencer answers when it is told to. */
class SlowNetwork extends TestNetwork {
  readonly refuse: (() => void)[] = [];

  override submit(): Promise<never> {
    return new Promise((_, reject) => {
      this.refuse.push(() => reject(new GrailError('STOPPED', 'over')));
    });
  }
}

/** A network whose sequencer has a bug. */
class FailingNetwork extends TestNetwork {
  override async submit(): Promise<never> {
    throw new Error('a bug');
  }
}

describe('metrics of a gateway', () => {
  test('are read in Prometheus’s text format', async () => {
    const { get } = await start();
    const response = await get.call(watched, '/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('# TYPE grail_http_requests_total counter');
    expect(samplesOf(text).get('grail_ledger_entries')).toBe(1);
  });

  test('count requests by route and status, with their bytes', async () => {
    const gateway = await start();
    await (await gateway.get('/v1/entries/0')).text();
    await (await gateway.get('/v1/entries/99')).text();
    await (await gateway.get('/nowhere')).text();
    const route = '/v1/entries/:index';
    await gateway.until(`grail_http_requests_total{route="${route}",method="GET",status="200"}`, 1);
    await gateway.until(`grail_http_requests_total{route="${route}",method="GET",status="404"}`, 1);
    await gateway.until('grail_http_requests_total{route="none",method="GET",status="404"}', 1);
    const all = await samples(gateway.metrics);
    expect(all.get(`grail_http_request_duration_seconds_count{route="${route}"}`)).toBe(2);
    const entry = gateway.network.ledger.read(0).bytes.length;
    const sent = all.get(`grail_http_bytes_total{route="${route}",direction="sent"}`)!;
    expect(sent).toBeGreaterThan(entry);
    expect(sent).toBeLessThan(entry + 2_000);
    expect(all.get(`grail_http_bytes_total{route="${route}",direction="received"}`)).toBeGreaterThan(20);
  });

  test('count messages by type and outcome', async () => {
    const gateway = await start();
    const { miner } = gateway.network;
    await gateway.post(miner.enrol(0));
    await gateway.post(miner.commit(0));
    await gateway.post({ type: 'enrol', miner: 'nobody' });
    const all = await samples(gateway.metrics);
    expect(all.get('grail_messages_total{type="enrol",outcome="acknowledged"}')).toBe(1);
    expect(all.get('grail_messages_total{type="commit",outcome="PHASE_NOT_OPEN"}')).toBe(1);
    expect(all.get('grail_messages_total{type="unreadable",outcome="BAD_REQUEST"}')).toBe(1);
    expect(all.get('grail_acknowledgement_duration_seconds_count')).toBe(1);
    expect(all.get('grail_ledger_appended_entries_total{type="enrol"}')).toBe(1);
  });

  test('count refusals by the limit that was reached', async () => {
    const gateway = await start({ limits: { messagesPerSecond: 0.001, messagesBurst: 1 } });
    await gateway.post({});
    expect((await gateway.post({})).status).toBe(429);
    await gateway.until('grail_limit_refusals_total{limit="messagesPerSecond"}', 1);
  });

  test('count a client that leaves before its answer', async () => {
    const network = new SlowNetwork();
    const gateway = await start({ network });
    const leaving = new AbortController();
    const answer = gateway.get('/v1/messages', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(network.miner.enrol(0)),
      signal: leaving.signal,
    });
    await gateway.until('grail_queue_items{queue="messagesInFlight"}', 1);
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await gateway.until('grail_http_requests_total{route="/v1/messages",method="POST",status="aborted"}', 1);
  });

  test('count sockets, their frames, and why they ended', async () => {
    const gateway = await start();
    const socket = new TestSocket(new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/events`));
    await socket.next('hello');
    await gateway.until('grail_queue_items{queue="sockets"}', 1);
    socket.send({ type: 'ping' });
    await socket.next('pong');
    await gateway.until('grail_event_frames_total{direction="received"}', 1);
    await gateway.until('grail_event_frames_total{direction="sent"}', 2);
    for (let i = 0; i < 8; i++) socket.send('nonsense');
    await socket.close();
    await gateway.until('grail_event_closed_sockets_total{reason="BAD_REQUEST"}', 1);
    await gateway.until('grail_queue_items{queue="sockets"}', 0);
  });

  test('get no new series from what strangers send', async () => {
    const gateway = await start({ limits: { requestsPerSecond: 1e6, requestsBurst: 1e6 } });
    const bother = async (name: string) => {
      await Promise.all([
        gateway.get(`/${name}`),
        gateway.get(`/v1/entries?${name}=1`),
        gateway.get(`/v1/blobs/0x${name}`),
        gateway.get('/healthz', { method: name.toUpperCase() }),
        gateway.post({ type: name, miner: name }),
        gateway.get('/v1/genesis', { headers: { traceparent: name, 'user-agent': name } }),
      ]);
      await gateway.until('grail_queue_items{queue="messagesInFlight"}', 0);
    };
    const series = async () => [...(await samples(gateway.metrics)).keys()].sort();
    await bother('first');
    const before = await series();
    for (let i = 0; i < 40; i++) await bother(`name${i}`);
    expect(await series()).toEqual(before);
  });

  test('are limited like everything else', async () => {
    const gateway = await start({ limits: { requestsPerSecond: 0.001, requestsBurst: 2 } });
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await gateway.get('/metrics')).status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});

describe('health', () => {
  const failed = async (response: Response) => {
    expect(response.status).toBe(503);
    const { error } = failureSchema.parse(await response.json());
    expect(error.code).toBe('NOT_READY');
    return readySchema.shape.checks.parse(error.details.checks);
  };

  test.each([
    ['a gateway', createGateway],
    ['a process without a gateway', operatorServer],
  ])('of %s tells the truth about every check, and of the process', async (_, make) => {
    const process = await start({ make });
    let reachable = true;
    process.health.register('bus', () => ({ ok: reachable, detail: reachable ? 'reachable' : 'away' }));
    expect(readySchema.parse(await (await process.get('/readyz')).json()).checks).toContainEqual({
      check: 'bus',
      ok: true,
      detail: 'reachable',
    });
    reachable = false;
    expect(await failed(await process.get('/readyz'))).toContainEqual({
      check: 'bus',
      ok: false,
      detail: 'away',
    });
    expect(healthSchema.parse(await (await process.get('/healthz')).json())).toEqual({ ok: true });
    process.health.failed(new GrailError('LEASE_LOST', 'the lease of db.internal went to host-7'));
    const [check] = await failed(await process.get('/healthz'));
    expect(check).toMatchObject({
      check: 'process',
      ok: false,
      detail: expect.stringMatching(/^LEASE_LOST: /),
    });
    expect(check!.detail).not.toContain('host-7');
    expect((await process.get('/metrics')).status).toBe(200);
  });

  test('ends when too many messages wait', async () => {
    const network = new SlowNetwork();
    const limits = { messagesInFlight: 1, messagesWaiting: 1, messagesInFlightPerKey: 8 };
    const gateway = await start({ network, limits });
    const answers = [0, 1].map((window) => gateway.post(network.miner.enrol(window)));
    await gateway.until('grail_queue_items{queue="messagesWaiting"}', 1);
    const checks = await failed(await gateway.get('/readyz'));
    expect(checks).toContainEqual({ check: 'messages', ok: false, detail: '1 of 1' });
    for (const _ of answers) {
      await expect.poll(() => network.refuse.length).toBe(1);
      network.refuse.pop()!();
    }
    await Promise.all(answers);
    expect((await gateway.get('/readyz')).status).toBe(200);
  });

  test('ends when the gateway stops', async () => {
    const gateway = await start();
    const socket = new TestSocket(new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/events`));
    await socket.next('hello');
    const stopped = gateway.gateway.stop();
    expect(gateway.health.readiness().checks).toContainEqual({
      check: 'gateway',
      ok: false,
      detail: 'stopping',
    });
    await stopped;
  });

  test('of a process without a gateway is all that it tells', async () => {
    const process = await start({ make: operatorServer });
    expect((await process.get('/v1/genesis')).status).toBe(404);
    const posted = await process.get('/readyz', { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([400, 'GET, HEAD']);
    expect((await process.get('/healthz', { method: 'HEAD' })).status).toBe(200);
    await process.until('grail_http_requests_total{route="none",method="GET",status="404"}', 1);
  });
});

describe('a trace', () => {
  const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test('is in the log lines of the message that it came with, and in the answer', async () => {
    const network = new FailingNetwork();
    const gateway = await start({ network });
    const response = await gateway.post(network.miner.enrol(0), { traceparent: TRACEPARENT });
    expect(response.status).toBe(500);
    const line = gateway.lines.find(({ msg }) => msg === 'a request failed');
    expect(line).toMatchObject({ level: 'error', trace: '0af7651916cd43dd8448eb211c80319c' });
    expect(parseTraceparent(response.headers.get('traceresponse'))?.traceId).toBe(line!.trace);
  });

  test('that is no valid one is replaced by a new one', async () => {
    const network = new FailingNetwork();
    const gateway = await start({ network });
    for (const traceparent of ['garbage', TRACEPARENT.toUpperCase()])
      await gateway.post(network.miner.enrol(0), { traceparent });
    const traces = gateway.lines.map(({ trace }) => trace);
    expect(new Set(traces).size).toBe(2);
    for (const trace of traces) expect(trace).toMatch(/^(?!0af7651916)[0-9a-f]{32}$/);
  });
});
