import type { Policy } from '../policy/architecture.ts';
import { checkPolicy } from '../policy/quantiser.ts';
import { policyRoot } from '../policy/snapshot.ts';
import { concat, equalBytes, type Hex, toHex } from '../protocol/bytes.ts';
import { canonicalText } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import {
  encodeShapes,
  formatError,
  KIND_PATCH,
  limitsOf,
  policyOf,
  preamble,
  readPreamble,
  readShapes,
  requireRoot,
  shapesOf,
  tensorsOf,
} from './format.ts';
import { decodeCanonical, encodeCanonical } from './range-coder.ts';
import { codeChanges, type TensorChanges, type TensorShape, tensorSize } from './tensors.ts';

interface PatchHeader {
  readonly baseRoot: Uint8Array;
  readonly targetRoot: Uint8Array;
  readonly shapes: readonly TensorShape[];
  readonly body: Uint8Array;
}

/** What a patch says without its base. */
export interface PatchSummary {
  readonly baseRoot: Hex;
  readonly targetRoot: Hex;
  readonly patchBytes: number;
  readonly tensors: readonly {
    readonly shape: TensorShape;
    readonly size: number;
    readonly changed: number;
  }[];
}

/**
 * The patch that turns `base` into `target`, published tensors only. Roots are 32 bytes and stand in the header.
 * @throws GrailError POLICY_INVALID when either breaks the exact policy's rules or their architectures differ.
 */
export function encodePatch(input: {
  base: Policy;
  target: Policy;
  baseRoot: Uint8Array;
  targetRoot: Uint8Array;
}): Uint8Array {
  const { base, target, baseRoot, targetRoot } = input;
  requireRoot(baseRoot, 'baseRoot');
  requireRoot(targetRoot, 'targetRoot');
  checkPolicy(base);
  checkPolicy(target);
  if (canonicalText(base.architecture) !== canonicalText(target.architecture)) {
    throw new GrailError('POLICY_INVALID', 'a patch cannot change the architecture: publish an anchor');
  }
  const old = tensorsOf(base);
  const changes = tensorsOf(target).map((tensor, i) => difference(old[i]!, tensor));
  return assemble(baseRoot, targetRoot, shapesOf(base.architecture), changes);
}

/**
 * Applies a patch. The result is a new policy whose root was recomputed; `base` is never touched.
 * @param baseRoot policyRoot of `base`, 32 bytes
 * @param expectedTargetRoot the root that the ledger promises, 32 bytes; without it the header's is what is checked
 * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH or PATCH_TARGET_MISMATCH.
 */
export function applyPatch(
  base: Policy,
  baseRoot: Uint8Array,
  patch: Uint8Array,
  expectedTargetRoot?: Uint8Array,
): Policy {
  const header = parse(patch);
  if (!equalBytes(header.baseRoot, baseRoot)) {
    throw new GrailError(
      'PATCH_BASE_MISMATCH',
      'the patch starts from another policy: catch up through the chain',
      {
        expected: toHex(baseRoot),
        got: toHex(header.baseRoot),
      },
    );
  }
  if (expectedTargetRoot !== undefined) requireTarget(header.targetRoot, expectedTargetRoot);
  const shapes = shapesOf(base.architecture);
  if (!equalBytes(encodeShapes(shapes), encodeShapes(header.shapes))) {
    throw formatError('the patch’s tensors are not those of the architecture');
  }
  const changes = decodeChanges(header);
  const limits = limitsOf(base.architecture);
  const tensors = tensorsOf(base).map((tensor, i) => changed(tensor, changes[i]!, limits[i]!));
  const target = policyOf(base.architecture, tensors);
  requireTarget(policyRoot(target), header.targetRoot);
  return target;
}

/**
 * Reads a patch without its base.
 * @throws GrailError PATCH_FORMAT
 */
export function inspectPatch(patch: Uint8Array): PatchSummary {
  const header = parse(patch);
  const changes = decodeChanges(header);
  return {
    baseRoot: toHex(header.baseRoot),
    targetRoot: toHex(header.targetRoot),
    patchBytes: patch.length,
    tensors: header.shapes.map((shape, i) => ({
      shape,
      size: tensorSize(shape),
      changed: changes[i]!.positions.length,
    })),
  };
}

