import type { PolicyVersion } from './state.ts';

/** What has been sent since the newest anchor: it decides when the next one pays. */
export interface AnchorDebt {
  /** Bytes of the newest anchor; of genesis's, those of the whole policy. */
  readonly anchorBytes: number;
  /** Bytes of the patches since. */
  readonly patchBytes: number;
  readonly versions: number;
}

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

/**
 * Whether a version whose patch has so many bytes gets an anchor: a newcomer never pays more than about two anchors, nor
 * fetches more than `every` patches.
 */
export function anchorPays(debt: AnchorDebt, patchBytes: number, every: number): boolean {
  return debt.patchBytes + patchBytes >= debt.anchorBytes || debt.versions + 1 >= every;
}

/** The debt after one more version. @param anchorBytes of its anchor, null without one */
export function nextDebt(debt: AnchorDebt, patchBytes: number, anchorBytes: number | null): AnchorDebt {
  if (anchorBytes !== null) return { anchorBytes, patchBytes: 0, versions: 0 };
  return { ...debt, patchBytes: debt.patchBytes + patchBytes, versions: debt.versions + 1 };
}
