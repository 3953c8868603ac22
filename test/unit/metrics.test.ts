import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import {
  createMetrics,
  observeBlobs,
  type VerifierMetrics,
  watchProcess,
} from '../../verifier/metrics/index.ts';
import { samples } from '../helpers/metrics.ts';
import { KEYS, named, TestNetwork } from '../helpers/network.ts';

let metrics: VerifierMetrics;
let network: TestNetwork;

beforeEach(() => {
  metrics = createMetrics();
  network = new TestNetwork();
});

afterEach(() => network.remove());

const value = async (series: string) => (await samples(metrics)).get(series);

describe('of a network that is followed', () => {
  let nowMs = 0;

  /** Runs window 0, in which one of two miners is rejected; every phase takes 2 s. */
  async function runWindow(change: (body: VerdictBody) => VerdictBody = (body) => body): Promise<void> {
    const { miner, other } = network;
    const close = () => {
      nowMs += 2_000;
      return network.close(0);
    };
    for (const each of [miner, other]) network.take(each.enrol(0));
    await close();
    for (const each of [miner, other]) network.take(each.commit(0));
    await close();
    for (const each of [miner, other]) network.take(each.opening(0));
    await close();
    for (const part of [0, 1]) network.take(miner.proof(0, part));
    nowMs += 2_000;
    const verdict = await network.closer(0, { [KEYS.other.address]: { code: 'PROOF_MISSING' } });
    network.append(network.closing(change(verdict as VerdictBody)));
  }

  beforeEach(() => metrics.network.follow(network, () => nowMs));

  test('entries are counted by type, and the ledger has its size', async () => {
    await runWindow();
    expect(await value('grail_ledger_entries')).toBe(network.ledger.size);
    expect(await value('grail_ledger_appended_entries_total{type="enrol"}')).toBe(2);
    expect(await value('grail_ledger_appended_entries_total{type="proof"}')).toBe(2);
    expect(await value('grail_ledger_appended_entries_total{type="verdict"}')).toBe(1);
  });

  test('a verdict counts its miners by outcome, and its credit', async () => {
    await runWindow();
    const { results } = network.state.window(0)!.verdict!;
    const credit = results.reduce((sum, result) => sum + result.credit, 0);
    expect(credit).toBeGreaterThan(0);
    expect(await value('grail_verdicts_total')).toBe(1);
    expect(await value('grail_results_total{outcome="accepted"}')).toBe(1);
    expect(await value('grail_results_total{outcome="PROOF_MISSING"}')).toBe(1);
    expect(await value('grail_credits_total')).toBe(credit);
  });

  test('an update gives its metrics, and none that is not defined', async () => {
    await runWindow((body) => ({
      ...body,
      update: {
        ...body.update,
        anchor: { hash: named('anchor'), bytes: 60 },
        metrics: { outcome: 'applied', meanReturn: 17.5, entropy: 0.5, approxKl: null },
      },
    }));
    const all = await samples(metrics);
    expect(all.get('grail_policy_version')).toBe(1);
    expect(all.get('grail_policy_mean_return')).toBe(17.5);
    expect(all.get('grail_training_update_value{metric="entropy"}')).toBe(0.5);
    expect([...all.keys()].filter((series) => series.includes('approxKl'))).toEqual([]);
    expect(all.get('grail_training_updates_total{outcome="applied"}')).toBe(1);
    const bytes = ['patch', 'anchor', 'full'].map((blob) =>
      all.get(`grail_policy_blob_bytes{blob="${blob}"}`),
    );
    expect(bytes).toEqual([10, 60, 88]);
  });

  test('phases are timed from closer to closer, those whose beginning was seen', async () => {
    await runWindow();
    const sum = (phase: string) => value(`grail_phase_duration_seconds_sum{phase="${phase}"}`);
    expect(await Promise.all(['commit', 'opening', 'prove'].map(sum))).toEqual([2, 2, 2]);
    expect(await sum('enrol')).toBeUndefined();
    network.take(network.miner.enrol(1));
    nowMs += 5_000;
    await network.close(1);
    expect(await sum('enrol')).toBe(11);
  });

  test('open windows are told by phase, with the miners that they wait for', async () => {
    for (const miner of [network.miner, network.other]) network.take(miner.enrol(0));
    await network.close(0);
    network.take(network.miner.commit(0));
    const all = await samples(metrics);
    expect(all.get('grail_open_windows{phase="commit"}')).toBe(1);
    expect(all.get('grail_open_windows{phase="prove"}')).toBe(0);
    expect(all.get('grail_open_window_miners{phase="commit",miners="enrolled"}')).toBe(2);
    expect(all.get('grail_open_window_miners{phase="commit",miners="pending"}')).toBe(1);
  });

  test('an evaluation is told', async () => {
    expect(await value('grail_policy_evaluation_return')).toBeUndefined();
    network.emit({ type: 'evaluation', version: 1, meanReturn: 480.25, episodes: 100 });
    expect(await value('grail_policy_evaluation_return')).toBe(480.25);
  });
});

