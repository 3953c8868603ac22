import { type Hex, toHex } from '../protocol/bytes.ts';
import { requireSameSpecs } from '../pulse/checks.ts';
import { elementCount, encodeAnchor, encodePatch, FRESH, stateId, totalBytes } from '../pulse/index.ts';
import { SafetensorsSource, sameLayout } from '../storage/safetensors/index.ts';
import { commit, HistoryFile } from './pulse-history.ts';
import { closing, stoppable, type Work, watch } from './pulse-work.ts';
import { PatchWriter } from './pulse-write.ts';

export interface DiffTask {
  readonly base: string;
  readonly target: string;
  readonly out: string;
  readonly history: string | null;
  readonly overwrite: boolean;
}

export interface DiffResult {
  readonly out: string;
  readonly bytes: number;
  readonly baseId: Hex;
  readonly targetId: Hex;
  readonly stateBytes: number;
  readonly elements: number;
  readonly changed: number;
  /** Whether the file also carries the new files' headers. */
  readonly carriesLayout: boolean;
  /** Patches in the history after this one; null without one. */
  readonly historySteps: number | null;
  readonly tensors: readonly { readonly name: string; readonly changed: number; readonly bytes: number }[];
}

/** Writes the patch between two states. @throws GrailError TENSORS_INVALID, PATCH_HISTORY_MISMATCH, NOT_FOUND, TOO_LARGE */
export function diff(task: DiffTask, work: Work): DiffResult {
  return closing((keep) => {
    const base = keep(new SafetensorsSource(task.base));
    const target = keep(new SafetensorsSource(task.target));
    const { specs } = target;
    requireSameSpecs(base.specs, specs);
    const source = stoppable(base, work);
    const history = HistoryFile.given(task.history, specs, () => stateId(source), keep);
    const out = keep(new PatchWriter(task.out));
    const past = task.overwrite ? null : (history?.begin() ?? null);
    const result = encodePatch({
      base: source,
      target: stoppable(target, work),
      overwrite: task.overwrite,
      ...(past !== null && past),
      write: (chunk) => {
        work.stop();
        out.write(chunk);
      },
      ...watch(work, 'diff', specs),
    });
    base.assertUnchanged();
    target.assertUnchanged();
    if (past !== null) history!.check(result.baseId);
    const carriesLayout = !sameLayout(base.layout, target.layout);
    out.finish(result.header, carriesLayout ? target.layout : null);
    commit(work, out, history, result);
    return {
      out: task.out,
      bytes: out.bytes,
      baseId: toHex(result.baseId),
      targetId: toHex(result.targetId),
      stateBytes: totalBytes(specs),
      elements: specs.reduce((sum, spec) => sum + elementCount(spec), 0),
      changed: result.tensors.reduce((sum, { changed }) => sum + changed, 0),
      carriesLayout,
      historySteps: history === null ? null : result.head.steps,
      tensors: result.tensors.map(({ spec, changed, bytes }) => ({ name: spec.name, changed, bytes })),
    };
  });
}

export interface AnchorTask {
  readonly target: string;
  readonly out: string;
  readonly history: string | null;
}

export interface AnchorResult {
  readonly out: string;
  readonly bytes: number;
  readonly targetId: Hex;
  readonly stateBytes: number;
}

/** Writes a whole state, compressed; a history that is given begins anew. */
export function anchor(task: AnchorTask, work: Work): AnchorResult {
  return closing((keep) => {
    const target = keep(new SafetensorsSource(task.target));
    const { specs } = target;
    const source = stoppable(target, work);
    const history = HistoryFile.given(task.history, specs, () => stateId(source), keep);
    const out = keep(new PatchWriter(task.out));
    const result = encodeAnchor({
      target: source,
      write: (chunk) => {
        work.stop();
        out.write(chunk);
      },
      ...watch(work, 'anchor', specs),
    });
    target.assertUnchanged();
    out.finish(result.header, target.layout);
    commit(work, out, history, { head: FRESH, targetId: result.targetId });
    return {
      out: task.out,
      bytes: out.bytes,
      targetId: toHex(result.targetId),
      stateBytes: totalBytes(specs),
    };
  });
}
