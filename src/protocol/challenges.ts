import { u32, u64 } from './bytes.ts';
import { networkHash } from './hash.ts';

/** A challenged step: step `step` of slot `slot`, both from 0. */
export interface Challenge {
  readonly slot: number;
  readonly step: number;
}

/** SHA-256 over beacon₁ and the root of the closed commit phase: nobody knows it before commitments are fixed. */
export function challengeSeed(input: {
  genesisHash: Uint8Array;
  window: number;
  beacon1: Uint8Array;
  commitPhaseRoot: Uint8Array;
}): Uint8Array {
  return networkHash('challenge', input.genesisHash, u64(input.window), input.beacon1, input.commitPhaseRoot);
}

/**
 * Draws `count` distinct steps of a miner's `slots`·`stepsPerSlot`, uniformly, sorted by (slot, step).
 *
 * Draws are u32 words (big-endian) of SHA-256(tag ‖ genesisHash ‖ seed ‖ address ‖ u32 counter); a word at or above
 * the largest multiple of the range, or one drawn before, is skipped.
 */
export function drawChallenges(input: {
  genesisHash: Uint8Array;
  seed: Uint8Array;
  address: Uint8Array;
  slots: number;
  stepsPerSlot: number;
  count: number;
}): Challenge[] {
  const range = input.slots * input.stepsPerSlot;
  if (range > 2 ** 32) throw new RangeError('slots · stepsPerSlot exceeds 2^32');
  if (input.count > range) throw new RangeError('more challenges than steps');
  const limit = Math.floor(2 ** 32 / range) * range;
  const drawn = new Set<number>();
  for (let counter = 0; drawn.size < input.count; counter++) {
    const block = networkHash('challenge/draw', input.genesisHash, input.seed, input.address, u32(counter));
    const words = new DataView(block.buffer, block.byteOffset, block.byteLength);
    for (let at = 0; at < 32 && drawn.size < input.count; at += 4) {
      const word = words.getUint32(at);
      if (word < limit) drawn.add(word % range);
    }
  }
  return [...drawn]
    .sort((a, b) => a - b)
    .map((index) => ({
      slot: Math.floor(index / input.stepsPerSlot),
      step: index % input.stepsPerSlot,
    }));
}
