import { referenceBackend } from '../src/backends/index.ts';
import { type Actor, environmentById, type Rollouts, runSlots } from '../src/environments/index.ts';
import { PROOF_BYTES } from '../src/params/constants.ts';
import { packSlotSeeds, sampleBatch, trace } from '../src/policy/index.ts';
import { seedBlock, seedWords } from '../src/policy/philox.ts';
import { traceDigest } from '../src/proofs/statement.ts';
import { packedBytes } from '../src/protocol/actions.ts';
import { concat, fromHex, type Hex, toHex, u64, utf8 } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256, tag } from '../src/protocol/hash.ts';
import { Identity } from '../src/protocol/identity.ts';
import { type MessageOf, signMessage } from '../src/protocol/messages.ts';
import { SEED_BYTES } from '../src/protocol/seeds.ts';
import {
  type Conduct,
  honest,
  rolloutInput,
  signedCommit,
  signedOpening,
  signedProof,
  type WindowContext,
} from './conduct.ts';
import { type RolloutInput, seedsOf } from './engine/index.ts';
import { selectSlots } from './select.ts';

/** Ways to cheat, each with the code that catches it. For insecure-dev networks only. */
export const CHEATS = {
  'random-policy': 'POLICY_MISMATCH',
  'stale-policy': 'POLICY_STALE',
  'best-of-n': 'SEED_MISMATCH',
  'flip-one-action': 'ACTION_MISMATCH',
  'short-commit': 'COMMIT_SHAPE',
  'two-commits': 'EQUIVOCATION',
  unenrolled: 'NOT_ENROLLED',
  'forge-opening': 'OPENING_MISMATCH',
  'replay-proof': 'PROOF_REPLAYED',
  'withhold-proof': 'PROOF_MISSING',
  'late-commit': 'PHASE_CLOSED',
  'bad-signature': 'BAD_SIGNATURE',
  'minus-128': 'INT8_RANGE',
} as const;
export type CheatKind = keyof typeof CHEATS;
export const CHEAT_KINDS = Object.keys(CHEATS) as [CheatKind, ...CheatKind[]];

/** The conduct of a cheat. */
export function cheat(kind: CheatKind): Conduct {
  return { ...honest, ...HOOKS[kind], name: kind };
}

const HOOKS: Record<CheatKind, Partial<Conduct>> = {
  'random-policy': {
    async rollouts(context) {
      context.tell('taking random actions instead of running the policy');
      const input = await rolloutInput(context);
      const words = cheatWords(context);
      const block = new Uint32Array(4);
      return rolloutsOf(input, (step, _observations, actions) => {
        for (let slot = 0; slot < input.slots; slot++) {
          seedBlock(words, 0, step, slot, block);
          actions[slot] = block[0]! % context.genesis.architecture.actions;
        }
      });
    },
    proofs: proveOrFill,
  },

  'stale-policy': {
    async rollouts(context) {
      const right = await honest.rollouts(context);
      for (let version = context.window.open!.policyVersion - 1; version >= 0; version--) {
        const stale = await context.play(await rolloutInput(context, version));
        if (sameActions(stale, right)) continue;
        context.tell(`running policy ${version} and claiming policy ${context.window.open!.policyVersion}`);
        return stale;
      }
      return right;
    },
    proofs: proveOrFill,
  },

  'best-of-n': {
    async rollouts(context) {
      const input = await rolloutInput(context);
      const slots = Math.min(2 * input.slots, context.genesis.maxSlots);
      const all = await context.play({ ...input, slots });
      const chosen = bestSlots(all, input.slots);
      context.tell(`playing ${slots} slots and committing to the best ${input.slots}: ${chosen.join(', ')}`);
      return selectSlots(all, chosen);
    },
    proofs: proveOrFill,
  },

  'flip-one-action': {
    async rollouts(context) {
      const input = await rolloutInput(context);
      const [slotWord, stepWord] = cheatWords(context);
      const slot = slotWord! % input.slots;
      const step = stepWord! % context.genesis.stepsPerSlot;
      context.tell(`flipping the action of slot ${slot}, step ${step}`);
      const act = honestActor(input);
      return rolloutsOf(input, (at, observations, actions) => {
        act(at, observations, actions);
        if (at === step) actions[slot] = (actions[slot]! + 1) % context.genesis.architecture.actions;
      });
    },
    proofs: proveOrFill,
  },

  'short-commit': {
    async commits(context, rollouts) {
      context.tell('leaving the last byte of the actions out');
      const message = signedCommit(context, await rollouts());
      return [resigned(context, { ...message, actions: message.actions.slice(0, -2) as Hex })];
    },
  },

  'two-commits': {
    async commits(context) {
      context.tell('signing two different commitments');
      return [madeUpCommit(context, 1), madeUpCommit(context, 2)];
    },
  },

  unenrolled: {
    enrols: false,
    async commits(context) {
      context.tell('committing without having enrolled');
      return [madeUpCommit(context, 1)];
    },
  },

  'forge-opening': {
    async openings(context, opening) {
      context.tell('opening to accumulators of which one is off by one');
      const input = await rolloutInput(context);
      const digests = opening.parts.map(({ steps }) => {
        const traces = steps.map(({ observation }) => trace(input.policy, observation));
        const last = traces.at(-1)!.at(-1)!;
        last[0]! += last[0]! > 0 ? -1 : 1;
        return traceDigest(context.genesis.architecture, traces);
      });
      return [signedOpening(context, digests, opening.observations)];
    },
  },

  'replay-proof': {
    async proofs(context, part, prove) {
      const earlier = [...context.view.windows.values()]
        .filter(({ window }) => window < context.window.window)
        .flatMap(({ proofs }) => proofs.filter((proof) => proof.part === part))
        .at(-1);
      if (earlier === undefined) return honest.proofs(context, part, prove);
      context.tell(`posting the proof of window ${earlier.window} again`);
      return [signedProof(context, part, fromHex(earlier.proof))];
    },
  },

  'withhold-proof': {
    async proofs(context) {
      context.tell('keeping the proof back');
      return [];
    },
  },

  'late-commit': {
    commitsIn: 'opening',
    async commits(context, rollouts) {
      context.tell('committing after the challenge is known');
      return [signedCommit(context, await rollouts())];
    },
  },

  'bad-signature': {
    async commits(context, rollouts) {
      context.tell('signing with a key that is not its own');
      const message = signedCommit(context, await rollouts());
      const other = new Identity(sha256(tag('cheat/bad-signature')));
      return [{ ...message, signature: signMessage(context.domain, other, message).signature }];
    },
  },

  'minus-128': {
    async openings(context, opening) {
      context.tell('opening an observation that holds −128');
      const observations = fromHex(opening.observations);
      observations[0] = 0x80;
      const digests = opening.parts.map((part) => part.traceDigest);
      return [signedOpening(context, digests, toHex(observations))];
    },
  },
};

