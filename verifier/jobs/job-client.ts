import type { Hex } from '../../src/protocol/bytes.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import type { JobKind, JobQueue } from '../bus/bus.ts';
import { type JobPlace, jobId, seal, unseal } from './envelope.ts';

export interface JobClientParts {
  readonly queue: JobQueue;
  /** Where what jobs take and give lies for as long as it is needed. */
  readonly place: JobPlace;
  readonly genesisHash: Uint8Array;
  readonly signal: AbortSignal;
}

/** Has jobs done by whoever does such jobs. */
export class JobClient {
  readonly work: BlobStore;
  readonly #parts: JobClientParts;

  /** Of the sequencer's lease: what another had computed are other jobs. */
  get epoch(): number {
    return this.#parts.place.epoch;
  }

  constructor(parts: JobClientParts) {
    this.#parts = parts;
    this.work = parts.place.work;
  }

  /** The result of a job. @throws GrailError JOB_FAILED, STOPPED, BLOB_MISSING when a kept result is gone */
  async run(kind: JobKind, payload: Uint8Array): Promise<Uint8Array> {
    const { queue, place, genesisHash, signal } = this.#parts;
    const { envelope, blob } = await seal(payload, place);
    const id = jobId(kind, genesisHash, payload);
    const result = await unseal(await queue.run({ kind, id, payload: envelope }, { signal }), this.work);
    if (blob !== null) this.forget([blob]);
    return result;
  }

  /** Deletes what nobody needs any more; what cannot be deleted now stays until the next start. */
  forget(hashes: Iterable<Hex>): void {
    for (const hash of hashes) void this.work.delete(hash).catch(() => {});
  }
}
