import { type Environment, type Rollouts, runSlots } from '../../src/environments/index.ts';
import { type Policy, packSlotSeeds, policyRoot, sampleBatch } from '../../src/policy/index.ts';
import { minerSeeds, windowSeed } from '../../src/protocol/seeds.ts';

/** A window's rollouts as a network's only miner makes them: seeds, noise and slots are the protocol's. */
export function loneWindow(input: {
  readonly environment: Environment;
  readonly genesisHash: Uint8Array;
  readonly window: number;
  readonly beacon0: Uint8Array;
  readonly policy: Policy;
  readonly groupSize: number;
  readonly slots: number;
  readonly stepsPerSlot: number;
  /** Of the policy, `[slots, actions]`. */
  readonly logits: (observations: Int8Array, slots: number) => Int32Array;
}): Rollouts {
  const { environment, genesisHash, window, beacon0, policy, groupSize, slots, stepsPerSlot, logits } = input;
  const seed = windowSeed({ genesisHash, window, policyRoot: policyRoot(policy), beacon0 });
  const seeds = minerSeeds(genesisHash, seed, new Uint8Array(20).fill(1));
  const noise = packSlotSeeds(seeds, slots);
  return runSlots(environment, seeds, groupSize, slots, stepsPerSlot, (step, observations, actions) =>
    sampleBatch(noise, step, logits(observations, slots), environment.actions, actions),
  );
}
