import { packActions } from './actions.ts';
import { u32, u64 } from './bytes.ts';
import { networkHash } from './hash.ts';
import { merkleRoot } from './merkle.ts';

/** What a commitment is taken over: `slots` slots of `steps` steps, slot-major. */
export interface CommittedRollouts {
  readonly slots: number;
  readonly steps: number;
  /** `[slots · steps, observation]` int8. */
  readonly observations: Int8Array;
  /** `[slots · steps]`. */
  readonly actions: Uint16Array;
}

/**
 * The digest of each slot's rollout: the leaves of commitRoot, 32 bytes each, by slot.
 * @param range of the slots, all unless given
 */
export function rolloutDigests(
  context: { genesisHash: Uint8Array; window: number; address: Uint8Array; actions: number },
  rollouts: CommittedRollouts,
  range: { readonly first: number; readonly slots: number } = { first: 0, slots: rollouts.slots },
): Uint8Array[] {
  const { slots, steps, observations, actions } = rollouts;
  const width = observations.length / (slots * steps);
  const bytes = new Uint8Array(observations.buffer, observations.byteOffset, observations.byteLength);
  const digests: Uint8Array[] = [];
  for (let slot = range.first; slot < range.first + range.slots; slot++) {
    const packed = packActions(actions.subarray(slot * steps, (slot + 1) * steps), context.actions);
    digests.push(
      networkHash(
        'rollout',
        context.genesisHash,
        u64(context.window),
        context.address,
        u32(slot),
        packed,
        bytes.subarray(slot * steps * width, (slot + 1) * steps * width),
      ),
    );
  }
  return digests;
}

/** commitRoot: the RFC 6962 root of the rollout digests. 32 bytes. */
export function commitRoot(digests: readonly Uint8Array[]): Uint8Array {
  return merkleRoot(digests);
}
