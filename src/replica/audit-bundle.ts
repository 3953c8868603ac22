import type { Backend } from '../backends/backend.ts';
import { GrailError } from '../protocol/errors.ts';
import type { Trainer } from '../training/index.ts';
import { type AuditReport, reportOf } from './audit.ts';
import type { BundledWindow } from './bundled-window.ts';
import { Judge } from './judge.ts';
import { Recheck } from './recheck.ts';
import type { CheckProofs } from './verdict.ts';

export interface BundleAuditParts {
  readonly bundled: BundledWindow;
  readonly trainer: Trainer;
  readonly backend: Backend;
  readonly checkProofs: CheckProofs;
  readonly signal?: AbortSignal;
}

/**
 * Judges a bundle's window again from the policies and trainer state that the ledger names: every signature, beacon, seed,
 * step, action, opening, proof, credit, the update and its patch.
 * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH or PATCH_TARGET_MISMATCH when the ledger names blobs that are none
 */
export async function auditBundle(parts: BundleAuditParts): Promise<AuditReport> {
  const { bundled, trainer, backend, signal } = parts;
  const { genesis, state, bundle } = bundled;
  const judge = new Judge(genesis, { trainer, backend }, await bundled.judgeStart());
  const recheck = new Recheck(state, judge, parts.checkProofs);
  let signatures = 1; // the head's
  let divergence: AuditReport['divergence'] = null;
  try {
    for (const { index, entry } of bundled.entries()) {
      signal?.throwIfAborted();
      if (entry.window === bundle.window) await recheck.check(index, entry);
      bundled.apply(index, entry);
      if ('miner' in entry.body && entry.window === bundle.window) signatures++;
    }
    bundled.requireVerdict();
  } catch (error) {
    if (!(error instanceof GrailError) || signal?.aborted) throw error;
    divergence = error.toJSON();
  } finally {
    judge.dispose();
  }
  return reportOf({
    state,
    recheck,
    entries: bundled.size,
    windows: state.nextVerdict - bundle.window,
    signatures,
    blobs: bundle.blobs.length,
    divergence,
    unseen: [
      `whether policy ${bundle.window} and the trainer’s state at it were trained rightly: they are those that the ledger names`,
      'whether the credits before this window were earned: they are those whose root the ledger names',
      'whether entries that are not in the bundle follow the rules: audit the whole network for that',
    ],
  });
}
