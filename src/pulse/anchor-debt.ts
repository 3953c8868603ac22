/** What has been sent since the newest anchor: it decides when the next one pays. */
export interface AnchorDebt {
  /** Bytes of the newest anchor; of a network's first, those of the whole policy. */
  readonly anchorBytes: number;
  /** Bytes of the patches since. */
  readonly patchBytes: number;
  readonly versions: number;
}

/**
 * Whether an anchor comes with a version whose patch has so many bytes: a newcomer never pays more than about two anchors,
 * nor fetches more than `every` patches.
 */
export function anchorPays(debt: AnchorDebt, patchBytes: number, every: number): boolean {
  return debt.patchBytes + patchBytes >= debt.anchorBytes || debt.versions + 1 >= every;
}

/** The debt after one more version. @param anchorBytes of its anchor, null without one */
export function nextDebt(debt: AnchorDebt, patchBytes: number, anchorBytes: number | null): AnchorDebt {
  if (anchorBytes !== null) return { anchorBytes, patchBytes: 0, versions: 0 };
  return { ...debt, patchBytes: debt.patchBytes + patchBytes, versions: debt.versions + 1 };
}
