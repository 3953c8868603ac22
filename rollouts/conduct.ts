import type { Rollouts } from '../src/environments/index.ts';
import type { Genesis } from '../src/params/genesis.ts';
import { digestHex, type Opening } from '../src/proofs/opening.ts';
import { toHex } from '../src/protocol/bytes.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { type MessageOf, type SigningDomain, signMessage } from '../src/protocol/messages.ts';
import { commitMessage } from './commit.ts';
import type { RolloutInput } from './engine/index.ts';
import type { PolicyStore } from './policies.ts';
import type { NetworkView, WindowView } from './view.ts';

/** What a miner works with in one window. */
export interface WindowContext {
  readonly genesis: Genesis;
  /** 32 bytes. */
  readonly genesisHash: Uint8Array;
  readonly domain: SigningDomain;
  readonly identity: Identity;
  readonly view: NetworkView;
  readonly window: WindowView;
  /** Slots that it enrolled, or would have. */
  readonly slots: number;
  readonly policies: PolicyStore;
  /** Plays slots with a policy, on whatever this miner has. */
  readonly play: (input: RolloutInput) => Promise<Rollouts>;
  /** Says what a cheat is doing. */
  readonly tell: (what: string) => void;
}

/**
 * How a miner conducts itself: what it makes and posts in each phase. The honest conduct is the protocol; the others
 * are for development networks, to see that each is caught (cheats.ts). Everything it makes follows from the context
 * alone, so that a miner that was killed makes the same again.
 */
export interface Conduct {
  /** `honest`, or the kind of cheat. */
  readonly name: string;
  /** Whether it enrols before it commits. */
  readonly enrols: boolean;
  /** The phase in which it commits. */
  readonly commitsIn: 'commit' | 'opening';
  rollouts(context: WindowContext): Promise<Rollouts>;
  /** Commits to post, all at once; `rollouts` makes the window's, once. */
  commits(context: WindowContext, rollouts: () => Promise<Rollouts>): Promise<MessageOf<'commit'>[]>;
  /** Openings to post, given the right one. */
  openings(context: WindowContext, opening: Opening): Promise<MessageOf<'opening'>[]>;
  /** Proofs to post for a part; `prove` makes the right one, where it exists. */
  proofs(
    context: WindowContext,
    part: number,
    prove: () => Promise<Uint8Array>,
  ): Promise<MessageOf<'proof'>[]>;
}

/** The protocol. */
export const honest: Conduct = {
  name: 'honest',
  enrols: true,
  commitsIn: 'commit',
  async rollouts(context) {
    return context.play(await rolloutInput(context));
  },
  async commits(context, rollouts) {
    return [signedCommit(context, await rollouts())];
  },
  async openings(context, opening) {
    const digests = opening.parts.map(({ traceDigest }) => traceDigest);
    return [signedOpening(context, digests, opening.observations)];
  },
  async proofs(context, part, prove) {
    return [signedProof(context, part, await prove())];
  },
};

/** What the window's rollouts follow from, with the policy of another version where a cheat wants it. */
export async function rolloutInput(
  context: WindowContext,
  version = context.window.open!.policyVersion,
): Promise<RolloutInput> {
  const { genesis, genesisHash, identity, view, slots, policies } = context;
  const { policy } = await policies.reach(view.versions, version);
  return {
    genesis,
    genesisHash,
    window: context.window.window,
    windowSeed: context.window.open!.seed,
    miner: identity.address,
    slots,
    policy,
  };
}

/** A commitment to these rollouts, under the policy that the window uses. */
export function signedCommit(context: WindowContext, rollouts: Rollouts): MessageOf<'commit'> {
  const { genesis, genesisHash, domain, identity } = context;
  const { window, open } = context.window;
  const message = commitMessage(
    { genesis, genesisHash, window, miner: identity.address, policyRoot: open!.policyRoot },
    rollouts,
  );
  return signMessage(domain, identity, message);
}

export function signedOpening(
  context: WindowContext,
  digests: readonly bigint[],
  observations: MessageOf<'opening'>['observations'],
): MessageOf<'opening'> {
  return signMessage(context.domain, context.identity, {
    type: 'opening',
    miner: context.identity.address,
    window: context.window.window,
    challengeSeed: toHex(context.window.challenge!.seed),
    traceDigests: digests.map(digestHex),
    observations,
  });
}

export function signedProof(context: WindowContext, part: number, proof: Uint8Array): MessageOf<'proof'> {
  return signMessage(context.domain, context.identity, {
    type: 'proof',
    miner: context.identity.address,
    window: context.window.window,
    part,
    proof: toHex(proof),
  });
}
