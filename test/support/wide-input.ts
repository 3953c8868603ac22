import type { RolloutInput } from '../../rollouts/engine/index.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { KEYS, tinyGenesis } from '../helpers/network.ts';
import { QUANTISER, randomPolicy } from './policies.ts';

/** A window of CartPole with a policy that takes more than 4 MiB of a kernel's memory. */
export function input(): RolloutInput {
  const quantiser = { ...QUANTISER, weightBits: [4, 4, 4, 4, 4, 4, 6] };
  const architecture = buildMlp({
    observation: 4,
    hidden: [1024, 1024, 1024, 1024, 1024, 1024],
    actions: 2,
    quantiser,
  });
  return {
    genesis: { ...tinyGenesis(), stepsPerSlot: 4 },
    window: 1,
    genesisHash: sha256(new Uint8Array([1])),
    windowSeed: sha256(new Uint8Array([2])),
    miner: KEYS.miner.address,
    slots: 2,
    policy: randomPolicy(architecture, 1),
  };
}
