import type { ChainStep } from './compare.ts';
import { Follower } from './follower.ts';

/** Steps that a late receiver missed. */
const MISSED = [1, 2, 4, 8, 16, 32];

export interface Merged {
  readonly missed: number;
  /** Bytes of the patches that it missed, with their history, and of the one patch that does the same without. */
  readonly patchesBytes: number;
  readonly mergedBytes: number;
  readonly mergedShare: number;
  readonly changed: number;
}

/** What catching up costs at the end of a chain: patch by patch, or by one merged patch. */
export function merged(chain: readonly ChainStep[]): Merged[] {
  const [first] = chain;
  const follower = new Follower(first!.tensors, first!.state, 'history');
  const sizes = chain.slice(1).map(({ state }) => follower.advance(state).bytes);
  const last = chain.at(-1)!;
  return MISSED.map((missed) => {
    const from = chain.at(-1 - missed)!;
    const { bytes, changed } = new Follower(from.tensors, from.state, 'alone').advance(last.state);
    const patchesBytes = sizes.slice(-missed).reduce((sum, size) => sum + size, 0);
    return { missed, patchesBytes, mergedBytes: bytes, mergedShare: bytes / patchesBytes, changed };
  });
}
