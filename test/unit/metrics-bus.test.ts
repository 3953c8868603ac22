import { afterEach, beforeEach, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Bus } from '../../verifier/bus/bus.ts';
import { createInProcessBus } from '../../verifier/bus/in-process.ts';
import { createLog } from '../../verifier/log.ts';
import { createMetrics, observeBus, type VerifierMetrics } from '../../verifier/metrics/index.ts';
import { currentSpan, currentTrace, withTrace } from '../../verifier/trace.ts';
import { samples } from '../helpers/metrics.ts';

const bytes = new Uint8Array([1, 2, 3]);
const id = (digit: string) => digit.repeat(64);
const { signal } = new AbortController();

let metrics: VerifierMetrics;
let bus: Bus;

beforeEach(() => {
  metrics = createMetrics();
  bus = observeBus(createInProcessBus({ retryMs: 1, attempts: 2 }), metrics.work);
});

afterEach(() => bus.close());

const jobs = async (kind: string) => {
  const all = await samples(metrics);
  const events = ['requested', 'started', 'retried', 'done', 'failed', 'answered', 'dead'];
  return Object.fromEntries(
    events.map((event) => [event, all.get(`grail_jobs_total{kind="${kind}",event="${event}"}`)]),
  );
};

test('a job is counted where it is wanted and where it is computed', async () => {
  const worker = bus.jobs.work('train', async (payload) => payload, { concurrency: 1 });
  expect(await bus.jobs.run({ kind: 'train', id: id('a'), payload: bytes }, { signal })).toEqual(bytes);
  expect(await jobs('train')).toEqual({
    ...{ requested: 1, started: 1, retried: 0, done: 1, failed: 0, answered: 1, dead: 0 },
  });
  expect((await samples(metrics)).get('grail_job_duration_seconds_count{kind="train"}')).toBe(1);
  await worker.stop();
});

test('a job that fails at every attempt is counted as dead, its attempts as failed', async () => {
  const worker = bus.jobs.work(
    'proofs',
    async () => {
      throw new GrailError('PROOF_INVALID', 'no');
    },
    { concurrency: 1 },
  );
  const run = bus.jobs.run({ kind: 'proofs', id: id('b'), payload: bytes }, { signal });
  await expect(run).rejects.toMatchObject({ code: 'JOB_FAILED' });
  expect(await jobs('proofs')).toEqual({
    ...{ requested: 1, started: 1, retried: 1, done: 0, failed: 2, answered: 0, dead: 1 },
  });
  await worker.stop();
});

test('jobs that run and wait are told', async () => {
  const release = Promise.withResolvers<void>();
  const handler = async (payload: Uint8Array) => {
    await release.promise;
    return payload;
  };
  const worker = bus.jobs.work('replay', handler, { concurrency: 1 });
  const runs = ['c', 'd'].map((digit) =>
    bus.jobs.run({ kind: 'replay', id: id(digit), payload: bytes }, { signal }),
  );
  const value = async (series: string) => (await samples(metrics)).get(series);
  await expect.poll(() => value('grail_running_jobs{kind="replay"}')).toBe(1);
  expect(await value('grail_queued_jobs{kind="replay"}')).toBe(2);
  release.resolve();
  await Promise.all(runs);
  expect(await value('grail_running_jobs{kind="replay"}')).toBe(0);
  expect(await value('grail_queued_jobs{kind="replay"}')).toBe(0);
  await worker.stop();
});

test('requests are timed by outcome', async () => {
  const stop = bus.serve(
    'submit',
    async (request) => {
      if (request.length === 0) throw new GrailError('PHASE_CLOSED', 'too late');
      return request;
    },
    { concurrency: 1, queue: 1 },
  );
  expect(await bus.request('submit', bytes, { timeoutMs: 1_000 })).toEqual(bytes);
  await expect(bus.request('submit', new Uint8Array(), { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: 'PHASE_CLOSED',
  });
  const all = await samples(metrics);
  expect(all.get('grail_bus_request_duration_seconds_count{outcome="answered"}')).toBe(1);
  expect(all.get('grail_bus_request_duration_seconds_count{outcome="PHASE_CLOSED"}')).toBe(1);
  expect(all.get('grail_bus_reachable')).toBe(1);
  await stop();
});

test('a bus that is closed is in trouble, and the metrics still come', async () => {
  await bus.close();
  const all = await samples(metrics);
  expect(all.get('grail_bus_reachable')).toBe(0);
  expect([...all.keys()].filter((series) => series.startsWith('grail_queued_jobs'))).toEqual([]);
});

test('a trace goes with requests and jobs, into the log lines of whoever works on them', async () => {
  const traces: unknown[] = [];
  const log = createLog({
    format: 'json',
    level: 'info',
    write: (line) => traces.push(JSON.parse(line).trace),
  });
  const handler = async (payload: Uint8Array) => {
    await new Promise(setImmediate);
    log.info('working');
    return payload;
  };
  const stop = bus.serve('submit', handler, { concurrency: 1, queue: 1 });
  const worker = bus.jobs.work('evaluate', handler, { concurrency: 1 });
  const trace = await withTrace(undefined, async () => {
    await bus.request('submit', bytes, { timeoutMs: 1_000 });
    await bus.jobs.run({ kind: 'evaluate', id: id('e'), payload: bytes }, { signal });
    return currentSpan()!.traceId;
  });
  expect(traces).toEqual([trace, trace]);
  expect(currentTrace()).toBeNull();
  await bus.request('submit', bytes, { timeoutMs: 1_000 });
  expect(traces[2]).toMatch(/^[0-9a-f]{32}$/);
  expect(traces[2]).not.toBe(trace);
  await worker.stop();
  await stop();
});
