import { bigToBytes, bytesToBig, concat, fromHex, type Hex, u32 } from '../protocol/bytes.ts';
import { sha256, tag } from '../protocol/hash.ts';

/** What a batch's scalars are bound to, of one of its proofs. */
export interface BatchedProof {
  /** In [0, r). */
  readonly publicSignals: readonly bigint[];
  /** 256 bytes. */
  readonly proof: Uint8Array;
}

/**
 * The scalars of a batch (docs/PROTOCOL.md, Batches): 128 bits each, never zero, hashed from the key and every signal and
 * proof of the batch in order. Whoever chooses a proof does not know its scalar before all proofs stand.
 *
 *     seed = SHA-256(tag("proof/batch") ‖ key hash ‖ u32 n ‖ for each proof: SHA-256(u32 m ‖ s₂ … s_m) ‖ s₁ ‖ proof)
 *     z_j  = the first 16 bytes of SHA-256(seed ‖ u32 j), big-endian; 1 if they are zero
 */
export function batchScalars(keyHash: Hex, batch: readonly BatchedProof[]): bigint[] {
  const parts = [tag('proof/batch'), fromHex(keyHash), u32(batch.length)];
  let before: { signals: readonly bigint[]; digest: Uint8Array } | undefined;
  for (const { publicSignals: signals, proof } of batch) {
    // The proofs of a window share all signals but the first: they are hashed once.
    const tail = before && sameTail(before.signals, signals) ? before.digest : tailDigest(signals);
    before = { signals, digest: tail };
    parts.push(tail, bigToBytes(signals[0]!, 32), proof);
  }
  const seed = sha256(...parts);
  return batch.map((_, j) => bytesToBig(sha256(seed, u32(j)).subarray(0, 16)) || 1n);
}

/** Whether two statements share all signals but the first. */
export function sameTail(a: readonly bigint[], b: readonly bigint[]): boolean {
  return a.length === b.length && a.every((value, i) => i === 0 || value === b[i]);
}

function tailDigest(signals: readonly bigint[]): Uint8Array {
  return sha256(u32(signals.length), concat(...signals.slice(1).map((signal) => bigToBytes(signal, 32))));
}
