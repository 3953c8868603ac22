import { concat, u64 } from './bytes.ts';
import { networkHash, sha256, tag } from './hash.ts';

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
  /** Seeds are `networkHash(name, genesisHash, seed, address, u32…)`: all but the numbers is put together once. */
  const derive = (name: string, numbers: number) => {
    const head = concat(tag(name), genesisHash, seed, address);
    const message = new Uint8Array(head.length + 4 * numbers);
    message.set(head);
    const view = new DataView(message.buffer, head.length);
    return (first: number, second = 0) => {
      checkU32(first);
      checkU32(second);
      view.setUint32(0, first);
      if (numbers > 1) view.setUint32(4, second);
      return sha256(message).subarray(0, SEED_BYTES);
    };
  };
  const task = derive('seed/task', 2);
  const sample = derive('seed/sample', 1);
  const environment = derive('seed/environment', 1);
  return {
    task: (group, episode) => task(group, episode),
    sample: (slot) => sample(slot),
    environment: (slot) => environment(slot),
  };
}

/** @throws RangeError */
function checkU32(value: number): void {
  if (value >>> 0 !== value) throw new RangeError(`${value} is not a u32`);
}
