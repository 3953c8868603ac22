import {
  type Architecture,
  architectureSchema,
  fanIn,
  type Policy,
  weightRows,
} from '../policy/architecture.ts';
import { checkPolicy } from '../policy/quantiser.ts';
import { policyRoot } from '../policy/snapshot.ts';
import { concat, equalBytes, toHex } from '../protocol/bytes.ts';
import { canonicalBytes, canonicalText } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { decodeAnchor, encodeAnchor } from './anchor.ts';
import { applyPatch } from './apply.ts';
import { sameSpecs } from './checks.ts';
import { encodePatch } from './encode.ts';
import { formatError, ID_BYTES } from './format.ts';
import { BLOCK } from './kernel.ts';
import { byteSource, elementCount, MemoryTensors, type TensorSpec, totalBytes } from './tensor.ts';

/**
 * Patches and anchors of exact policies. Their ids are policyRoots, which are recomputed from every result: a policy is small,
 * and its root is what the ledger promises.
 */

/**
 * The patch that turns `base` into `target`, published tensors only. Roots are 32 bytes and stand in the header.
 * @throws GrailError POLICY_INVALID when either breaks the exact policy's rules or their architectures differ.
 */
export function encodePolicyPatch(input: {
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
  const chunks: Uint8Array[] = [];
  const { header } = encodePatch({
    base: tensorsOf(base),
    target: tensorsOf(target),
    roots: { base: baseRoot, target: targetRoot },
    write: (chunk) => chunks.push(chunk.slice()),
  });
  return concat(header, ...chunks);
}

/**
 * Applies a patch. The result is a new policy whose root was recomputed; `base` is never touched.
 * @param baseRoot policyRoot of `base`, 32 bytes
 * @param expectedTargetRoot the root that the ledger promises, 32 bytes; without it the header's is what is checked
 * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH or PATCH_TARGET_MISMATCH.
 */
export function applyPolicyPatch(
  base: Policy,
  baseRoot: Uint8Array,
  patch: Uint8Array,
  expectedTargetRoot?: Uint8Array,
): Policy {
  const sink = new MemoryTensors(specsOf(base.architecture));
  const { targetId } = applyPatch({
    base: tensorsOf(base),
    baseId: baseRoot,
    patch: byteSource(patch),
    sink,
    targetId: expectedTargetRoot,
    checksRoots: true,
  });
  return checked(policyOf(base.architecture, sink), targetId);
}

/**
 * One patch that does what consecutive patches do: mostly smaller to send than they are, and one to apply.
 * @param base what the first one starts from, with its root
 * @param patches in order; each starts where the one before ends
 * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH or PATCH_TARGET_MISMATCH, as applying them does
 */
export function mergePolicyPatches(
  base: Policy,
  baseRoot: Uint8Array,
  patches: readonly Uint8Array[],
): Uint8Array {
  let target = base;
  let targetRoot = baseRoot;
  for (const patch of patches) {
    target = applyPolicyPatch(target, targetRoot, patch);
    targetRoot = policyRoot(target);
  }
  return encodePolicyPatch({ base, target, baseRoot, targetRoot });
}

/**
 * A whole policy as bytes: architecture, tensors, root.
 * @throws GrailError POLICY_INVALID when it breaks the exact policy's rules.
 */
export function encodePolicyAnchor(policy: Policy): Uint8Array {
  checkPolicy(policy);
  const chunks: Uint8Array[] = [];
  const { header } = encodeAnchor({
    target: tensorsOf(policy),
    root: policyRoot(policy),
    meta: canonicalBytes(policy.architecture),
    write: (chunk) => chunks.push(chunk.slice()),
  });
  return concat(header, ...chunks);
}

/**
 * Reads an anchor; the root of what it holds is recomputed.
 * @param expectedRoot the root that the ledger promises, 32 bytes; without it the header's is what is checked
 * @param expectedArchitecture genesis's: another one is refused before anything of its size is allocated
 * @throws GrailError PATCH_FORMAT or PATCH_TARGET_MISMATCH.
 */
export function decodePolicyAnchor(
  anchor: Uint8Array,
  expectedRoot?: Uint8Array,
  expectedArchitecture?: Architecture,
): Policy {
  let architecture: Architecture | undefined;
  let sink: MemoryTensors | undefined;
  const { targetId } = decodeAnchor({
    anchor: byteSource(anchor),
    targetId: expectedRoot,
    checksRoots: true,
    sinkFor(specs, { meta }) {
      architecture = parseArchitecture(meta, expectedArchitecture);
      const own = specsOf(architecture);
      if (!sameSpecs(specs, own)) throw formatError('the anchor’s tensors are not those of its architecture');
      // A weight of a large tensor takes a tenth of a bit at the least; of a small one, next to nothing.
      const large = own.filter((spec) => elementCount(spec) > BLOCK);
      if (totalBytes(large) > 128 * anchor.length)
        throw formatError('the anchor is too short for its tensors');
      sink = new MemoryTensors(own);
      return sink;
    },
  });
  return checked(policyOf(architecture!, sink!), targetId);
}

/** The published tensors of an architecture, in the order of its tensor bytes. */
export function specsOf(architecture: Architecture): TensorSpec[] {
  return architecture.layers.flatMap((layer): TensorSpec[] => [
    { name: '', dtype: 'int8', shape: [weightRows(layer), fanIn(layer)] },
    { name: '', dtype: 'int32', shape: [weightRows(layer)] },
  ]);
}

/** A policy's tensors as little-endian bytes, shared with it. */
export function tensorsOf(policy: Policy): MemoryTensors {
  return new MemoryTensors(
    specsOf(policy.architecture),
    policy.layers.flatMap(({ weight, bias }) => [bytesOf(weight), bytesOf(bias)]),
  );
}

function policyOf(architecture: Architecture, { arrays }: MemoryTensors): Policy {
  return {
    architecture,
    layers: architecture.layers.map((_, i) => ({
      weight: new Int8Array(arrays[2 * i]!.buffer),
      bias: new Int32Array(arrays[2 * i + 1]!.buffer),
    })),
  };
}

function bytesOf(array: Int8Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function checked(policy: Policy, root: Uint8Array): Policy {
  try {
    checkPolicy(policy);
  } catch (error) {
    throw new GrailError('PATCH_FORMAT', 'the tensors break the policy’s rules', {}, { cause: error });
  }
  const got = policyRoot(policy);
  if (equalBytes(got, root)) return policy;
  throw new GrailError('PATCH_TARGET_MISMATCH', 'the policy is not the one that was promised', {
    expected: toHex(root),
    got: toHex(got),
  });
}

function parseArchitecture(bytes: Uint8Array, expected: Architecture | undefined): Architecture {
  if (expected !== undefined && !equalBytes(bytes, canonicalBytes(expected))) {
    throw formatError('the anchor is of another architecture');
  }
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new GrailError('PATCH_FORMAT', 'the architecture is not JSON', {}, { cause: error });
  }
  const parsed = architectureSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw formatError(`the architecture is invalid: ${issue.path.join('.')}: ${issue.message}`);
  }
  if (!equalBytes(canonicalBytes(parsed.data), bytes)) throw formatError('the architecture is not canonical');
  return parsed.data;
}

/** @throws RangeError when a root is not 32 bytes: a mistake of the caller. */
function requireRoot(root: Uint8Array, name: string): void {
  if (root.length !== ID_BYTES) throw new RangeError(`${name} is not ${ID_BYTES} bytes`);
}
