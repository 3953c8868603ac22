import type { AnchorDebt } from '../pulse/index.ts';
import type { PolicyVersion } from './state.ts';

/** The debt after published versions; the first has an anchor. */
export function anchorDebt(versions: readonly PolicyVersion[]): AnchorDebt {
  const at = versions.findLastIndex(({ anchor }) => anchor !== null);
  const since = versions.slice(at + 1);
  return {
    anchorBytes: versions[at]!.anchor!.bytes,
    patchBytes: since.reduce((sum, { patch }) => sum + patch!.bytes, 0),
    versions: since.length,
  };
}
