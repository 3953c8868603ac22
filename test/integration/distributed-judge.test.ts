import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '../../src/backends/index.ts';
import { environmentById, runSlots } from '../../src/environments/index.ts';
import { type Genesis, genesisHash } from '../../src/params/genesis.ts';
import { forward } from '../../src/policy/forward.ts';
import { type Policy, packSlotSeeds, policyRoot, sampleBatch } from '../../src/policy/index.ts';
import { loadVerificationKey } from '../../src/proofs/artefacts.ts';
import { circuitSpec } from '../../src/proofs/spec.ts';
import { packActions } from '../../src/protocol/actions.ts';
import { fromHex, type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { commitRoot, rolloutDigests } from '../../src/protocol/commitment.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { minerSeeds, windowSeed } from '../../src/protocol/seeds.ts';
import { Judge, type WindowInput, type WindowWork } from '../../src/replica/judge.ts';
import { genesisStart, type JudgeStart } from '../../src/replica/load-judge.ts';
import type { CommitInput } from '../../src/replica/replay.ts';
import { MemoryBlobStore } from '../../src/storage/memory-blobs.ts';
import { createTrainer } from '../../src/training/index.ts';
import type { Bus } from '../../verifier/bus/bus.ts';
import { createInProcessBus } from '../../verifier/bus/in-process.ts';
import { ComputePool } from '../../verifier/compute/compute-pool.ts';
import { makeDevnet } from '../../verifier/devnet.ts';
import { DistributedJudge } from '../../verifier/jobs/distributed-judge.ts';
import { JobClient } from '../../verifier/jobs/job-client.ts';
import { startJobWorkers } from '../../verifier/jobs/job-worker.ts';
import { WorkStores } from '../../verifier/jobs/work-stores.ts';
import { lineLog } from '../../verifier/log.ts';
import { createMetrics } from '../../verifier/metrics/index.ts';

/**
 * Windows judged by jobs, in threads and over a bus, against the judge that an audit runs in one go: the same judgements,
 * policies, patches and trainer states, whoever computes them and however often.
 */
const SLOTS = 2;
const WINDOWS = 3;

let genesis: Genesis;
let start: JudgeStart;
let pool: ComputePool;
let bus: Bus;
let work: MemoryBlobStore;
let expected: WindowWork[];
let inputs: WindowInput[];
const abort = new AbortController();

const named = (text: string) => sha256(utf8(text));
const address = (name: string): Hex => toHex(named(name).subarray(0, 20));

/** What an honest miner commits to. */
function commitOf(window: number, seed: Uint8Array, policy: Policy, name: string): CommitInput {
  const miner = address(name);
  const hash = genesisHash(genesis);
  const seeds = minerSeeds(hash, seed, fromHex(miner));
  const noise = packSlotSeeds(seeds, SLOTS);
  const { actions: count } = genesis.architecture;
  const rollouts = runSlots(
    environmentById(genesis.environment),
    seeds,
    genesis.groupSize,
    SLOTS,
    genesis.stepsPerSlot,
    (step, observations, actions) =>
      sampleBatch(noise, step, forward(policy, observations, SLOTS), count, actions),
  );
  const digests = rolloutDigests(
    { genesisHash: hash, window, address: fromHex(miner), actions: count },
    rollouts,
  );
  return {
    miner,
    slots: SLOTS,
    actions: toHex(packActions(rollouts.actions, count)),
    commitRoot: toHex(commitRoot(digests)),
  };
}

/** Flips the first action. */
function flipped(commit: CommitInput): CommitInput {
  const bytes = fromHex(commit.actions);
  bytes[0]! ^= 1;
  return { ...commit, actions: toHex(bytes) };
}

beforeAll(async () => {
  genesis = (await makeDevnet({ seed: 5, miners: 1, stepsPerSlot: 64 })).genesis;
  const trainer = await createTrainer(genesis);
  start = genesisStart(genesis, trainer);
  const judge = new Judge(genesis, { trainer, backend: await loadBackend('simd') }, start);
  expected = [];
  inputs = [];
  for (let window = 0; window < WINDOWS; window++) {
    const policyVersion = Math.max(0, window - genesis.lag);
    const policy = judge.policy(policyVersion);
    const beacon0 = named(`beacon ${window}`);
    const seed = windowSeed({
      genesisHash: genesisHash(genesis),
      window,
      policyRoot: policyRoot(policy),
      beacon0,
    });
    const commits = ['a', 'b', 'c'].map((name) => commitOf(window, seed, policy, name));
    commits[1] = flipped(commits[1]!);
    commits.sort((a, b) => (a.miner < b.miner ? -1 : 1));
    const input = {
      window,
      policyVersion,
      windowSeed: seed,
      challengeSeed: named(`challenge ${window}`),
      commitPhaseRoot: named(`commits ${window}`),
      commits,
    };
    inputs.push(input);
    expected.push(judge.process(input));
  }
  const { verificationKey } = await loadVerificationKey(circuitSpec(genesis));
  pool = new ComputePool(genesis, verificationKey, 2);
  bus = createInProcessBus();
  work = new MemoryBlobStore();
  const stores = new WorkStores(async () => work, null);
  startJobWorkers({ queue: bus.jobs, stores, pool, kinds: ['replay', 'proofs', 'train', 'evaluate'] });
}, 180_000);

afterAll(async () => {
  abort.abort();
  await bus?.close();
  await pool?.close();
});

function judgeByJobs(from: JudgeStart = start, epoch = 0): DistributedJudge {
  const jobs = new JobClient({
    queue: bus.jobs,
    place: { epoch, work },
    genesisHash: genesisHash(genesis),
    signal: abort.signal,
  });
  const { work: metrics } = createMetrics();
  return new DistributedJudge({ jobs, start: from, log: lineLog(() => {}), metrics });
}

async function blobsOf(store: MemoryBlobStore): Promise<Hex[]> {
  const hashes: Hex[] = [];
  for await (const { hash } of store.list()) hashes.push(hash!);
  return hashes;
}

describe('a judge that has windows judged by jobs', () => {
  test('gives what the judge of an audit gives, byte for byte, with windows overlapping', async () => {
    const judge = judgeByJobs();
    // The next window's replays are asked for while the one before still trains, as soon as their policy is there.
    const first = judge.process(inputs[0]!);
    const second = judge.process(inputs[1]!);
    const got = [await first, await second];
    got.push(await judge.process(inputs[2]!));
    expect(got).toEqual(expected);
    const rejections = got[0]!.judgements.map(({ rejection }) => rejection?.code ?? null);
    expect(rejections.filter((code) => code === 'ACTION_MISMATCH')).toHaveLength(1);
  });

  test('gives the same again from kept results whose blobs were deleted: the jobs are done anew', async () => {
    expect(await judgeByJobs().process(inputs[0]!)).toEqual(expected[0]);
  });

  test('goes on though many before it had their jobs done and lost what came of them', async () => {
    for (let epoch = 1; epoch <= 5; epoch++) {
      for (const hash of await blobsOf(work)) await work.delete(hash);
      expect(await judgeByJobs(start, epoch).process(inputs[0]!)).toEqual(expected[0]);
    }
  });

  test('leaves no rollouts behind, only what later windows need', async () => {
    const judge = judgeByJobs();
    for (const input of inputs) await judge.process(input);
    const sizes = await Promise.all((await blobsOf(work)).map(async (hash) => (await work.get(hash)).length));
    // Policies and trainer states: rollouts of a commitment take 64 · 2 steps of 4 observations, rewards and logits.
    expect(sizes.length).toBeLessThan(2 * (WINDOWS + 1) * 2);
  });

  test('evaluates a policy as one process does', async () => {
    const judge = judgeByJobs();
    const { policy } = expected[2]!;
    expect(await judge.evaluate(policy, 10)).toBe(await judge.evaluate(policy, 10));
    expect(await judge.evaluate(policy, 10)).toBeGreaterThan(5);
  });

  test('evaluates though the jobs of a judge before it are dead, whose blobs were deleted', async () => {
    const queue = createInProcessBus({ retryMs: 1 });
    const parts = { queue: queue.jobs, genesisHash: genesisHash(genesis), signal: abort.signal };
    const judgeWith = (store: MemoryBlobStore, epoch: number) =>
      new DistributedJudge({
        jobs: new JobClient({ ...parts, place: { epoch, work: store } }),
        start,
        log: lineLog(() => {}),
        metrics: createMetrics().work,
      });
    const stores = new WorkStores(async () => work, null);
    startJobWorkers({ queue: queue.jobs, stores, pool, kinds: ['evaluate'] });
    const { policy } = expected[2]!;
    for (const hash of await blobsOf(work)) await work.delete(hash);
    const lost = judgeWith(new MemoryBlobStore(), 1).evaluate(policy, 10);
    await expect(lost).rejects.toMatchObject({ code: 'JOB_FAILED' });
    expect(await judgeWith(work, 2).evaluate(policy, 10)).toBeGreaterThan(5);
    await queue.close();
  });

  test('puts a policy again that is gone from where jobs find it', async () => {
    const judge = judgeByJobs();
    const { policy } = expected[2]!;
    await judge.evaluate(policy, 10);
    for (const hash of await blobsOf(work)) await work.delete(hash);
    expect(await judge.evaluate(policy, 11)).toBeGreaterThan(5);
  });

  test('refuses a window out of order', async () => {
    await expect(judgeByJobs().process(inputs[1]!)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
