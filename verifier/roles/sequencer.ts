import { loadBackend } from '../../src/backends/index.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import { LocalBeacon } from '../../src/protocol/beacon.ts';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { anchorDebt } from '../../src/replica/anchor-debt.ts';
import { type JudgeStart, replayedStart, storedPolicies } from '../../src/replica/load-judge.ts';
import { NetworkState } from '../../src/replica/state.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import { trainerStateRootOfBytes } from '../../src/training/index.ts';
import type { NetworkDirectory, OperatorSecrets } from '../directory.ts';
import { DistributedJudge } from '../jobs/distributed-judge.ts';
import { distributedProofs } from '../jobs/distributed-proofs.ts';
import { JobClient } from '../jobs/job-client.ts';
import { Sequencer } from '../sequencer.ts';
import type { WriterContext } from './context.ts';

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
  await clearWork(work, start.trainerState);
  const jobs = new JobClient({ queue: bus.jobs, work, genesisHash: state.genesisHash, signal });
  const sequencer = new Sequencer({
    state,
    ledger,
    writer: context.writer,
    identity,
    beacon,
    judge: new DistributedJudge({ jobs, start, log, metrics: metrics.work }),
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

/** @throws GrailError GENESIS_MISMATCH */
function operatorOf(genesis: Genesis, secrets: OperatorSecrets): { identity: Identity; beacon: LocalBeacon } {
  const identity = new Identity(secrets.verifierKey);
  if (!genesis.verifiers.some(({ address }) => address === identity.address)) {
    throw new GrailError('GENESIS_MISMATCH', 'the operator’s key is not a verifier of this network', {
      got: identity.address,
    });
  }
  const beacon = new LocalBeacon(secrets.beaconSecrets);
  const ends = beacon.ends.map(toHex);
  // Otherwise the first value that it draws would stand in the ledger for ever, and no rule would accept it.
  if (ends.join() !== genesis.beacon.ends.join()) {
    throw new GrailError('GENESIS_MISMATCH', 'the operator’s beacon secrets are not those of this network', {
      expected: genesis.beacon.ends,
      got: ends,
    });
  }
  return { identity, beacon };
}

/** The judge's start at the newest verdict: from a kept trainer state, or by replaying everything. */
async function judgeStart(context: WriterContext, state: NetworkState): Promise<JudgeStart> {
  const { genesis, ledger, directory, blobs, work, log } = context;
  const newest = state.versions.at(-1)!;
  const kept = await keptTrainerState(directory, work, newest.version, newest.trainerStateRoot);
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

/** The trainer state with a root: from this machine's cache, or from what another process left for its successor. */
async function keptTrainerState(
  directory: NetworkDirectory,
  work: BlobStore,
  version: number,
  root: Hex,
): Promise<Uint8Array | null> {
  const is = (bytes: Uint8Array) => toHex(trainerStateRootOfBytes(bytes)) === root;
  const cached = await directory.trainerState(version);
  if (cached !== null && is(cached)) return cached;
  for await (const { hash } of work.list()) {
    if (hash === null) continue;
    const bytes = await work.get(hash).catch(() => null);
    if (bytes !== null && is(bytes)) return bytes;
  }
  return null;
}

/** Removes what an earlier process left; jobs whose kept results name it are done again. */
async function clearWork(work: BlobStore, trainerState: Uint8Array): Promise<void> {
  const keep = await work.put(trainerState);
  for await (const { hash } of work.list()) {
    if (hash !== null && hash !== keep) await work.delete(hash);
  }
}