/**
 * One patch that does what consecutive patches do. It is never larger work to apply, and mostly smaller to send.
 * @param patches in order; each starts where the one before ends
 * @throws GrailError PATCH_FORMAT, or PATCH_BASE_MISMATCH when one does not follow the one before.
 */
export function mergePatches(patches: readonly Uint8Array[]): Uint8Array {
  const [first, ...others] = patches.map(parse);
  if (first === undefined) throw new RangeError('no patch to merge');
  let changes = decodeChanges(first);
  let targetRoot = first.targetRoot;
  for (const next of others) {
    if (!equalBytes(next.baseRoot, targetRoot)) {
      throw new GrailError('PATCH_BASE_MISMATCH', 'a patch does not start where the one before ends', {
        expected: toHex(targetRoot),
        got: toHex(next.baseRoot),
      });
    }
    if (!equalBytes(encodeShapes(next.shapes), encodeShapes(first.shapes))) {
      throw formatError('the patches are for different architectures');
    }
    const more = decodeChanges(next);
    changes = changes.map((tensor, i) => sum(tensor, more[i]!));
    targetRoot = next.targetRoot;
  }
  return assemble(first.baseRoot, targetRoot, first.shapes, changes);
}

function assemble(
  baseRoot: Uint8Array,
  targetRoot: Uint8Array,
  shapes: readonly TensorShape[],
  changes: TensorChanges[],
): Uint8Array {
  const body = encodeCanonical(changes, (coder, value) => codeChanges(coder, shapes, value));
  return concat(preamble(KIND_PATCH), baseRoot, targetRoot, encodeShapes(shapes), body);
}

function parse(patch: Uint8Array): PatchHeader {
  const reader = readPreamble(patch, KIND_PATCH);
  const baseRoot = reader.root();
  const targetRoot = reader.root();
  return { baseRoot, targetRoot, shapes: readShapes(reader), body: reader.rest() };
}

function decodeChanges({ shapes, body }: PatchHeader): TensorChanges[] {
  return decodeCanonical<TensorChanges[]>(body, (coder, value) => codeChanges(coder, shapes, value));
}

function requireTarget(got: Uint8Array, expected: Uint8Array): void {
  if (equalBytes(got, expected)) return;
  throw new GrailError('PATCH_TARGET_MISMATCH', 'the patched policy is not the one that was promised', {
    expected: toHex(expected),
    got: toHex(got),
  });
}

function difference(base: Int8Array | Int32Array, target: Int8Array | Int32Array): TensorChanges {
  const positions: number[] = [];
  const deltas: number[] = [];
  for (let i = 0; i < base.length; i++) {
    if (base[i] === target[i]) continue;
    positions.push(i);
    deltas.push(target[i]! - base[i]!);
  }
  return { positions, deltas };
}

function changed<T extends Int8Array | Int32Array>(base: T, changes: TensorChanges, limit: number): T {
  const out = base.slice() as T;
  for (const [i, position] of changes.positions.entries()) {
    const value = base[position]! + changes.deltas[i]!;
    if (Math.abs(value) > limit) {
      throw formatError('a patched value is out of range', {
        position,
        expected: `|v| ≤ ${limit}`,
        got: value,
      });
    }
    out[position] = value;
  }
  return out;
}

/** The sum of two sparse changes; what cancels is left out. */
function sum(a: TensorChanges, b: TensorChanges): TensorChanges {
  const positions: number[] = [];
  const deltas: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.positions.length || j < b.positions.length) {
    const left = a.positions[i] ?? Number.POSITIVE_INFINITY;
    const right = b.positions[j] ?? Number.POSITIVE_INFINITY;
    const delta = (left <= right ? a.deltas[i++]! : 0) + (right <= left ? b.deltas[j++]! : 0);
    if (delta === 0) continue;
    positions.push(Math.min(left, right));
    deltas.push(delta);
  }
  return { positions, deltas };
}
