import type { Genesis } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { trace } from '../policy/forward.ts';
import { noise } from '../policy/sampler.ts';
import { policyRoot } from '../policy/snapshot.ts';
import { bigToBytes, concat, fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { type Challenge, drawChallenges } from '../protocol/challenges.ts';
import { minerSeeds } from '../protocol/seeds.ts';
import { contextElement, traceDigest } from './statement.ts';
import type { StepStatement } from './types.ts';

/** What challenges and noise of a window derive from. */
export interface ChallengedWindow {
  readonly window: number;
  /** 32 bytes each. */
  readonly windowSeed: Uint8Array;
  readonly challengeSeed: Uint8Array;
}

/** The rollouts that a challenge reads: `slots` slots of genesis.stepsPerSlot steps, slot-major. */
export interface ChallengedRollouts {
  readonly slots: number;
  readonly observations: Int8Array;
  readonly actions: Uint16Array;
}

/** What a miner's challenged steps open to and state: the miner posts it, the verifier has it from its replay. */
export interface Opening {
  readonly challenges: readonly Challenge[];
  readonly steps: readonly StepStatement[];
  /** `[challenges, observation]` int8 bytes. */
  readonly observations: Hex;
  /** One a proof; the proof's steps are the challenges [part · B, (part + 1) · B). */
  readonly parts: readonly {
    readonly context: bigint;
    readonly steps: readonly StepStatement[];
    readonly traceDigest: bigint;
  }[];
}

/** Opens a miner's challenged steps under the window's policy (docs/PROTOCOL.md, Opening). */
export function openChallenges(
  genesis: Genesis,
  hash: Uint8Array,
  policy: Policy,
  window: ChallengedWindow,
  miner: Hex,
  rollouts: ChallengedRollouts,
): Opening {
  const address = fromHex(miner);
  const { stepsPerSlot, stepsPerProof, architecture } = genesis;
  const challenges = drawChallenges({
    genesisHash: hash,
    seed: window.challengeSeed,
    address,
    slots: rollouts.slots,
    stepsPerSlot,
    count: genesis.challengesPerMiner,
  });
  const seeds = minerSeeds(hash, window.windowSeed, address);
  const width = architecture.observation;
  const steps = challenges.map(({ slot, step }): StepStatement => {
    const at = slot * stepsPerSlot + step;
    const gumbel = new Int32Array(architecture.actions);
    noise(seeds.sample(slot), step, architecture.actions, gumbel);
    return {
      observation: rollouts.observations.slice(at * width, (at + 1) * width),
      noise: gumbel,
      action: rollouts.actions[at]!,
    };
  });
  const root = policyRoot(policy);
  const parts = Array.from({ length: steps.length / stepsPerProof }, (_, part) => {
    const [from, to] = [part * stepsPerProof, (part + 1) * stepsPerProof];
    const covered = steps.slice(from, to);
    const context = contextElement({
      genesisHash: hash,
      policyRoot: root,
      window: window.window,
      miner: address,
      part,
      challenges: challenges.slice(from, to),
      observations: covered.map(({ observation }) => observation),
    });
    const digest = traceDigest(
      architecture,
      covered.map(({ observation }) => trace(policy, observation)),
    );
    return { context, steps: covered, traceDigest: digest };
  });
  const observations = concat(
    ...steps.map(({ observation: x }) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength)),
  );
  return { challenges, steps, observations: toHex(observations), parts };
}

/** A trace digest on the wire: 32 bytes, big-endian, canonical. */
export function digestHex(digest: bigint): Hex {
  return toHex(bigToBytes(digest, 32));
}
