import type { Conduct, WindowContext } from '../../rollouts/conduct.ts';
import { inlineEngine } from '../../rollouts/engine/index.ts';
import { PolicyStore } from '../../rollouts/policies.ts';
import { NetworkView, type WindowView } from '../../rollouts/view.ts';
import type { Backend } from '../../src/backends/index.ts';
import { referenceBackend } from '../../src/backends/index.ts';
import { environmentById } from '../../src/environments/index.ts';
import { type Genesis, genesisHash } from '../../src/params/genesis.ts';
import { type Policy, policyRoot } from '../../src/policy/index.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import type { MessageOf } from '../../src/protocol/messages.ts';
import { encodePolicyPatch, type PublishedVersion } from '../../src/pulse/index.ts';
import { type CommitCheck, checkCommit } from '../../src/replica/replay.ts';
import { initialise } from '../../src/training/initialise.ts';
import { KEYS, tinyGenesis } from '../helpers/network.ts';

/** A tiny network whose policy 0 is the one that its seed gives, so that miners can run it. */
export function mineableGenesis(changes: Partial<Genesis> = {}): Genesis {
  const genesis = tinyGenesis(changes);
  return { ...genesis, initialPolicyRoot: toHex(policyRoot(initialise(genesis).policy)) };
}

/** A policy that differs from another one in its last layer: some of its actions do too. */
export function nextPolicy(policy: Policy): Policy {
  const layers = policy.layers.map(({ weight, bias }, index) =>
    index < policy.layers.length - 1
      ? { weight, bias }
      : { weight: weight.map((value) => -value), bias: bias.map((_, action) => (action === 0 ? 900 : -900)) },
  );
  return { architecture: policy.architecture, layers };
}

/** One miner in one window of a network that has published one policy after its first. */
export interface Mining {
  readonly genesis: Genesis;
  readonly context: WindowContext;
  readonly told: string[];
  /** Policies 0 and 1; the window uses 1. */
  readonly policies: readonly [Policy, Policy];
  /** What a verifier's replay says of a commitment. */
  check(commit: MessageOf<'commit'>): CommitCheck;
}

/** Sets up window 2 of a network with 64 steps a slot, for KEYS.miner. */
export function mining(options: { backend?: Backend; slots?: number; groupSize?: number } = {}): Mining {
  // Groups are for algorithms to come: a genesis with PPO has groups of one.
  const genesis = { ...mineableGenesis({ stepsPerSlot: 64 }), groupSize: options.groupSize ?? 1 };
  const hash = genesisHash(genesis);
  const slots = options.slots ?? 3;
  const first = initialise(genesis).policy;
  const second = nextPolicy(first);
  const roots = [first, second].map((policy) => toHex(policyRoot(policy))) as [Hex, Hex];
  const patch = encodePolicyPatch({
    base: first,
    target: second,
    baseRoot: policyRoot(first),
    targetRoot: policyRoot(second),
  });
  const blob = { hash: toHex(sha256(patch)), bytes: patch.length };
  const view = new NetworkView(genesis, KEYS.miner.address);
  const published: PublishedVersion = {
    version: 1,
    policyRoot: roots[1],
    patch: { ...blob, baseRoot: roots[0] },
  };
  view.versions.push(published);
  const window: WindowView = {
    window: 2,
    phase: 'commit',
    open: { policyVersion: 1, policyRoot: roots[1], seed: sha256(new Uint8Array([2])) },
    challenge: { seed: sha256(new Uint8Array([3])) },
    fold: null,
    result: null,
    enrols: [],
    commits: [],
    openings: [],
    proofs: [],
  };
  view.windows.set(2, window);
  const told: string[] = [];
  const engine = inlineEngine(options.backend ?? referenceBackend());
  const fetch = async (wanted: Hex) => {
    if (wanted !== blob.hash) throw new Error(`no blob ${wanted}`);
    return patch;
  };
  const context: WindowContext = {
    genesis,
    genesisHash: hash,
    domain: { chainId: genesis.chainId, genesisHash: hash },
    identity: KEYS.miner,
    view,
    window,
    slots,
    policies: new PolicyStore(genesis, fetch),
    play: (input) => engine.play(input),
    tell: (what) => told.push(what),
  };
  const replay = {
    genesis,
    genesisHash: hash,
    environment: environmentById(genesis.environment),
    window: 2,
    windowSeed: window.open!.seed,
    loaded: referenceBackend().load(second),
    earlier: [first],
  };
  const check = ({ miner, actions, commitRoot }: MessageOf<'commit'>) =>
    checkCommit(replay, { miner, slots, actions, commitRoot });
  return { genesis, context, told, policies: [first, second], check };
}

/** The commits that a conduct posts. */
export function commitsOf({ context }: Mining, conduct: Conduct): Promise<MessageOf<'commit'>[]> {
  return conduct.commits(context, () => conduct.rollouts(context));
}
