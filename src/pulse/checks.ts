import { equalBytes, type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import type { PatchHeader } from './format.ts';
import type { HistoryHead, Marks } from './history.ts';
import type { TensorSpec } from './tensor.ts';

/** What a patch asks of those who make or apply it. */

/** The first difference between two lists of tensors, in words, as lists in order of names have it; null when there is none. */
export function firstDifference(a: readonly TensorSpec[], b: readonly TensorSpec[]): string | null {
  const describe = ({ name, dtype, shape }: TensorSpec) => `${name} (${dtype} [${shape.join(', ')}])`;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [before, after] = [a[i], b[i]];
    if (before === undefined || (after !== undefined && after.name < before.name)) {
      return `tensor ${describe(after!)} was added`;
    }
    if (after === undefined || before.name < after.name) return `tensor ${describe(before)} is gone`;
    if (describe(before) !== describe(after)) return `tensor ${describe(before)} became ${describe(after)}`;
  }
  return null;
}

/** Whether a patch between states of such tensors is possible. */
export function sameSpecs(a: readonly TensorSpec[], b: readonly TensorSpec[]): boolean {
  return a === b || firstDifference(a, b) === null;
}

/** @throws GrailError TENSORS_INVALID when a patch from one to the other is not possible */
export function requireSameSpecs(base: readonly TensorSpec[], target: readonly TensorSpec[]): void {
  const difference = firstDifference(base, target);
  if (difference === null) return;
  throw new GrailError(
    'TENSORS_INVALID',
    `a patch cannot change names, types or shapes: ${difference.slice(0, 256)}; publish an anchor`,
  );
}

/** @throws GrailError PATCH_BASE_MISMATCH when the patch is for other tensors */
export function requireBase(header: PatchHeader, specs: readonly TensorSpec[]): void {
  const difference = firstDifference(header.specs, specs);
  if (difference === null) return;
  throw new GrailError(
    'PATCH_BASE_MISMATCH',
    `the patch is for other tensors: in the base, ${difference.slice(0, 256)}`,
  );
}

/** Whether the patch uses a history. @throws GrailError PATCH_HISTORY_MISMATCH when it is not the one held */
export function requireHistory(header: PatchHeader, marks: Marks | undefined, head: HistoryHead): boolean {
  if (!header.keepsHistory) return false;
  // Coded with fresh marks: whoever has none reads it as well.
  if (header.historySteps === 0 && marks === undefined) return false;
  const held: Hex = toHex(head.tag);
  if (marks !== undefined && held === header.historyTag && head.steps === header.historySteps) return true;
  throw new GrailError(
    'PATCH_HISTORY_MISMATCH',
    'the patch was coded with a history that is not held: apply the patches before it, or start from an anchor',
    {
      expected: { steps: header.historySteps, tag: header.historyTag },
      got: marks === undefined ? null : { steps: head.steps, tag: held },
    },
  );
}

export function wrongBase(header: PatchHeader, got: Uint8Array): GrailError {
  return new GrailError(
    'PATCH_BASE_MISMATCH',
    'the patch starts from another state: catch up through the chain',
    {
      expected: header.baseId,
      got: toHex(got),
    },
  );
}

export function requireTarget(got: Uint8Array, expected: Uint8Array): void {
  if (equalBytes(got, expected)) return;
  throw new GrailError('PATCH_TARGET_MISMATCH', 'the patch does not lead to the state that was promised', {
    expected: toHex(expected),
    got: toHex(got),
  });
}
