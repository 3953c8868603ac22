import { fromHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { requireTarget } from './checks.ts';
import {
  checkSpecs,
  encodeHeader,
  FieldReader,
  formatError,
  type PatchHeader,
  parseHeader,
} from './format.ts';
import { FRESH } from './history.ts';
import { BLOCK, KINDS } from './kernel.ts';
import { ModelBank } from './models.ts';
import { hashTensor, idOf, schemaDigest, ZERO } from './state-id.ts';
import { valueZeros } from './survey.ts';
import {
  type ByteSource,
  byteLength,
  elementCount,
  type TensorSink,
  type TensorSource,
  type TensorSpec,
  totalBytes,
} from './tensor.ts';
import { forBlocks, Progress, Scratch, type Watch, withKernel } from './walk.ts';

/** All tensors whole, compressed: exponents by an adaptive model, what is noise as it is. */
export function encodeAnchor(
  input: {
    readonly target: TensorSource;
    /** The id to put in the header instead of the state id. */
    readonly root?: Uint8Array | undefined;
    readonly meta?: Uint8Array | undefined;
    readonly write: (chunk: Uint8Array) => void;
  } & Watch,
): { header: Uint8Array; bodyBytes: number; targetId: Uint8Array } {
  const { target } = input;
  const { specs } = target;
  checkSpecs(specs);
  return withKernel((kernel) => {
    const { run } = kernel;
    const models = new ModelBank(kernel, FRESH, false);
    run.startEncoder();
    run.startPatch(1);
    let bodyBytes = 0;
    let hash = ZERO;
    kernel.spill = (chunk) => {
      bodyBytes += chunk.length;
      if (chunk.length > 0) input.write(chunk);
    };
    const write = () => kernel.spill(kernel.drain());
    const watch = new Progress(specs, input);
    for (const [index, spec] of specs.entries()) {
      const bytes = target.read(index);
      if (input.root === undefined) hash = hashTensor(kernel, spec, index, bytes, hash);
      models.use(spec.dtype);
      const count = elementCount(spec);
      const zeros = spec.dtype === 'int32' && count <= BLOCK ? valueZeros(kernel, bytes) : 0;
      run.encodeValuesHead(KINDS[spec.dtype], count, zeros);
      forBlocks(count, (at, size) => {
        kernel.loadTarget(spec.dtype, bytes, at, size);
        run.encodeValues(KINDS[spec.dtype], size);
        write();
      });
      watch.done(index);
    }
    run.finishEncoder();
    write();
    const targetId = input.root ?? idOf(schemaDigest(specs), hash);
    const header = encodeHeader({
      kind: 'anchor',
      rooted: input.root !== undefined,
      baseId: null,
      targetId,
      specs,
      ...(input.meta === undefined ? {} : { meta: input.meta }),
    });
    return { header, bodyBytes, targetId };
  });
}

/**
 * Reads an anchor into the sink that `sinkFor` gives for its header.
 * @param input.maxBytes of all tensors together: a header that promises more is refused before anything is allocated
 * @throws GrailError PATCH_FORMAT, PATCH_TARGET_MISMATCH or TOO_LARGE
 */
export function decodeAnchor(
  input: {
    readonly anchor: ByteSource;
    readonly sinkFor: (specs: readonly TensorSpec[], header: PatchHeader) => TensorSink;
    readonly targetId?: Uint8Array | undefined;
    readonly maxBytes?: number | undefined;
    readonly checksRoots?: boolean | undefined;
  } & Watch,
): { header: PatchHeader; targetId: Uint8Array } {
  const reader = new FieldReader(input.anchor);
  const header = parseHeader(reader);
  const { specs } = header;
  if (header.kind !== 'anchor') throw formatError('this is a patch: it needs the base that it starts from');
  const rooted = input.checksRoots === true;
  if (header.rooted !== rooted) {
    throw formatError(header.rooted ? 'this anchor is a policy’s' : 'this anchor is not a policy’s');
  }
  if (input.targetId !== undefined) requireTarget(fromHex(header.targetId), input.targetId);
  const bytes = totalBytes(specs);
  const limit = input.maxBytes ?? MAX_STATE_BYTES;
  if (bytes > limit) {
    throw new GrailError(
      'TOO_LARGE',
      `the anchor unpacks to more than ${limit} bytes: allow more, or refuse it`,
      {
        got: bytes,
      },
    );
  }
  const sink = input.sinkFor(specs, header);
  return withKernel((kernel) => {
    const { run } = kernel;
    const models = new ModelBank(kernel, FRESH, false);
    const body = reader.rest();
    const take = (max: number) => body.take(max);
    let ended = kernel.fill(take, true);
    run.startPatch(1);
    let hash = ZERO;
    const scratch = new Scratch();
    const watch = new Progress(specs, input);
    for (const [index, spec] of specs.entries()) {
      const { dtype } = spec;
      models.use(dtype);
      const out = sink.buffer?.(index) ?? scratch.of(byteLength(spec));
      if (!ended) ended = kernel.fill(take, false);
      run.decodeValuesHead(KINDS[dtype], elementCount(spec));
      forBlocks(elementCount(spec), (at, size) => {
        if (!ended) ended = kernel.fill(take, false);
        run.decodeValues(KINDS[dtype], size);
        if (run.isInvalid() !== 0) throw formatError('the code holds a value that cannot be');
        if (run.overrun() !== 0) throw formatError('the bytes end before the code does');
        kernel.storeBase(dtype, out, at, size);
      });
      if (dtype === 'int32' && elementCount(spec) <= BLOCK && run.getZeros() !== valueZeros(kernel, out)) {
        throw formatError('the head of a tensor is not that of its values', {
          tensor: spec.name.slice(0, 64),
        });
      }
      if (!rooted) hash = hashTensor(kernel, spec, index, out, hash);
      sink.write(index, out);
      watch.done(index);
    }
    if (!ended && run.unread() === 0) kernel.fill(take, false);
    if (run.isCanonical() === 0) throw formatError('the bytes are not the one code of what they hold');
    const targetId = rooted ? fromHex(header.targetId) : idOf(schemaDigest(specs), hash);
    requireTarget(targetId, fromHex(header.targetId));
    return { header, targetId };
  });
}

/** What an anchor may unpack to unless the caller says otherwise: 64 GiB. */
export const MAX_STATE_BYTES = 2 ** 36;
