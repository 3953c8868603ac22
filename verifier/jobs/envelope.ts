import { bytesToBig, concat, fromHex, type Hex, toHex, u64, utf8 } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import { type JobKind, MAX_BUS_BYTES } from '../bus/bus.ts';

/**
 * A payload or result as it goes over the bus: a byte, the u64 epoch of the lease that it is of, then the bytes themselves (0)
 * or, where they are more than a message takes, the hash of a blob that holds them (1).
 */

const INLINE = 0;
const STORED = 1;
const HEAD_BYTES = 9;

/** Where the blobs of a job lie. */
export interface JobPlace {
  /** Of the sequencer's lease. */
  readonly epoch: number;
  readonly work: BlobStore;
}

/** Puts bytes into an envelope. @returns also the hash of the blob that it took, if any */
export async function seal(
  bytes: Uint8Array,
  { epoch, work }: JobPlace,
): Promise<{ readonly envelope: Uint8Array; readonly blob: Hex | null }> {
  const head = (kind: number) => concat(Uint8Array.of(kind), u64(epoch));
  if (bytes.length + HEAD_BYTES <= MAX_BUS_BYTES)
    return { envelope: concat(head(INLINE), bytes), blob: null };
  const blob = await work.put(bytes);
  return { envelope: concat(head(STORED), fromHex(blob)), blob };
}

/** The lease that an envelope is of. @throws GrailError BAD_REQUEST */
export function epochOf(envelope: Uint8Array): number {
  const epoch = envelope.length < HEAD_BYTES ? -1 : Number(bytesToBig(envelope.subarray(1, HEAD_BYTES)));
  if (Number.isSafeInteger(epoch) && epoch >= 0) return epoch;
  throw unknown();
}

/** @throws GrailError BAD_REQUEST, BLOB_MISSING, BLOB_CORRUPT, STORAGE_UNAVAILABLE */
export async function unseal(envelope: Uint8Array, work: BlobStore): Promise<Uint8Array> {
  epochOf(envelope);
  const rest = envelope.subarray(HEAD_BYTES);
  if (envelope[0] === INLINE) return rest;
  if (envelope[0] === STORED && rest.length === 32) return work.get(toHex(rest));
  throw unknown();
}

function unknown(): GrailError {
  return new GrailError('BAD_REQUEST', 'a job is in no known envelope');
}

/** The name of a computation, 64 hex digits: what it computes and of which network. */
export function jobId(kind: JobKind, genesisHash: Uint8Array, payload: Uint8Array): string {
  return toHex(sha256(utf8(`grail/job/${kind}`), genesisHash, payload)).slice(2);
}
