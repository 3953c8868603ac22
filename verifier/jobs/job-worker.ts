import type { Hex } from '../../src/protocol/bytes.ts';
import type { JobKind, JobQueue, JobWorker } from '../bus/bus.ts';
import { neededBlobs } from '../compute/compute.ts';
import type { ComputePool } from '../compute/compute-pool.ts';
import { epochOf, seal, unseal } from './envelope.ts';
import type { WorkStores } from './work-stores.ts';

export interface JobWorkerParts {
  readonly queue: JobQueue;
  readonly stores: WorkStores;
  readonly pool: ComputePool;
  readonly kinds: readonly JobKind[];
}

/** Does jobs of some kinds in a pool of threads until it is stopped. One job more than threads is fetched ahead. */
export function startJobWorkers({ queue, stores, pool, kinds }: JobWorkerParts): JobWorker {
  const workers = kinds.map((kind) =>
    queue.work(
      kind,
      async (envelope) => {
        const epoch = epochOf(envelope);
        const work = await stores.of(epoch);
        const payload = await unseal(envelope, work);
        const blobs = new Map<Hex, Uint8Array>();
        for (const hash of neededBlobs(kind, payload)) blobs.set(hash, await work.get(hash));
        const computed = await pool.compute({ kind, payload, blobs });
        for (const bytes of computed.blobs) await work.put(bytes);
        return (await seal(computed.result, { epoch, work })).envelope;
      },
      { concurrency: pool.size + 1 },
    ),
  );
  return {
    async stop(options) {
      await Promise.all(workers.map((worker) => worker.stop(options)));
    },
  };
}
