import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectClient, headers } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ServerProcess, startServer } from '../../deploy/servers/process.ts';
import type { Bus, JobSettings } from '../../verifier/bus/bus.ts';
import { connectNats } from '../../verifier/bus/nats.ts';
import { eventually, newJob } from '../helpers/bus-compliance.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { type NatsServer, startNats } from '../support/nats.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const NAMESPACE = '00112233445566aa';
const SETTINGS: Partial<JobSettings> = { leaseMs: 700, attempts: 3, retryMs: 20 };

const { signal } = new AbortController();
const options = { signal };
const one = { concurrency: 1 };

let server: NatsServer;
let open: { close(): Promise<void> }[];

async function connect({
  url = server.url,
  namespace = NAMESPACE,
  settings = SETTINGS,
}: {
  url?: string;
  namespace?: string;
  settings?: Partial<JobSettings>;
} = {}): Promise<Bus> {
  const bus = await connectNats(url, { name: 'test', namespace, settings, signal, env: {} });
  open.push(bus);
  return bus;
}

function programOf(mode: 'hang' | 'die' | 'double' | 'close'): string[] {
  const program = new URL('nats-worker.ts', import.meta.url).pathname;
  return [program, server.url, NAMESPACE, JSON.stringify(SETTINGS), mode];
}

/** Another process that works as `nats-worker.ts` says. */
async function startWorker(mode: 'hang' | 'die' | 'double', ready: RegExp): Promise<ServerProcess> {
  const worker = await startServer(process.execPath, programOf(mode), ready);
  open.push({ close: () => worker.kill() });
  return worker;
}

beforeEach(async () => {
  open = [];
  server = await startNats();
});

afterEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  await server.stop();
});

describe('a process that dies', () => {
  test('in the middle of a job: the job is delivered again elsewhere after the lease', async () => {
    const bus = await connect();
    const result = bus.jobs.run(newJob(Uint8Array.of(4)), options);
    const worker = await startWorker('hang', /^job 1$/);
    await worker.kill();
    const other = await connect();
    let attempt = 0;
    other.jobs.work(
      'replay',
      async (payload, context) => {
        attempt = context.attempt;
        return payload;
      },
      one,
    );
    expect(await result).toEqual(Uint8Array.of(4));
    expect(attempt).toBe(2);
  });

  test('at every attempt at a job: the job lies among the dead letters', async () => {
    const bus = await connect();
    const job = newJob(Uint8Array.of(4));
    const failed = expectCode('JOB_FAILED', bus.jobs.run(job, options));
    for (let attempt = 1; attempt <= SETTINGS.attempts!; attempt++) {
      await startWorker('die', new RegExp(`^job ${attempt}$`));
    }
    const healthy = vi.fn(async (payload: Uint8Array) => payload);
    bus.jobs.work('replay', healthy, one);
    const error = await failed;
    expect(error.details).toMatchObject({ attempts: 3, code: 'UNREACHABLE' });
    expect(await bus.jobs.dead('replay', 1)).toMatchObject([{ ...job, attempts: 3 }]);
    expect(healthy).not.toHaveBeenCalled();
  });

  test('while it waits for a job: it gets the result when it asks again', async () => {
    const job = newJob(Uint8Array.of(4));
    const asking = await connectNats(server.url, {
      name: 'asking',
      namespace: NAMESPACE,
      settings: SETTINGS,
      signal,
    });
    const gone = expectCode('STOPPED', asking.jobs.run(job, options));
    const bus = await connect();
    await eventually(async () => expect(await bus.jobs.depth('replay')).toBe(1));
    await asking.close();
    await gone;
    await startWorker('double', /^job 1$/);
    expect(await bus.jobs.run(job, options)).toEqual(Uint8Array.of(8));
  });
});

test('a process that closed its bus ends, whatever its handlers do', async () => {
  const bus = await connect();
  const result = bus.jobs.run(newJob(Uint8Array.of(4)), options);
  const worker = spawn(process.execPath, programOf('close'), { stdio: 'ignore' });
  expect(await once(worker, 'exit')).toEqual([0, null]);
  bus.jobs.work('replay', async (payload) => payload, one);
  expect(await result).toEqual(Uint8Array.of(4));
});

