import { requireSameSpecs } from './checks.ts';
import { checkSpecs, encodeHeader } from './format.ts';
import { FRESH, type HistoryHead, type Marks } from './history.ts';
import { BLOCK, KINDS } from './kernel.ts';
import { ModelBank } from './models.ts';
import {
  addHashes,
  hashOf,
  hashTensor,
  idOf,
  kernelHash,
  rowLength,
  type SetHash,
  schemaDigest,
  ZERO,
} from './state-id.ts';
import { surveyed } from './survey.ts';
import { elementCount, type TensorSource, type TensorSpec } from './tensor.ts';
import { forBlocks, Progress, type Watch, withKernel } from './walk.ts';

export interface TensorChange {
  readonly spec: TensorSpec;
  readonly changed: number;
  /** Bytes of its code, a few more or less: tensors share bytes at their borders. */
  readonly bytes: number;
}

export interface PatchResult {
  /** Goes in front of what `write` got. */
  readonly header: Uint8Array;
  readonly bodyBytes: number;
  readonly baseId: Uint8Array;
  readonly targetId: Uint8Array;
  /** The history after this patch; FRESH when it was coded without one. */
  readonly head: HistoryHead;
  readonly tensors: readonly TensorChange[];
}

/**
 * The patch from `base` to `target`, whose specs are equal.
 * @param input.baseId of the base, when it is known; else the base is hashed as it is read
 * @param input.roots ids to put in the header instead of state ids, 32 bytes each
 * @param input.marks with them the patch uses the chain's history; they are brought forward tensor by tensor
 * @param input.head the history that `marks` belong to
 * @param input.overwrite whole values, and no use of the base: larger, but applying it again does no harm
 * @param input.write takes the body's bytes in order; they are valid during the call only
 * @throws GrailError TENSORS_INVALID when the specs differ or exceed the format; PATCH_HISTORY_MISMATCH when the head is
 *   damaged
 */
export function encodePatch(
  input: {
    readonly base: TensorSource;
    readonly target: TensorSource;
    readonly baseId?: Uint8Array | undefined;
    readonly roots?: { readonly base: Uint8Array; readonly target: Uint8Array } | undefined;
    readonly marks?: Marks | undefined;
    readonly head?: HistoryHead | undefined;
    readonly overwrite?: boolean | undefined;
    readonly write: (chunk: Uint8Array) => void;
  } & Watch,
): PatchResult {
  const { base, target, roots, marks, overwrite = false } = input;
  const { specs } = base;
  checkSpecs(specs);
  requireSameSpecs(specs, target.specs);
  if ([overwrite, marks !== undefined, roots !== undefined].filter(Boolean).length > 1) {
    throw new RangeError('an overwriting patch has no history, and one between roots is neither');
  }
  const head = input.head ?? FRESH;
  return withKernel((kernel) => {
    const models = new ModelBank(kernel, head, marks !== undefined);
    const { run } = kernel;
    run.startEncoder();
    run.startPatch(overwrite ? 1 : 0);
    run.startHash(0n, 0n);
    let bodyBytes = 0;
    kernel.spill = (chunk) => {
      bodyBytes += chunk.length;
      if (chunk.length > 0) input.write(chunk);
    };
    const write = () => kernel.spill(kernel.drain());
    const tensors: TensorChange[] = [];
    // Sums of the set hash: of the whole base where it is not known, and of what changes.
    const known = input.baseId === undefined ? null : hashOf(input.baseId);
    let whole: SetHash = known ?? ZERO;
    let difference: SetHash = ZERO;
    const watch = new Progress(specs, input);
    for (const [index, spec] of specs.entries()) {
      const count = elementCount(spec);
      const { dtype } = spec;
      const from = base.read(index);
      const to = target.read(index);
      const mark = marks?.read(index) ?? null;
      const before = bodyBytes;
      if (known === null && roots === undefined) whole = hashTensor(kernel, spec, index, from, whole);
      run.startHash(difference.low, difference.high);
      run.startTensor(BigInt(index), rowLength(spec));
      const earlier = Number(run.getChanged());
      if (count > 0) {
        models.use(dtype);
        const { quarters, zeros, rows } = surveyed(kernel, spec, from, to, overwrite);
        run.encodeHead(KINDS[dtype], count, quarters, zeros, rows ? 1 : 0);
        const changes = quarters >= 0;
        if (changes || mark !== null) {
          forBlocks(count, (at, size) => {
            kernel.loadMarks(mark, at, size);
            if (changes) {
              kernel.loadBase(dtype, from, at, size);
              kernel.loadTarget(dtype, to, at, size);
              if (count <= BLOCK) run.scaleBlock(KINDS[dtype], size);
              kernel.encodeBlock(dtype, size);
              write();
            } else {
              run.growBlock(size);
            }
            if (mark !== null) kernel.storeMarks(mark, at, size);
          });
        }
        if (changes) run.encodeEnd();
        if (mark !== null) marks!.write(index, mark);
      }
      difference = kernelHash(kernel);
      tensors.push({ spec, changed: Number(run.getChanged()) - earlier, bytes: bodyBytes - before });
      watch.done(index);
    }
    run.finishEncoder();
    write();
    const schema = schemaDigest(specs);
    const baseId = roots?.base ?? idOf(schema, whole);
    const targetId = roots?.target ?? idOf(schema, addHashes(whole, difference));
    const history = marks === undefined ? null : head;
    const header = encodeHeader({
      kind: 'patch',
      overwrite,
      rooted: roots !== undefined,
      history,
      baseId,
      targetId,
      specs,
    });
    const next = history === null ? FRESH : models.head(history, baseId, targetId);
    return { header, bodyBytes, baseId, targetId, head: next, tensors };
  });
}
