import type { Backend } from '../backends/backend.ts';
import type { Ledger } from '../ledger/log.ts';
import type { Genesis } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { policyRoot } from '../policy/snapshot.ts';
import { fromHex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { type AnchorDebt, applyPolicyPatch, decodePolicyAnchor } from '../pulse/index.ts';
import type { BlobStore } from '../storage/blobs.ts';
import { createTrainer, encodeTrainerState, type Trainer, trainerStateRoot } from '../training/index.ts';
import { anchorDebt } from './anchor-debt.ts';
import { Judge, KEPT_POLICIES } from './judge.ts';
import { NetworkState, type PolicyVersion } from './state.ts';
import { windowInput } from './window-input.ts';

/** What a judge continues from. All of it can be sent to a worker. */
export interface JudgeStart {
  readonly version: number;
  readonly policies: ReadonlyMap<number, Policy>;
  readonly trainerState: Uint8Array;
  readonly debt: AnchorDebt;
}

/**
 * The judge's start at genesis, recomputed from its seed.
 * @throws GrailError GENESIS_INVALID when genesis names other roots than its seed gives
 */
export function genesisStart(genesis: Genesis, trainer: Trainer): JudgeStart {
  const { policy, state } = trainer.initialise();
  const roots = { policyRoot: toHex(policyRoot(policy)), trainerStateRoot: toHex(trainerStateRoot(state)) };
  if (
    roots.policyRoot !== genesis.initialPolicyRoot ||
    roots.trainerStateRoot !== genesis.initialTrainerStateRoot
  ) {
    throw new GrailError('GENESIS_INVALID', 'initialSeed does not give the initial roots of genesis', {
      expected: { policyRoot: genesis.initialPolicyRoot, trainerStateRoot: genesis.initialTrainerStateRoot },
      got: roots,
    });
  }
  return {
    version: 0,
    policies: new Map([[0, policy]]),
    trainerState: encodeTrainerState(state),
    debt: anchorDebt(new NetworkState(genesis).versions),
  };
}

/**
 * Published policies of a range of versions, rebuilt from the store: the newest anchor before them, then patches.
 * @param range versions from `first` to `last`, both included; the ones that windows in flight may use unless given
 * @throws GrailError BLOB_MISSING, BLOB_CORRUPT, PATCH_FORMAT, PATCH_BASE_MISMATCH or PATCH_TARGET_MISMATCH
 */
export async function storedPolicies(
  versions: readonly PolicyVersion[],
  blobs: Pick<BlobStore, 'get'>,
  genesis: Genesis,
  range: { readonly first: number; readonly last: number } = {
    first: Math.max(0, versions.length - KEPT_POLICIES),
    last: versions.length - 1,
  },
): Promise<Map<number, Policy>> {
  const { first, last } = range;
  let at = first;
  while (versions[at]!.anchor === null) at--;
  const root = (version: number) => fromHex(versions[version]!.policyRoot);
  let policy = decodePolicyAnchor(
    await blobs.get(versions[at]!.anchor!.hash),
    root(at),
    genesis.architecture,
  );
  const policies = new Map<number, Policy>();
  for (let version = at; ; version++) {
    if (version >= first) policies.set(version, policy);
    if (version === last) return policies;
    const { patch, policyRoot: target } = versions[version + 1]!;
    policy = applyPolicyPatch(policy, root(version), await blobs.get(patch!.hash), fromHex(target));
  }
}

/**
 * Where a ledger is replayed from its first entry to train again what no cache holds.
 * @param until the window whose verdict ends it; without it, all are replayed
 */
export async function replayedStart(
  genesis: Genesis,
  ledger: Ledger,
  backend: Backend,
  onWindow: (window: number) => void = () => {},
  until: number | null = null,
): Promise<JudgeStart> {
  const trainer = await createTrainer(genesis);
  const judge = new Judge(genesis, { trainer, backend }, genesisStart(genesis, trainer));
  const state = new NetworkState(genesis);
  for (const { entry } of ledger.range()) {
    if (entry.body.type === 'verdict') {
      if (entry.window === until) break;
      judge.process(windowInput(state.window(entry.window)!));
      onWindow(entry.window);
    }
    state.apply(entry, { signatureChecked: true });
  }
  const newest = state.versions.at(-1)!;
  const policies = new Map<number, Policy>();
  for (let version = Math.max(0, newest.version - KEPT_POLICIES + 1); version <= newest.version; version++) {
    policies.set(version, judge.policy(version));
  }
  judge.dispose();
  trainer.dispose();
  return { version: newest.version, policies, trainerState: judge.trainerState, debt: judge.debt };
}