describe('a server that dies', () => {
  test('in the middle of many jobs: every one ends with its result, in at most its attempts', async () => {
    const settings = { ...SETTINGS, leaseMs: 1_500, attempts: 5 };
    const [asking, first, second] = await Promise.all([1, 2, 3].map(() => connect({ settings })));
    const computed = new Map<string, number>();
    for (const bus of [first!, second!]) {
      bus.jobs.work(
        'replay',
        async (payload) => {
          const key = payload.join();
          computed.set(key, (computed.get(key) ?? 0) + 1);
          await sleep(10);
          return payload.map((byte) => byte ^ 0xff);
        },
        { concurrency: 4 },
      );
    }
    const jobs = Array.from({ length: 200 }, (_, i) => newJob(Uint8Array.of(i, 7)));
    const results = Promise.all(jobs.map((job) => asking!.jobs.run(job, options)));
    for (const done of [20, 90, 150]) {
      await eventually(() => expect(computed.size).toBeGreaterThan(done));
      await server.kill();
      await server.start();
    }
    expect(await results).toEqual(jobs.map(({ payload }) => payload.map((byte) => byte ^ 0xff)));
    expect(Math.max(...computed.values())).toBeLessThanOrEqual(5);
    expect(asking!.trouble()).toBeNull();
  });

  test('and loses its data: what was asked for is done all the same', async () => {
    const bus = await connect();
    const worker = await connect();
    const started = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    worker.jobs.work(
      'replay',
      async (payload) => {
        started.resolve();
        await held.promise;
        return payload;
      },
      one,
    );
    const jobs = [newJob(Uint8Array.of(1)), newJob(Uint8Array.of(2)), newJob(Uint8Array.of(3))];
    const results = Promise.all(jobs.map((job) => bus.jobs.run(job, options)));
    await started.promise;
    const client = await connectClient({ servers: server.url });
    const { streams } = await jetstreamManager(client);
    for await (const { config } of streams.list()) await streams.delete(config.name);
    await client.close();
    await server.kill();
    await server.start();
    held.resolve();
    expect(await results).toEqual(jobs.map(({ payload }) => payload));
  });

  test('tells why it does not work, refuses requests meanwhile, and works again when the server is back', async () => {
    const bus = await connect();
    bus.serve('submit', async (bytes) => bytes, { concurrency: 1, queue: 0 });
    const got: number[] = [];
    bus.subscribe('entries', (bytes) => got.push(bytes[0]!));
    const ask = () => bus.request('submit', Uint8Array.of(1), { timeoutMs: 2_000 });
    expect(await ask()).toEqual(Uint8Array.of(1));
    await server.kill();
    await eventually(() => expect(bus.trouble()).toContain('away'));
    await expectCode('UNREACHABLE', ask());
    await expectCode('UNREACHABLE', bus.jobs.depth('replay'));
    bus.publish('entries', Uint8Array.of(1));
    await server.start();
    await eventually(() => expect(bus.trouble()).toBeNull());
    bus.publish('entries', Uint8Array.of(2));
    expect(await ask()).toEqual(Uint8Array.of(1));
    expect(got).toEqual([2]);
  });

  test('while a request is under way: it is UNREACHABLE at once', async () => {
    const bus = await connect();
    const taken = Promise.withResolvers<void>();
    bus.serve(
      'submit',
      () => {
        taken.resolve();
        return new Promise(() => {});
      },
      { concurrency: 1, queue: 0 },
    );
    const refused = expectCode('UNREACHABLE', bus.request('submit', Uint8Array.of(1), { timeoutMs: 60_000 }));
    await taken.promise;
    await server.kill();
    await refused;
  });
});

test('a worker that is cut off for longer than its lease is told, and the job is done elsewhere', async () => {
  const bus = await connect();
  const proxy = await startTcpProxy(Number(new URL(server.url).port));
  const cutOff = await connect({ url: `nats://127.0.0.1:${proxy.port}` });
  const started = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  cutOff.jobs.work(
    'replay',
    async (_, context) => {
      context.signal.addEventListener('abort', () => told.resolve());
      started.resolve();
      return new Promise(() => {});
    },
    one,
  );
  const result = bus.jobs.run(newJob(), options);
  await started.promise;
  await proxy.stop();
  bus.jobs.work('replay', async (_, { attempt }) => Uint8Array.of(attempt), one);
  expect(await result).toEqual(Uint8Array.of(2));
  await told.promise;
});

test('a job that is put again after its result is there is not computed again', async () => {
  const bus = await connect();
  const compute = vi.fn(async (payload: Uint8Array) => payload);
  bus.jobs.work('replay', compute, one);
  const job = newJob();
  await bus.jobs.run(job, options);
  const client = await connectClient({ servers: server.url });
  client.publish(`grail.${NAMESPACE}.jobs.replay.${job.id}`, job.payload);
  await client.drain();
  await bus.jobs.run(newJob(), options);
  await eventually(async () => expect(await bus.jobs.depth('replay')).toBe(0));
  expect(compute).toHaveBeenCalledTimes(2);
});

test('networks on one server do not hear each other', async () => {
  const [mine, other] = await Promise.all([connect(), connect({ namespace: 'ffffffffffffffff' })]);
  const heard: string[] = [];
  mine.subscribe('entries', () => heard.push('mine'));
  other.subscribe('entries', () => heard.push('other'));
  other.serve('submit', async (bytes) => bytes, { concurrency: 1, queue: 0 });
  other.jobs.work('replay', async () => Uint8Array.of(9), one);
  await other.jobs.depth('replay');
  await expectCode('UNREACHABLE', mine.request('submit', Uint8Array.of(1), { timeoutMs: 2_000 }));
  const job = newJob();
  const result = mine.jobs.run(job, options);
  await eventually(async () => expect(await mine.jobs.depth('replay')).toBe(1));
  expect(await other.jobs.depth('replay')).toBe(0);
  expect(await other.jobs.run(job, options)).toEqual(Uint8Array.of(9));
  mine.publish('entries', Uint8Array.of(1));
  mine.jobs.work('replay', async () => Uint8Array.of(1), one);
  expect(await result).toEqual(Uint8Array.of(1));
  expect(heard).toEqual(['mine']);
});

