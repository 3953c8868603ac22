import type { RolloutInput } from '../../rollouts/engine/index.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import type { Policy } from '../../src/policy/index.ts';
import { sha256 } from '../../src/protocol/hash.ts';

/** A window of rollouts to play: genesis has what the engine and a commitment read. */
export function windowInput(
  environment: string,
  policy: Policy,
  slots: number,
  stepsPerSlot: number,
  window: number,
): RolloutInput {
  const genesis = {
    environment,
    groupSize: 1,
    stepsPerSlot,
    architecture: policy.architecture,
  } as unknown as Genesis;
  return {
    genesis,
    window,
    genesisHash: sha256(new Uint8Array([1])),
    windowSeed: sha256(new Uint8Array([2, window & 0xff, window >> 8])),
    miner: `0x${'5a'.repeat(20)}`,
    slots,
    policy,
  };
}
