import { bigToBytes, bytesToBig, concat, u32 } from '../protocol/bytes.ts';
import { sha256, tag } from '../protocol/hash.ts';

/** A proof with the statement that it is checked against. */
export interface ProvenStatement {
  /** In the circuit's order. The verifier makes these itself; they never come from a prover. */
  readonly publicSignals: readonly bigint[];
  /** 256 untrusted bytes (docs/PROTOCOL.md, Proof encoding). */
  readonly proof: Uint8Array;
}

/**
 * Proofs of one batch. A bad one makes so many others wait, and each takes 20 KiB until the batch is done; larger ones would
 * save less than a fiftieth of the time.
 */
export const MAX_BATCH = 256;

/** Whether all signals but the first are the same: those of a window's proofs are. */
export function sameShared(a: readonly bigint[], b: readonly bigint[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 1; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Names a batch: SHA-256 over the key's hash and every signal and every byte of all proofs, in order (docs/PROTOCOL.md, Batches).
 * @param keyHash 32 bytes
 * @param items signals below r, proofs of 256 bytes
 */
export function batchTranscript(keyHash: Uint8Array, items: readonly ProvenStatement[]): Uint8Array {
  const parts = [tag('batch'), keyHash, u32(items.length)];
  let shared: readonly bigint[] | undefined;
  let sharedHash: Uint8Array = new Uint8Array();
  for (const { publicSignals, proof } of items) {
    if (shared === undefined || !sameShared(shared, publicSignals)) {
      shared = publicSignals;
      sharedHash = sha256(...publicSignals.slice(1).map((signal) => bigToBytes(signal, 32)));
    }
    parts.push(bigToBytes(publicSignals[0]!, 32), sharedHash, proof);
  }
  return sha256(...parts);
}

/**
 * The weights of the batch's proofs from `from` up to but without `to`: 128 bits each, odd, hence not zero. Each range has
 * weights of its own, and they depend on the whole batch: whoever makes a proof cannot know them before all are made.
 */
export function batchWeights(transcript: Uint8Array, from: number, to: number): bigint[] {
  const range = concat(tag('batch-weight'), transcript, u32(from), u32(to));
  return Array.from({ length: to - from }, (_, i) => {
    const digest = sha256(range, u32(from + i));
    return bytesToBig(digest.subarray(0, 16)) | 1n;
  });
}

/**
 * Where more than one in so many is invalid, halving costs more than it spares: a range of eight, checked in vain, takes as
 * long as two proofs singly.
 */
const SPARSE = 8;

/**
 * The invalid ones of `count` proofs, by halving: a range that holds needs no look inside, of one that does not its halves
 * are checked. A proof left alone is checked singly, so no valid proof is ever blamed for another. One invalid proof among
 * n takes about 2·log₂ n checks of 2n pairings in all; where there are many the ranges are no longer checked, so that all n
 * invalid take n single checks and those of one path of ranges.
 *
 * @param rangeHolds whether all proofs in [from, to), at least two, are valid
 * @param proofHolds whether one is
 * @returns indices in ascending order
 */
export async function findInvalid(
  count: number,
  rangeHolds: (from: number, to: number) => Promise<boolean>,
  proofHolds: (index: number) => Promise<boolean>,
): Promise<number[]> {
  const invalid: number[] = [];
  let decided = 0;
  /** Adds the range's invalid proofs and says whether there are any. `known`: it does not hold, so it need not be checked. */
  async function search(from: number, to: number, known: boolean): Promise<boolean> {
    if (to === from) return false;
    if (to - from === 1) {
      decided++;
      if (await proofHolds(from)) return false;
      invalid.push(from);
      return true;
    }
    const sparse = invalid.length * SPARSE <= decided;
    if (!known && sparse && (await rangeHolds(from, to))) {
      decided += to - from;
      return false;
    }
    const middle = from + ((to - from) >> 1);
    const left = await search(from, middle, false);
    // What is wrong with the range is on its right if it is not on its left.
    return (await search(middle, to, !left)) || left;
  }
  await search(0, count, false);
  return invalid;
}
