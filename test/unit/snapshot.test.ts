import { expect, test } from 'vitest';
import type { Architecture, Layer, Policy } from '../../src/policy/architecture.ts';
import {
  policyFromTensorBytes,
  policyRoot,
  policyRootOfBytes,
  tensorByteLength,
  tensorBytes,
} from '../../src/policy/snapshot.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { CARTPOLE_MLP, randomPolicy } from '../support/policies.ts';

const invalid = expect.objectContaining({ name: 'GrailError', code: 'POLICY_INVALID' });

/** Its tensors fill three chunks and a bit. */
const WIDE: Architecture = {
  observation: 200,
  actions: 1000,
  layers: [{ type: 'dense', in: 200, out: 1000, shift: 8, biasMax: 4096 }],
};

test('tensor bytes are int8 weights then little-endian int32 biases, layer by layer', () => {
  const policy: Policy = {
    architecture: {
      observation: 1,
      actions: 2,
      layers: [
        { type: 'dense', in: 1, out: 1, shift: 1, biasMax: 1000 },
        { type: 'dense', in: 1, out: 2, shift: 1, biasMax: 1000 },
      ],
    },
    layers: [
      { weight: Int8Array.of(-1), bias: Int32Array.of(258) },
      { weight: Int8Array.of(2, 127), bias: Int32Array.of(-2, 3) },
    ],
  };
  expect(toHex(tensorBytes(policy))).toBe('0xff02010000027ffeffffff03000000');
});

test.each([CARTPOLE_MLP, WIDE])('a policy comes back from its bytes', (architecture) => {
  const policy = randomPolicy(architecture, 9);
  const bytes = tensorBytes(policy);
  expect(bytes.length).toBe(tensorByteLength(architecture));
  expect(policyFromTensorBytes(architecture, bytes)).toEqual(policy);
});

test('bytes at an odd offset of a larger buffer are read as well, and copied', () => {
  const policy = randomPolicy(CARTPOLE_MLP, 9);
  const bytes = tensorBytes(policy);
  const buffer = new Uint8Array(bytes.length + 3);
  buffer.set(bytes, 3);
  const read = policyFromTensorBytes(CARTPOLE_MLP, buffer.subarray(3));
  buffer.fill(0);
  expect(read).toEqual(policy);
});

test.each([-1, 1])('bytes that are off by %d are POLICY_INVALID', (difference) => {
  const bytes = new Uint8Array(tensorByteLength(CARTPOLE_MLP) + difference);
  expect(() => policyFromTensorBytes(CARTPOLE_MLP, bytes)).toThrow(invalid);
});

test('bytes that hold −128 or too large a bias are POLICY_INVALID', () => {
  const bytes = tensorBytes(randomPolicy(CARTPOLE_MLP, 9));
  const weight = bytes.slice();
  weight[5] = 0x80;
  expect(() => policyFromTensorBytes(CARTPOLE_MLP, weight)).toThrow(invalid);
  const bias = bytes.slice();
  bias[128 + 3] = 0x7f;
  expect(() => policyFromTensorBytes(CARTPOLE_MLP, bias)).toThrow(invalid);
});

test('policyRoot is the hash of tag, architecture and the tree over 64 KiB chunks', () => {
  const policy = randomPolicy(WIDE, 10);
  const bytes = tensorBytes(policy);
  const leaf = (i: number) => sha256(Uint8Array.of(0), bytes.slice(65_536 * i, 65_536 * (i + 1)));
  const node = (left: Uint8Array, right: Uint8Array) => sha256(Uint8Array.of(1), left, right);
  expect(bytes.length).toBe(204_000);
  const root = node(node(leaf(0), leaf(1)), node(leaf(2), leaf(3)));
  expect(policyRoot(policy)).toEqual(sha256(tag('policy'), sha256(canonicalBytes(WIDE)), root));
  expect(policyRootOfBytes(WIDE, bytes)).toEqual(policyRoot(policy));
});

test('any byte of the tensors and any number of the architecture changes policyRoot', () => {
  const bytes = tensorBytes(randomPolicy(WIDE, 10));
  const roots = new Set([toHex(policyRootOfBytes(WIDE, bytes))]);
  const places = [0, 1, 65_535, 65_536, 131_072, 199_999, 200_000, bytes.length - 1];
  for (const place of places) {
    const tampered = bytes.slice();
    tampered[place]! ^= 1;
    roots.add(toHex(policyRootOfBytes(WIDE, tampered)));
  }
  const [layer] = WIDE.layers;
  const edits = [{ shift: 9 }, { biasMax: 4097 }];
  for (const edit of edits) {
    roots.add(toHex(policyRootOfBytes({ ...WIDE, layers: [{ ...layer!, ...edit }] }, bytes)));
  }
  expect(roots.size).toBe(1 + places.length + edits.length);
});

test('the order of an architecture’s fields does not change policyRoot', () => {
  const policy = randomPolicy(CARTPOLE_MLP, 9);
  const { layers, actions, observation } = CARTPOLE_MLP;
  const reordered = {
    layers: layers.map((layer) => Object.fromEntries(Object.entries(layer).reverse()) as Layer),
    actions,
    observation,
  };
  expect(policyRoot({ ...policy, architecture: reordered })).toEqual(policyRoot(policy));
});
