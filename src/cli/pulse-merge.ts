import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryBeside } from '../storage/staged-file.ts';
import { apply } from './pulse-apply.ts';
import { type DiffResult, diff } from './pulse-diff.ts';
import { closing, type Work } from './pulse-work.ts';

export interface MergeTask {
  readonly base: string;
  /** Oldest first. */
  readonly patches: readonly string[];
  readonly out: string;
  /** The history at the base, which the first patch may need. It stays as it is. */
  readonly history: string | null;
}

/**
 * Writes one patch, without history, that does what several do one after the other. The states between them are files beside
 * the output: at most two at a time.
 */
export function merge(task: MergeTask, work: Work): DiffResult {
  return closing((keep) => {
    const folder = temporaryBeside(task.out);
    mkdirSync(folder);
    keep({ close: () => rmSync(folder, { recursive: true, force: true }) });
    const history = join(folder, 'history');
    if (task.history !== null && existsSync(task.history)) copyFileSync(task.history, history);
    let state = task.base;
    for (const [i, patch] of task.patches.entries()) {
      const next = join(folder, `state-${i}`);
      apply({ base: state, patch, out: next, history, target: null }, work);
      if (state !== task.base) rmSync(state, { recursive: true });
      state = next;
    }
    return diff({ base: task.base, target: state, out: task.out, history: null, overwrite: false }, work);
  });
}
