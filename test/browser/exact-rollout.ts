import { simdBackend } from '../../src/backends/simd/index.ts';
import { cartPole } from '../../src/environments/cartpole.ts';
import { type Actor, runSlots } from '../../src/environments/slots.ts';
import { weightCount, weightRows } from '../../src/policy/architecture.ts';
import {
  buildMlp,
  forward,
  type LayerTensors,
  type Policy,
  packSlotSeeds,
  policyRoot,
  sampleBatch,
} from '../../src/policy/index.ts';
import { toHex, u32 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { leafHash, rootOfHashes } from '../../src/protocol/merkle.ts';
import { minerSeeds, windowSeed } from '../../src/protocol/seeds.ts';

/**
 * A short CartPole rollout by the integer reference, from nothing but constants: what Node and a browser must agree on.
 */

const SLOTS = 8;
const STEPS = 256;

/** Integers in [-limit, limit] from SHA-256 of a counter. */
function integers(label: number, count: number, limit: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const [a, b] = sha256(u32(label), u32(i));
    return ((a! * 256 + b!) % (2 * limit + 1)) - limit;
  });
}

function policy(): Policy {
  const architecture = buildMlp({
    observation: cartPole.observation,
    hidden: [32, 32],
    actions: cartPole.actions,
    quantiser: { observationBits: 6, activationBits: 5, weightBits: [4, 4, 6], hysteresis: 0.75 },
  });
  const layers = architecture.layers.map((layer, index): LayerTensors => {
    const bias = integers(100 + index, weightRows(layer), Math.min(layer.biasMax, 512));
    return {
      weight: Int8Array.from(integers(index, weightCount(layer), 127)),
      bias: Int32Array.from(bias),
    };
  });
  return { architecture, layers };
}

export interface RolloutDigest {
  readonly policyRoot: string;
  readonly actions: string;
  readonly observations: string;
  readonly rewards: string;
  readonly episodes: number;
  readonly tree: string;
}

/**
 * Digests of the policy, of 8 slots of 256 steps, and of a Merkle tree over the actions; by plain integers, or by a variant
 * of the integer kernel.
 */
export function exactRollout(kernel?: 'relaxed' | 'plain'): RolloutDigest {
  const genesisHash = sha256(u32(1));
  const model = policy();
  const root = policyRoot(model);
  const seed = windowSeed({ genesisHash, window: 3, policyRoot: root, beacon0: sha256(u32(2)) });
  const seeds = minerSeeds(genesisHash, seed, sha256(u32(3)).slice(0, 20));
  const samples = packSlotSeeds(seeds, SLOTS);
  const loaded = kernel && simdBackend(kernel).load(model);
  const actor: Actor = (step, observations, actions) => {
    if (loaded?.act !== undefined) loaded.act(observations, SLOTS, samples, step, actions);
    else sampleBatch(samples, step, forward(model, observations, SLOTS), cartPole.actions, actions);
  };
  const rollouts = runSlots(cartPole, seeds, 1, SLOTS, STEPS, actor);
  const actions = Uint8Array.from(rollouts.actions);
  const rewards = Uint8Array.from(rollouts.rewards);
  const leaves = Array.from({ length: SLOTS }, (_, slot) =>
    leafHash(actions.slice(slot * STEPS, (slot + 1) * STEPS)),
  );
  return {
    policyRoot: toHex(root),
    actions: toHex(sha256(actions)),
    observations: toHex(sha256(new Uint8Array(rollouts.observations.buffer))),
    rewards: toHex(sha256(rewards)),
    episodes: rollouts.episodes.length,
    tree: toHex(rootOfHashes(leaves)),
  };
}
