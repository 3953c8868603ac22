import { concat, fromHex, type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import { type JobKind, MAX_BUS_BYTES } from '../bus/bus.ts';

/**
 * A payload or result as it goes over the bus: 0 and the bytes, or 1 and the hash of a blob that holds them, where they are
 * more than a message takes.
 */

const INLINE = 0;
const STORED = 1;

/** Puts bytes into an envelope. @returns also the hash of the blob that it took, if any */
export async function seal(
  bytes: Uint8Array,
  work: BlobStore,
): Promise<{ readonly envelope: Uint8Array; readonly blob: Hex | null }> {
  if (bytes.length < MAX_BUS_BYTES) return { envelope: concat(Uint8Array.of(INLINE), bytes), blob: null };
  const blob = await work.put(bytes);
  return { envelope: concat(Uint8Array.of(STORED), fromHex(blob)), blob };
}

/** @throws GrailError BAD_REQUEST, BLOB_MISSING, BLOB_CORRUPT, STORAGE_UNAVAILABLE */
export async function unseal(envelope: Uint8Array, work: BlobStore): Promise<Uint8Array> {
  if (envelope[0] === INLINE) return envelope.subarray(1);
  if (envelope[0] === STORED && envelope.length === 33) return work.get(toHex(envelope.subarray(1)));
  throw new GrailError('BAD_REQUEST', 'a job is in no known envelope');
}

/** The name of a computation, 64 hex digits: what it computes and of which network. */
export function jobId(kind: JobKind, genesisHash: Uint8Array, payload: Uint8Array): string {
  return toHex(sha256(utf8(`grail/job/${kind}`), genesisHash, payload)).slice(2);
}
