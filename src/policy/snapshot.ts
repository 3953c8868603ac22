import { POLICY_CHUNK_BYTES } from '../params/constants.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { merkleRoot } from '../protocol/merkle.ts';
import { type Architecture, type Policy, weightCount, weightRows } from './architecture.ts';
import { checkPolicy } from './quantiser.ts';

/** Bytes of an architecture's tensors: weights at one byte, biases at four. */
export function tensorByteLength(architecture: Architecture): number {
  return architecture.layers.reduce((sum, layer) => sum + weightCount(layer) + 4 * weightRows(layer), 0);
}

/**
 * A policy's tensors as bytes: layer by layer, the weights `[weightRows, fanIn]` as int8, then the biases
 * `[weightRows]` as little-endian int32.
 */
export function tensorBytes(policy: Policy): Uint8Array {
  const out = new Uint8Array(tensorByteLength(policy.architecture));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const { weight, bias } of policy.layers) {
    out.set(new Uint8Array(weight.buffer, weight.byteOffset, weight.length), at);
    at += weight.length;
    for (const value of bias) {
      view.setInt32(at, value, true);
      at += 4;
    }
  }
  return out;
}

/**
 * The policy of an architecture and its tensor bytes.
 * @throws GrailError POLICY_INVALID when the length is off or a value is out of range.
 */
export function policyFromTensorBytes(architecture: Architecture, bytes: Uint8Array): Policy {
  const expected = tensorByteLength(architecture);
  if (bytes.length !== expected) {
    throw new GrailError('POLICY_INVALID', 'the tensor bytes have the wrong length', {
      expected,
      got: bytes.length,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const layers = architecture.layers.map((layer) => {
    const weight = new Int8Array(bytes.slice(at, at + weightCount(layer)).buffer);
    at += weight.length;
    const bias = new Int32Array(weightRows(layer));
    for (let i = 0; i < bias.length; i++, at += 4) bias[i] = view.getInt32(at, true);
    return { weight, bias };
  });
  const policy = { architecture, layers };
  checkPolicy(policy);
  return policy;
}

/** SHA-256(tag("policy") ‖ SHA-256(canonical architecture) ‖ RFC 6962 root of the tensor bytes in 64 KiB chunks). */
export function policyRoot(policy: Policy): Uint8Array {
  return policyRootOfBytes(policy.architecture, tensorBytes(policy));
}

/** `policyRoot` of tensors that are bytes already. */
export function policyRootOfBytes(architecture: Architecture, bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += POLICY_CHUNK_BYTES) {
    chunks.push(bytes.subarray(at, at + POLICY_CHUNK_BYTES));
  }
  return sha256(tag('policy'), sha256(canonicalBytes(architecture)), merkleRoot(chunks));
}