describe('of messages', () => {
  test('an acknowledged one is counted and timed', async () => {
    await metrics.ledger.message('enrol', async () => 'acknowledgement');
    expect(await value('grail_messages_total{type="enrol",outcome="acknowledged"}')).toBe(1);
    expect(await value('grail_acknowledgement_duration_seconds_count')).toBe(1);
  });

  test('a refused one is counted under its code, and still refused', async () => {
    const refusal = new GrailError('PHASE_CLOSED', 'too late');
    await expect(metrics.ledger.message('commit', () => Promise.reject(refusal))).rejects.toBe(refusal);
    await expect(metrics.ledger.message('commit', () => Promise.reject(new Error()))).rejects.toThrow();
    expect(await value('grail_messages_total{type="commit",outcome="PHASE_CLOSED"}')).toBe(1);
    expect(await value('grail_messages_total{type="commit",outcome="INTERNAL"}')).toBe(1);
    expect(await value('grail_acknowledgement_duration_seconds_count')).toBe(0);
  });

  test('a batch is counted by its entries and the time it took', async () => {
    metrics.ledger.appended(3, 0.004);
    const all = await samples(metrics);
    expect(all.get('grail_append_batch_entries_sum')).toBe(3);
    expect(all.get('grail_append_batch_entries_bucket{le="2"}')).toBe(0);
    expect(all.get('grail_append_batch_entries_bucket{le="4"}')).toBe(1);
    expect(all.get('grail_append_duration_seconds_sum')).toBe(0.004);
  });
});

describe('of a blob store', () => {
  test('operations are timed, bytes and failures counted, and answers unchanged', async () => {
    const blobs = observeBlobs(network.blobs, metrics.storage);
    const bytes = new Uint8Array(1_000).fill(7);
    const hash = await blobs.put(bytes);
    expect(await blobs.get(hash)).toEqual(bytes);
    expect(await blobs.has(hash)).toBe(true);
    await blobs.delete(hash);
    await expect(blobs.get(hash)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    const all = await samples(metrics);
    expect(all.get('grail_blob_bytes_total{operation="put"}')).toBe(1_000);
    expect(all.get('grail_blob_bytes_total{operation="get"}')).toBe(1_000);
    expect(all.get('grail_storage_duration_seconds_count{store="blobs",operation="get"}')).toBe(2);
    expect(all.get('grail_storage_errors_total{store="blobs",operation="get",code="BLOB_MISSING"}')).toBe(1);
  });
});

test('a bounded queue shows what is in it and what it takes', async () => {
  let depth = 3;
  metrics.queues.watchItems('messagesWaiting', { depth: () => depth, limit: 10 });
  metrics.queues.watchBytes('bodyBytesInFlight', { depth: () => 5_000, limit: 10_000 });
  expect(await value('grail_queue_items{queue="messagesWaiting"}')).toBe(3);
  depth = 4;
  const all = await samples(metrics);
  expect(all.get('grail_queue_items{queue="messagesWaiting"}')).toBe(4);
  expect(all.get('grail_queue_limit_items{queue="messagesWaiting"}')).toBe(10);
  expect(all.get('grail_queue_bytes{queue="bodyBytesInFlight"}')).toBe(5_000);
  expect(all.get('grail_queue_limit_bytes{queue="bodyBytesInFlight"}')).toBe(10_000);
});

test('work is timed by step, proofs counted by result', async () => {
  metrics.work.windowWork('train', 1.5);
  metrics.work.proofsChecked(5, 1);
  const all = await samples(metrics);
  expect(all.get('grail_window_work_duration_seconds_sum{step="train"}')).toBe(1.5);
  expect(all.get('grail_proofs_checked_total{result="valid"}')).toBe(5);
  expect(all.get('grail_proofs_checked_total{result="invalid"}')).toBe(1);
});

test('nothing that was not measured has a figure', async () => {
  const all = [...(await samples(metrics)).entries()].filter(([, value]) => value !== 0);
  expect(all).toEqual([]);
  for (const name of [
    'grail_ledger_entries',
    'grail_policy_version',
    'grail_policy_mean_return',
    'grail_policy_evaluation_return',
    'grail_lease_held',
    'grail_lease_epoch',
    'grail_bus_reachable',
  ])
    expect(await value(name)).toBeUndefined();
});

test('a process says which version and role it is, and what it takes of the machine', async () => {
  watchProcess(metrics, 'checker');
  const all = await samples(metrics);
  expect([...all.keys()]).toContainEqual(
    expect.stringMatching(/^grail_process_info\{version="[\d.]+",role="checker"\}$/),
  );
  expect(all.get('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  expect([...all.keys()]).toContain('nodejs_eventloop_lag_seconds');
});
