import type { LoadedPolicy } from '../src/backends/index.ts';
import { type Actor, environmentById, type Rollouts, runSlots } from '../src/environments/index.ts';
import type { Genesis } from '../src/params/genesis.ts';
import { packSeeds, sampleBatch } from '../src/policy/index.ts';
import { packActions } from '../src/protocol/actions.ts';
import { fromHex, type Hex, toHex } from '../src/protocol/bytes.ts';
import { commitRoot, rolloutDigests } from '../src/protocol/commitment.ts';
import type { MessageOf, Unsigned } from '../src/protocol/messages.ts';
import { type MinerSeeds, minerSeeds } from '../src/protocol/seeds.ts';

/** What a miner's rollouts of one window follow from: nothing else enters them. */
export interface RolloutInput {
  readonly genesis: Genesis;
  /** 32 bytes each. */
  readonly genesisHash: Uint8Array;
  readonly windowSeed: Uint8Array;
  readonly miner: Hex;
  readonly slots: number;
  /** The window's policy, on the backend that runs it. */
  readonly policy: LoadedPolicy;
}

/**
 * The one valid rollout of each slot: `slots` slots of genesis.stepsPerSlot steps, in lock-step, one policy pass of
 * batch `slots` a step (docs/PROTOCOL.md, Rollouts). Synchronous: 16 slots of 256 steps of 4-32-32-2 take about 50 ms
 * with plain integers.
 * @throws GrailError GENESIS_INVALID when the environment is unknown
 */
export function generateRollouts(input: RolloutInput): Rollouts {
  const seeds = seedsOf(input);
  return rolloutsOf(input, seeds, policyActor(input.policy, seeds, input.slots));
}

/** All seeds of the miner in the window. */
export function seedsOf(input: Pick<RolloutInput, 'genesisHash' | 'windowSeed' | 'miner'>): MinerSeeds {
  return minerSeeds(input.genesisHash, input.windowSeed, fromHex(input.miner));
}

/** Steps the window's slots with any actor. */
export function rolloutsOf(
  input: Pick<RolloutInput, 'genesis' | 'slots'>,
  seeds: MinerSeeds,
  actor: Actor,
): Rollouts {
  const { environment, groupSize, stepsPerSlot } = input.genesis;
  return runSlots(environmentById(environment), seeds, groupSize, input.slots, stepsPerSlot, actor);
}

/** Acts as the protocol prescribes: argmax of the policy's logits plus the Gumbel noise of (slot, step). */
export function policyActor(policy: LoadedPolicy, seeds: MinerSeeds, slots: number): Actor {
  const words = packSeeds(Array.from({ length: slots }, (_, slot) => seeds.sample(slot)));
  const count = policy.policy.architecture.actions;
  if (policy.act !== undefined) {
    return (step, observations, actions) => policy.act!(observations, slots, words, step, actions);
  }
  return (step, observations, actions) =>
    sampleBatch(words, step, policy.logits(observations, slots), count, actions);
}

/** What a commit says of rollouts, to be signed. */
export function commitMessage(
  context: {
    readonly genesis: Genesis;
    readonly genesisHash: Uint8Array;
    readonly window: number;
    readonly miner: Hex;
    readonly policyRoot: Hex;
  },
  rollouts: Rollouts,
): Unsigned<MessageOf<'commit'>> {
  const { genesisHash, window, miner, policyRoot } = context;
  const { actions } = context.genesis.architecture;
  const digests = rolloutDigests({ genesisHash, window, address: fromHex(miner), actions }, rollouts);
  return {
    type: 'commit',
    miner,
    window,
    policyRoot,
    commitRoot: toHex(commitRoot(digests)),
    actions: toHex(packActions(rollouts.actions, actions)),
  };
}

/** Mean return of the episodes that ended, or null without any: a report, nothing reads it. */
export function meanReturn(rollouts: Rollouts): number | null {
  const { episodes } = rollouts;
  if (episodes.length === 0) return null;
  return episodes.reduce((sum, episode) => sum + episode.return, 0) / episodes.length;
}
