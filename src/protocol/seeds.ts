import { concat, u32, u64 } from './bytes.ts';
import { networkHash } from './hash.ts';

/** Bytes of a Philox seed (two key words and two counter words). */
export const SEED_BYTES = 16;

/** The seed that every other seed of a window derives from (PROTOCOL, Seeds). 32 bytes. */
export function windowSeed(input: {
  genesisHash: Uint8Array;
  window: number;
  policyRoot: Uint8Array;
  beacon0: Uint8Array;
}): Uint8Array {
  return networkHash('window', input.genesisHash, u64(input.window), input.policyRoot, input.beacon0);
}

/** The seeds of one miner in one window. */
export interface MinerSeeds {
  /** Start state of an episode: shared by all slots of the group. 16 bytes. */
  task(group: number, episode: number): Uint8Array;
  /** The slot's sampling noise. 16 bytes. */
  sample(slot: number): Uint8Array;
  /** The environment's own randomness within the slot. 16 bytes. */
  environment(slot: number): Uint8Array;
}

/** Derives a miner's seeds from the window's. `address` is 20 bytes. */
export function minerSeeds(genesisHash: Uint8Array, seed: Uint8Array, address: Uint8Array): MinerSeeds {
  const derive = (name: string, ...parts: Uint8Array[]) =>
    networkHash(name, genesisHash, seed, address, concat(...parts)).slice(0, SEED_BYTES);
  return {
    task: (group, episode) => derive('seed/task', u32(group), u32(episode)),
    sample: (slot) => derive('seed/sample', u32(slot)),
    environment: (slot) => derive('seed/environment', u32(slot)),
  };
}