test('a process with other settings brings the queue to them', async () => {
  const before = await connect({ settings: { ...SETTINGS, capacity: 1 } });
  const results = [newJob(), newJob()].map((job) => before.jobs.run(job, options));
  await eventually(async () => expect(await before.jobs.depth('replay')).toBe(1));
  const after = await connect({ settings: { ...SETTINGS, capacity: 5, leaseMs: 900 } });
  await eventually(async () => expect(await after.jobs.depth('replay')).toBe(2));
  after.jobs.work('replay', async (payload) => payload, one);
  await Promise.all(results);
});

describe('strangers on the server', () => {
  test('end no process with messages and headers that are malformed', async () => {
    const bus = await connect();
    bus.serve('submit', async (bytes) => bytes, { concurrency: 1, queue: 8 });
    bus.subscribe('entries', () => {});
    let largest = 0;
    bus.jobs.work(
      'replay',
      async (payload) => {
        largest = Math.max(largest, payload.length);
        return payload;
      },
      one,
    );
    await bus.jobs.depth('replay');
    const job = newJob(Uint8Array.of(5));
    const { id } = newJob();
    const root = `grail.${NAMESPACE}`;
    const subjects = [
      ...[`${root}.told.entries`, `${root}.asked.submit`, `${root}.asked.submit`],
      ...[`${root}.jobs.replay.NEW`, `${root}.jobs.replay.x`, `${root}.jobs.replay.${'f'.repeat(63)}%`],
      ...[`${root}.ends.replay.${id}.dead`, `${root}.ends.replay.x.dead`, `${root}.ends.x.y.result`],
    ];
    const blocks = [
      '',
      'NATS/1.0\r\n\r\n',
      'NATS/1.0 503\r\n\r\n',
      'NATS/1.0\r\n: no name\r\n\r\n',
      'NATS/1.0\r\nbad name: x\r\ntraceparent: \u0000\r\n\r\n',
      `NATS/1.0\r\ntraceparent: ${'0'.repeat(300)}\r\n\r\n`,
      'NATS/1.0\r\ngrail-dead-letter: {"attempts":-1}\r\ngrail-error: [\r\n\r\n',
      'nonsense',
    ];
    const bodies = ['', 'x', '{"code":"__proto__"}', '\u0000'.repeat(600_000)];
    const socket = connectSocket(Number(new URL(server.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
    for (const subject of subjects) {
      for (const header of blocks) {
        for (const body of bodies) {
          const size = Buffer.byteLength(header);
          const total = size + Buffer.byteLength(body);
          const to = `${subject.replace('NEW', newJob().id)} ${root}.nobody`;
          const line = size === 0 ? `PUB ${to} ${total}` : `HPUB ${to} ${size} ${total}`;
          socket.write(`${line}\r\n${header}${body}\r\n`);
        }
      }
    }
    socket.write('PING\r\n');
    const said: Buffer[] = [];
    socket.on('data', (bytes) => said.push(bytes));
    await eventually(() => expect(Buffer.concat(said).toString()).toContain('PONG'));
    socket.destroy();
    expect(await bus.jobs.run(job, options)).toEqual(Uint8Array.of(5));
    expect(await bus.request('submit', Uint8Array.of(6), { timeoutMs: 5_000 })).toEqual(Uint8Array.of(6));
    await eventually(async () => expect(await bus.jobs.depth('replay')).toBe(0));
    const dead = await bus.jobs.dead('replay', 10);
    expect(dead).toMatchObject([{ id, attempts: 0, error: { code: 'INTERNAL' } }]);
    expect(largest).toBe('{"code":"__proto__"}'.length);
    expect(bus.trouble()).toBeNull();
  });

  test('an error with a code that this version does not know is INTERNAL', async () => {
    const bus = await connect();
    const client = await connectClient({ servers: server.url });
    open.push(client);
    const answers = ['{"code":"FROM_TOMORROW","message":"new","details":{}}', '{"code":7}'];
    client.subscribe(`grail.${NAMESPACE}.asked.submit`, {
      callback: (_, message) => {
        const all = headers();
        all.set('grail-error', answers.shift()!);
        message.respond('', { headers: all });
      },
    });
    await client.flush();
    const ask = () => bus.request('submit', Uint8Array.of(1), { timeoutMs: 5_000 });
    expect((await expectCode('INTERNAL', ask())).message).toContain('FROM_TOMORROW: new');
    expect((await expectCode('INTERNAL', ask())).message).toContain('malformed');
  });
});
