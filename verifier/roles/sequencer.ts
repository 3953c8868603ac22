import { loadBackend } from '../../src/backends/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { anchorDebt } from '../../src/replica/anchor-debt.ts';
import { type JudgeStart, replayedStart, storedPolicies } from '../../src/replica/load-judge.ts';
import { NetworkState, type PolicyVersion } from '../../src/replica/state.ts';
import { trainerStateRootOfBytes } from '../../src/training/index.ts';
import type { NetworkDirectory } from '../directory.ts';
import { DistributedJudge } from '../jobs/distributed-judge.ts';
import { distributedProofs } from '../jobs/distributed-proofs.ts';
import { JobClient } from '../jobs/job-client.ts';
import type { WorkStores } from '../jobs/work-stores.ts';
import { Sequencer } from '../sequencer.ts';
import type { WriterContext } from './context.ts';
import { operatorOf } from './operator.ts';

/**
 * Makes the sequencer of a network: replays its ledger and takes up where that ends. It has windows judged by jobs.
 * @throws GrailError GENESIS_MISMATCH when the operator's keys are not those of the network; LEDGER_INVALID
 */
export async function makeSequencer(context: WriterContext): Promise<Sequencer> {
  const { directory, genesis, ledger, blobs, work, bus, config, log, metrics, health, signal } = context;
  const { identity, beacon } = operatorOf(genesis, await directory.secrets());
  const state = new NetworkState(genesis);
  for (const { entry } of ledger.range()) state.apply(entry, { signatureChecked: true });
  const start = await judgeStart(context, state);
  const epoch = epochOf(context);
  const jobs = new JobClient({
    queue: bus.jobs,
    place: { epoch, work: await work.of(epoch) },
    genesisHash: state.genesisHash,
    signal,
  });
  const judge = new DistributedJudge({ jobs, start, log, metrics: metrics.work });
  await work.clear(epoch);
  const sequencer = new Sequencer({
    state,
    ledger,
    writer: context.writer,
    identity,
    beacon,
    judge,
    checkProofs: distributedProofs(jobs),
    blobs,
    keepTrainerState: (version, bytes) => directory.keepTrainerState(version, bytes),
    policies: new Map(start.policies),
    config,
    log,
    metrics,
  });
  health.register('storage', () => {
    const trouble = sequencer.trouble;
    return trouble === null ? { ok: true, detail: 'takes entries' } : { ok: false, detail: trouble.code };
  });
  return sequencer;
}

/** The judge's start at the newest verdict: from a kept trainer state, or by replaying everything. */
async function judgeStart(context: WriterContext, state: NetworkState): Promise<JudgeStart> {
  const { genesis, ledger, directory, blobs, work, log } = context;
  const newest = state.versions.at(-1)!;
  const kept = await keptTrainerState(directory, work, epochOf(context), newest);
  if (kept !== null) {
    const policies = await storedPolicies(state.versions, blobs, genesis);
    return { version: newest.version, policies, trainerState: kept, debt: anchorDebt(state.versions) };
  }
  if (newest.version > 0) {
    log.warn('no trainer state at the newest verdict: training again from the ledger', {
      version: newest.version,
    });
  }
  return replayedStart(genesis, ledger, await loadBackend('simd'), (window) =>
    log.info(`trained window ${window} again`, { window }),
  );
}

const epochOf = ({ writer }: WriterContext) => writer?.epoch ?? 0;

/** The newest trainer state: from this machine's cache, or from what an earlier process left for its successor. */
async function keptTrainerState(
  directory: NetworkDirectory,
  work: WorkStores,
  present: number,
  { version, trainerStateRoot }: PolicyVersion,
): Promise<Uint8Array | null> {
  const is = (bytes: Uint8Array) => toHex(trainerStateRootOfBytes(bytes)) === trainerStateRoot;
  const cached = await directory.trainerState(version);
  if (cached !== null && is(cached)) return cached;
  for (const { epoch, hash } of await work.left(present)) {
    const bytes = await (await work.of(epoch)).get(hash).catch(() => null);
    if (bytes !== null && is(bytes)) return bytes;
  }
  return null;
}
