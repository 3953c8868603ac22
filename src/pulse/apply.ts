import { equalBytes, fromHex } from '../protocol/bytes.ts';
import { requireBase, requireHistory, requireTarget, wrongBase } from './checks.ts';
import { FieldReader, formatError, type PatchHeader, parseHeader } from './format.ts';
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
  schemaDigest,
  stateId,
  ZERO,
} from './state-id.ts';
import { equalSurveys, quartersOf, surveyed } from './survey.ts';
import { type ByteSource, byteLength, elementCount, type TensorSink, type TensorSource } from './tensor.ts';
import { forBlocks, Progress, Scratch, type Watch, withKernel } from './walk.ts';

/**
 * Applies a patch, tensor by tensor, into `sink`. Nothing of the sink may be used before this returns.
 * @param input.baseId of the base, when it is known; else it is computed while the base is read
 * @param input.targetId the id that is promised; without it the header's is what is checked
 * @param input.checksRoots the caller computes the target's root and compares: for patches between roots
 * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH, PATCH_TARGET_MISMATCH or PATCH_HISTORY_MISMATCH
 */
export function applyPatch(
  input: {
    readonly base: TensorSource;
    readonly baseId?: Uint8Array | undefined;
    readonly patch: ByteSource;
    readonly sink: TensorSink;
    readonly marks?: Marks | undefined;
    readonly head?: HistoryHead | undefined;
    readonly targetId?: Uint8Array | undefined;
    readonly checksRoots?: boolean | undefined;
  } & Watch,
): { header: PatchHeader; targetId: Uint8Array; head: HistoryHead; changed: number } {
  const { base, sink, marks } = input;
  const reader = new FieldReader(input.patch);
  const header = parseHeader(reader);
  if (header.kind !== 'patch') throw formatError('this is an anchor: it needs no base');
  const rooted = input.checksRoots === true;
  if (header.rooted !== rooted) {
    throw formatError(
      header.rooted
        ? 'this patch is between policies, not tensor files'
        : 'this patch is not between policies',
    );
  }
  const promised = fromHex(header.baseId!);
  requireBase(header, base.specs);
  // An overwriting patch is for bases that may have some of its values already; its target tells whether they had.
  const anyBase = header.overwrite;
  if (input.baseId !== undefined && !anyBase && !equalBytes(input.baseId, promised)) {
    throw wrongBase(header, input.baseId);
  }
  if (input.targetId !== undefined) requireTarget(fromHex(header.targetId), input.targetId);
  const head = input.head ?? FRESH;
  const uses = requireHistory(header, marks, head);
  const { specs } = header;
  return withKernel((kernel) => {
    const models = new ModelBank(kernel, head, uses);
    const { run } = kernel;
    const body = reader.rest();
    const take = (max: number) => body.take(max);
    let ended = kernel.fill(take, true);
    run.startPatch(header.overwrite ? 1 : 0);
    const checksBase = input.baseId === undefined && !rooted;
    let difference = ZERO;
    let read = ZERO;
    const watch = new Progress(specs, input);
    const scratch = new Scratch();
    const check = (): void => {
      if (run.isInvalid() === 0 && run.overrun() === 0) return;
      if (checksBase && !anyBase) {
        const got = stateId(base);
        if (!equalBytes(got, promised)) throw wrongBase(header, got);
      }
      throw formatError(
        run.overrun() === 0 ? 'the code holds a value that cannot be' : 'the bytes end before the code does',
      );
    };
    for (const [index, spec] of specs.entries()) {
      const count = elementCount(spec);
      const { dtype } = spec;
      const from = base.read(index);
      const mark = uses ? marks!.read(index) : null;
      if (checksBase) read = hashTensor(kernel, spec, index, from, read);
      run.startHash(difference.low, difference.high);
      run.startTensor(BigInt(index), rowLength(spec));
      if (count === 0) {
        sink.write(index, from);
        watch.done(index);
        continue;
      }
      models.use(dtype);
      if (!ended) ended = kernel.fill(take, false);
      const earlier = Number(run.getChanged());
      const changes = run.decodeHead(KINDS[dtype], count) !== 0;
      check();
      const out = changes ? (sink.buffer?.(index) ?? scratch.of(byteLength(spec))) : from;
      if (changes || mark !== null) {
        forBlocks(count, (at, size) => {
          kernel.loadMarks(mark, at, size);
          if (changes) {
            if (!ended) ended = kernel.fill(take, false);
            kernel.loadBase(dtype, from, at, size);
            if (count <= BLOCK) run.scaleBlock(KINDS[dtype], size);
            kernel.decodeBlock(dtype, size);
            check();
            kernel.storeBase(dtype, out, at, size);
          } else {
            run.growBlock(size);
          }
          if (mark !== null) kernel.storeMarks(mark, at, size);
        });
      }
      if (changes) {
        run.decodeEnd();
        const told = { quarters: run.getQuarters(), zeros: run.getZeros(), rows: run.getByRows() !== 0 };
        // An overwriting patch may meet a base that has its values already: only what it holds can be counted.
        const held = header.overwrite
          ? { quarters: quartersOf(Number(run.getChanged()) - earlier, count), zeros: 0, rows: false }
          : surveyed(kernel, spec, from, out, false);
        if (!equalSurveys(told, held)) {
          check();
          throw formatError('the head of a tensor is not that of its changes', {
            tensor: spec.name.slice(0, 64),
          });
        }
      }
      if (mark !== null) marks!.write(index, mark);
      difference = kernelHash(kernel);
      sink.write(index, out);
      watch.done(index);
    }
    if (!ended && run.unread() === 0) kernel.fill(take, false);
    check();
    const schema = schemaDigest(specs);
    const from = input.baseId ?? (checksBase ? idOf(schema, read) : promised);
    if (!anyBase && !equalBytes(from, promised)) throw wrongBase(header, from);
    // Of its own base an overwriting patch holds what changed, no more.
    const isOwn = equalBytes(from, promised);
    if (run.isCanonical() === 0 || (isOwn && run.getIdle() > 0n)) {
      throw formatError('the bytes are not the one code of what they hold');
    }
    const targetId = rooted ? fromHex(header.targetId) : idOf(schema, addHashes(hashOf(from), difference));
    requireTarget(targetId, fromHex(header.targetId));
    const after = uses ? models.head(head, promised, targetId) : FRESH;
    return { header, targetId, head: after, changed: Number(run.getChanged()) };
  });
}
