import { type Architecture, architectureSchema, type Policy } from '../policy/architecture.ts';
import { checkPolicy } from '../policy/quantiser.ts';
import { policyRoot } from '../policy/snapshot.ts';
import { concat, equalBytes, toHex } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import {
  formatError,
  type HeaderReader,
  KIND_ANCHOR,
  policyOf,
  preamble,
  readPreamble,
  shapesOf,
  tensorsOf,
  varint,
} from './format.ts';
import { decodeCanonical, encodeCanonical } from './range-coder.ts';
import { codeValues } from './tensors.ts';

/** Longest canonical architecture: sixteen layers take about 1,300 bytes. */
const MAX_ARCHITECTURE_BYTES = 8192;

/**
 * A whole policy as bytes: architecture, tensors, root.
 * @throws GrailError POLICY_INVALID when it breaks the exact policy's rules.
 */
export function encodeAnchor(policy: Policy): Uint8Array {
  checkPolicy(policy);
  const shapes = shapesOf(policy.architecture);
  const architecture = canonicalBytes(policy.architecture);
  const body = encodeCanonical(tensorsOf(policy), (coder, value) => codeValues(coder, shapes, value));
  return concat(preamble(KIND_ANCHOR), policyRoot(policy), varint(architecture.length), architecture, body);
}

/**
 * Reads an anchor; the root of what it holds is recomputed.
 * @param expectedRoot the root that the ledger promises, 32 bytes; without it the header's is what is checked
 * @param expectedArchitecture genesis's: another one is refused before anything of its size is allocated
 * @throws GrailError PATCH_FORMAT or PATCH_TARGET_MISMATCH.
 */
export function decodeAnchor(
  anchor: Uint8Array,
  expectedRoot?: Uint8Array,
  expectedArchitecture?: Architecture,
): Policy {
  const reader = readPreamble(anchor, KIND_ANCHOR);
  const root = reader.root();
  if (expectedRoot !== undefined) requireRootMatch(root, expectedRoot);
  const architecture = readArchitecture(reader, expectedArchitecture);
  const shapes = shapesOf(architecture);
  const tensors = decodeCanonical<(Int8Array | Int32Array)[]>(reader.rest(), (coder, value) =>
    codeValues(coder, shapes, value),
  );
  const policy = policyOf(architecture, tensors);
  try {
    checkPolicy(policy);
  } catch (error) {
    throw new GrailError(
      'PATCH_FORMAT',
      'the anchor’s tensors break the policy’s rules',
      {},
      { cause: error },
    );
  }
  requireRootMatch(policyRoot(policy), root);
  return policy;
}

function readArchitecture(reader: HeaderReader, expected: Architecture | undefined): Architecture {
  const length = reader.varint(2);
  if (length > MAX_ARCHITECTURE_BYTES) throw formatError('the architecture is too long', { got: length });
  const bytes = reader.take(length);
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

function requireRootMatch(got: Uint8Array, expected: Uint8Array): void {
  if (equalBytes(got, expected)) return;
  throw new GrailError('PATCH_TARGET_MISMATCH', 'the anchor’s policy is not the one that was promised', {
    expected: toHex(expected),
    got: toHex(got),
  });
}
