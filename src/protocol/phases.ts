import { compareBytes, concat, fromHex, type Hex } from './bytes.ts';
import { networkHash } from './hash.ts';
import { merkleRoot } from './merkle.ts';

/** The phases of a window in which miners post, in order. Each is closed by one entry of the verifier. */
export const PHASES = ['enrol', 'commit', 'opening', 'prove'] as const;
export type Phase = (typeof PHASES)[number];

/** The entry that closes each phase. */
export const CLOSERS = { enrol: 'open', commit: 'challenge', opening: 'fold', prove: 'verdict' } as const;
export type CloserType = (typeof CLOSERS)[Phase];

/**
 * The root of a closed phase: RFC 6962 over tag ‖ genesisHash ‖ address ‖ message digest, sorted by address, so that it
 * does not depend on arrival. 32 bytes.
 */
export function phaseRoot(
  genesisHash: Uint8Array,
  messages: Iterable<{ readonly miner: Hex; readonly digest: Uint8Array }>,
): Uint8Array {
  const leaves = [...messages]
    .map(({ miner, digest }) => ({ address: fromHex(miner), digest }))
    .sort((a, b) => compareBytes(a.address, b.address))
    .map(({ address, digest }) => networkHash('phase/leaf', genesisHash, concat(address, digest)));
  return merkleRoot(leaves);
}
