import { type Hex, toHex } from '../../protocol/bytes.ts';
import { FRESH, type HistoryHead, type Marks } from '../history.ts';
import type { TensorSource } from '../tensor.ts';
import { anchorBlob, type Blob, patchBlob } from './blob.ts';
import { FRESH_HISTORY, type History, type Manifest } from './manifest.ts';

/** A state that is in the log, as its publisher keeps it. */
export interface Committed {
  readonly state: TensorSource;
  readonly id: Hex;
  readonly step: number;
  /** Of the manifest that led to it. */
  readonly sequence: number;
}

/** A manifest to be, and what its publisher goes on from once it is in the log. */
export interface Draft {
  readonly kind: Manifest['kind'];
  readonly step: number;
  readonly base: Committed | null;
  readonly blob: Blob;
  readonly needs: History | null;
  readonly gives: History;
  /** Fresh after a reset, whatever the patch itself taught. */
  readonly head: HistoryHead;
  /** Whether the history starts anew behind it. */
  readonly resets: boolean;
  /** A copy of the target; null when the log leads there already. */
  readonly state: TensorSource | null;
}

/** @param resets decides from the patch's bytes */
export function patchDraft(input: {
  base: Committed;
  step: number;
  target: TensorSource;
  history: { marks: Marks; head: HistoryHead } | undefined;
  resets: (bytes: number) => boolean;
  keep: (target: TensorSource) => TensorSource;
  signal: AbortSignal | undefined;
}): Draft {
  const { base, step, target, history, signal } = input;
  const blob = patchBlob({ base: base.state, baseId: base.id, target, history, signal });
  const resets = input.resets(blob.bytes);
  const head = resets ? FRESH : blob.head;
  const needs = history === undefined ? null : historyOf(history.head);
  const state = input.keep(target);
  return { kind: 'patch', step, base, blob, needs, gives: historyOf(head), head, resets, state };
}

/** @param keep null when the log leads to the target already */
export function anchorDraft(
  step: number,
  target: TensorSource,
  keep: ((target: TensorSource) => TensorSource) | null,
  signal: AbortSignal | undefined,
): Draft {
  const blob = anchorBlob(target, signal);
  const state = keep?.(target) ?? null;
  return { kind: 'anchor', step, base: null, blob, ...WITHOUT_HISTORY, resets: true, state };
}

/** One patch for several: from an earlier reset point to the present one. */
export function mergedDraft(from: Committed, to: Committed, signal: AbortSignal | undefined): Draft {
  const blob = patchBlob({ base: from.state, baseId: from.id, target: to.state, signal });
  return { kind: 'merged', step: to.step, base: from, blob, ...WITHOUT_HISTORY, resets: false, state: null };
}

const WITHOUT_HISTORY = { needs: null, gives: FRESH_HISTORY, head: FRESH };

export function historyOf({ steps, tag }: HistoryHead): History {
  return { steps, tag: toHex(tag) };
}