/** Four words that depend on cheat and window alone: a cheat that was killed cheats in the same way again. */
function cheatWords(context: WindowContext): Uint32Array {
  const seed = sha256(tag('cheat'), concat(u64(context.window.window), utf8(context.identity.address)));
  return seedWords(seed.slice(0, SEED_BYTES));
}

/**
 * Proves the challenged steps where they happen to be right. Where no proof exists, posts bytes that prove nothing: the
 * commitment is rejected before anybody looks at them, and without them everybody would wait for the phase's timer.
 */
async function proveOrFill(
  context: WindowContext,
  part: number,
  prove: () => Promise<Uint8Array>,
): Promise<MessageOf<'proof'>[]> {
  try {
    return [signedProof(context, part, await prove())];
  } catch (error) {
    if (!(error instanceof GrailError) || error.code !== 'WITNESS_FAILED') throw error;
    context.tell('posting 256 bytes that prove nothing, since no proof exists');
    return [signedProof(context, part, new Uint8Array(PROOF_BYTES))];
  }
}

/** A commitment of the right shape to nothing, made at once. */
function madeUpCommit(context: WindowContext, filler: number): MessageOf<'commit'> {
  const { genesis, slots } = context;
  const bytes = packedBytes(slots * genesis.stepsPerSlot, genesis.architecture.actions);
  return signMessage(context.domain, context.identity, {
    type: 'commit',
    miner: context.identity.address,
    window: context.window.window,
    policyRoot: context.window.open!.policyRoot,
    commitRoot: toHex(new Uint8Array(32).fill(filler)),
    actions: toHex(new Uint8Array(bytes)),
  });
}

function resigned(context: WindowContext, message: MessageOf<'commit'>): MessageOf<'commit'> {
  const { signature: _, ...unsigned } = message;
  return signMessage(context.domain, context.identity, unsigned);
}

/** Steps the window's slots with any actor, in this thread. */
function rolloutsOf(input: RolloutInput, actor: Actor): Rollouts {
  const { environment, groupSize, stepsPerSlot } = input.genesis;
  const seeds = seedsOf(input);
  return runSlots(environmentById(environment), seeds, groupSize, input.slots, stepsPerSlot, actor);
}

/** Acts as the protocol prescribes. */
function honestActor(input: RolloutInput): Actor {
  const seeds = seedsOf(input);
  const words = packSlotSeeds(seeds, input.slots);
  const policy = referenceBackend().load(input.policy);
  const count = input.policy.architecture.actions;
  return (step, observations, actions) =>
    sampleBatch(words, step, policy.logits(observations, input.slots), count, actions);
}

function sameActions(a: Rollouts, b: Rollouts): boolean {
  return a.actions.every((action, i) => action === b.actions[i]);
}

/** For each of the first `slots` slots, the better of it and its spare; at least one is a spare where there is any. */
function bestSlots(all: Rollouts, slots: number): number[] {
  const score = (slot: number) => {
    const episodes = all.episodes.filter((episode) => episode.slot === slot);
    const finished = episodes.reduce((sum, episode) => sum + episode.return, 0);
    return episodes.length === 0 ? Number.POSITIVE_INFINITY : finished / episodes.length;
  };
  const chosen = Array.from({ length: slots }, (_, slot) => {
    const spare = slot + slots;
    return spare < all.slots && score(spare) > score(slot) ? spare : slot;
  });
  const unchanged = chosen.every((slot, i) => slot === i);
  // All were equally good, or it enrolled every slot there is: then another slot's rollout twice.
  if (unchanged) chosen[0] = all.slots > slots ? slots : slots - 1;
  return chosen;
}
