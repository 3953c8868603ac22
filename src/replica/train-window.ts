import { type Genesis, genesisHash } from '../params/genesis.ts';
import type { Policy } from '../policy/architecture.ts';
import { policyRoot, tensorBytes } from '../policy/snapshot.ts';
import { toHex, u64 } from '../protocol/bytes.ts';
import { networkHash, sha256 } from '../protocol/hash.ts';
import {
  type AnchorDebt,
  anchorPays,
  encodePolicyAnchor,
  encodePolicyPatch,
  nextDebt,
} from '../pulse/index.ts';
import {
  decodeTrainerState,
  encodeTrainerState,
  type Trainer,
  trainerStateRootOfBytes,
} from '../training/index.ts';
import type { PolicyUpdate } from './bodies.ts';
import type { AcceptedRollouts } from './check.ts';

/** What the next policy is a pure function of, besides genesis. */
export interface TrainingInput {
  /** The window; the base policy has its number as version. */
  readonly window: number;
  /** 32 bytes. */
  readonly commitPhaseRoot: Uint8Array;
  readonly base: Policy;
  /** The policy that made the rollouts, and its version. */
  readonly behaviour: Policy;
  readonly policyVersion: number;
  /** Encoded, of version `window`. */
  readonly trainerState: Uint8Array;
  readonly debt: AnchorDebt;
  /** In order of address. */
  readonly accepted: readonly AcceptedRollouts[];
}

export interface TrainedWindow {
  readonly update: PolicyUpdate;
  /** Version window + 1. */
  readonly policy: Policy;
  readonly patch: Uint8Array;
  readonly anchor: Uint8Array | null;
  readonly trainerState: Uint8Array;
  readonly debt: AnchorDebt;
}

/** Trains the next policy from a window's accepted rollouts, with its patch and, when it pays, its anchor. */
export function trainWindow(genesis: Genesis, trainer: Trainer, input: TrainingInput): TrainedWindow {
  const { window, base, behaviour, policyVersion, accepted, debt } = input;
  const trained = trainer.update({
    state: decodeTrainerState(genesis.architecture, genesis.algorithm, input.trainerState),
    policy: base,
    rollouts: accepted.map(({ rollouts }) => rollouts),
    behaviour,
    staleness: window - policyVersion,
    logits: accepted.map(({ logits }) => logits),
    shuffleSeed: networkHash('shuffle', genesisHash(genesis), u64(window), input.commitPhaseRoot),
  });
  const version = window + 1;
  const baseRoot = policyRoot(base);
  const targetRoot = policyRoot(trained.policy);
  const patch = encodePolicyPatch({ base, target: trained.policy, baseRoot, targetRoot });
  const anchor = anchorPays(debt, patch.length, genesis.anchorEvery)
    ? encodePolicyAnchor(trained.policy)
    : null;
  const trainerState = encodeTrainerState(trained.state);
  return {
    update: {
      version,
      policyRoot: toHex(targetRoot),
      trainerStateRoot: toHex(trainerStateRootOfBytes(trainerState)),
      patch: { hash: toHex(sha256(patch)), bytes: patch.length },
      anchor: anchor === null ? null : { hash: toHex(sha256(anchor)), bytes: anchor.length },
      fullBytes: tensorBytes(trained.policy).length,
      metrics: { ...trained.metrics },
    },
    policy: trained.policy,
    patch,
    anchor,
    trainerState,
    debt: nextDebt(debt, patch.length, anchor?.length ?? null),
  };
}
