import { describe, expect, test } from 'vitest';
import type { Architecture, Policy } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { concat, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/protocol/canonical.ts';
import { encodeHeader } from '../../src/pulse/format.ts';
import {
  decodePolicyAnchor,
  encodeAnchor,
  encodePolicyAnchor,
  encodePolicyPatch,
  type MemoryTensors,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import { specsOf, tensorsOf } from '../../src/pulse/policy.ts';
import { anchorOf, codeOf, denseArchitecture, randomPolicy, seededRandom } from '../support/pulse.ts';

const architecture = denseArchitecture([3, 5, 2]);
const policy = randomPolicy(architecture, seededRandom(7));
const root = policyRoot(policy);
const anchor = encodePolicyAnchor(policy);
const ROOT_AT = 7;
const META_AT = 39;
const flips = process.env.GRAIL_LONG
  ? Array.from({ length: 255 }, (_, i) => i + 1)
  : [1, 2, 4, 8, 16, 32, 64, 128, 255];

const decode = (bytes: Uint8Array) => codeOf(() => decodePolicyAnchor(bytes));

function anchorOfTensors(target: MemoryTensors, meta: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  const { header } = encodeAnchor({ target, root, meta, write: (chunk) => chunks.push(chunk.slice()) });
  return concat(header, ...chunks);
}

/** The anchor with another text for its architecture. */
function withText(text: string, specs: readonly TensorSpec[] = specsOf(architecture)): Uint8Array {
  const own = encodeHeader({
    ...{ kind: 'anchor', rooted: true, baseId: null, targetId: root },
    ...{ meta: canonicalBytes(architecture), specs: specsOf(architecture) },
  });
  const header = encodeHeader({
    ...{ kind: 'anchor', rooted: true, baseId: null, targetId: root },
    ...{ meta: utf8(text), specs },
  });
  return concat(header, anchor.subarray(own.length));
}

describe('a policy’s anchor', () => {
  test.each<[string, (a: Architecture) => Policy]>([
    ['of noise', (a) => randomPolicy(a, seededRandom(8), 127)],
    [
      'of zeros, which take hardly any code',
      (a) => ({
        architecture: a,
        layers: a.layers.map((_, i) => ({
          weight: new Int8Array(tensorsOf(randomPolicy(a, seededRandom(1))).arrays[2 * i]!.length),
          bias: new Int32Array(randomPolicy(a, seededRandom(1)).layers[i]!.bias.length),
        })),
      }),
    ],
  ])('gives back policies of every size: %s', (_, make) => {
    for (const widths of [
      [1, 2],
      [3, 5, 2],
      [64, 256, 256, 16],
      [300, 300, 4],
    ]) {
      const made = make(denseArchitecture(widths));
      const decoded = decodePolicyAnchor(encodePolicyAnchor(made), policyRoot(made), made.architecture);
      expect(decoded.architecture).toEqual(made.architecture);
      expect(tensorBytes(decoded)).toEqual(tensorBytes(made));
    }
  });

  test('never gives a policy once a byte is changed, whichever it is', async () => {
    for (let at = 0; at < anchor.length; at++) {
      const inRoot = at >= ROOT_AT && at < META_AT;
      for (const flip of flips) {
        const code = await decode(anchor.with(at, anchor[at]! ^ flip));
        const allowed = inRoot
          ? ['PATCH_TARGET_MISMATCH']
          : at < ROOT_AT
            ? ['PATCH_FORMAT']
            : ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'];
        expect(allowed, `byte ${at} ^ ${flip}`).toContain(code);
      }
    }
  });

  test('is refused at every shorter length and with any byte after its end', async () => {
    for (let length = 0; length < anchor.length; length++) {
      const code = await decode(anchor.subarray(0, length));
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'], `length ${length}`).toContain(code);
    }
    for (let byte = 0; byte < 256; byte++) {
      const code = await decode(Uint8Array.of(...anchor, byte));
      // With another byte it may be the code of another policy.
      const allowed = byte === 0 ? ['PATCH_FORMAT'] : ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'];
      expect(allowed, `byte ${byte}`).toContain(code);
    }
  });

  test('is refused with any other flags', async () => {
    for (let flags = 0; flags < 256; flags++) {
      const code = await decode(anchor.with(6, flags));
      expect(code, `flags ${flags}`).toBe(flags === 4 ? 'none' : 'PATCH_FORMAT');
    }
  });

  test('is refused when the ledger promises another root', async () => {
    const other = root.with(0, root[0]! ^ 1);
    expect(await codeOf(() => decodePolicyAnchor(anchor, other))).toBe('PATCH_TARGET_MISMATCH');
  });

  test('of another architecture than genesis’s is refused, even of one with the same tensors', async () => {
    for (const other of [denseArchitecture([3, 6, 2]), denseArchitecture([3, 5, 2], 1000)]) {
      await expect(async () => decodePolicyAnchor(anchor, root, other)).rejects.toMatchObject({
        code: 'PATCH_FORMAT',
        message: /another architecture/,
      });
    }
  });

  test('is refused when it is a patch, or an anchor of named tensors', async () => {
    const patch = encodePolicyPatch({ base: policy, target: policy, baseRoot: root, targetRoot: root });
    expect(await decode(patch)).toBe('PATCH_FORMAT');
    expect(await decode(anchorOf(tensorsOf(policy)))).toBe('PATCH_FORMAT');
  });

  test('is not made of a policy that breaks the exact policy’s rules', async () => {
    const layers = policy.layers.with(0, { ...policy.layers[0]!, weight: new Int8Array(15).fill(-128) });
    expect(await codeOf(() => encodePolicyAnchor({ architecture, layers }))).toBe('POLICY_INVALID');
  });
});

const canonical = canonicalText(architecture);

test('the test’s own anchors are those of the codec', () => {
  expect(withText(canonical)).toEqual(anchor);
});

test.each<[string, string, RegExp]>([
  ['with a space', canonical.replace('{', '{ '), /not canonical/],
  ['with a space after it', `${canonical} `, /not canonical/],
  ['with a byte order mark', `\ufeff${canonical}`, /not JSON/],
  ['with a number in another form', canonical.replace('"actions":2', '"actions":2.0'), /not canonical/],
  ['with a key twice', canonical.replace('"actions":2', '"actions":3,"actions":2'), /not canonical/],
  ['with a key escaped', canonical.replace('"actions"', '"\\u0061ctions"'), /not canonical/],
  ['with a key too many', canonical.replace('{', '{"a":1,'), /invalid/],
  ['that contradicts itself', canonical.replace('"actions":2', '"actions":3'), /invalid/],
  ['out of range', canonical.replace('"shift":5', '"shift":18'), /invalid/],
  ['of null', 'null', /invalid/],
  ['that is cut', '{', /not JSON/],
  ['of nothing', '', /not JSON/],
])('an anchor with an architecture %s is refused', async (_, text, message) => {
  expect(text).not.toBe(canonical);
  await expect(async () => decodePolicyAnchor(withText(text))).rejects.toMatchObject({
    code: 'PATCH_FORMAT',
    message,
  });
});

test('an anchor with an architecture that is not UTF-8 is refused', async () => {
  const at = META_AT + 1 + canonical.indexOf('dense');
  await expect(async () => decodePolicyAnchor(anchor.with(at, 0xff))).rejects.toThrow(/not JSON/);
});

test('an anchor whose tensors are not those of its architecture is refused', async () => {
  const own = specsOf(architecture);
  const others = [
    own.slice(0, 3),
    [...own, own[3]!],
    own.with(0, { ...own[0]!, shape: [3, 5] }),
    own.with(1, { ...own[1]!, dtype: 'f32' }),
  ];
  for (const specs of others) {
    await expect(async () => decodePolicyAnchor(withText(canonical, specs))).rejects.toMatchObject({
      code: 'PATCH_FORMAT',
      message: /not those of its architecture/,
    });
  }
});

test.each<[string, number, number, number]>([
  ['a weight of −128', 0, 3, -128],
  ['a bias just above biasMax', 1, 2, 65_537],
  ['a bias just below −biasMax', 1, 0, -65_537],
  ['the least bias of its type', 3, 1, -(2 ** 31)],
])('an anchor with %s is refused', async (_, tensor, at, value) => {
  const tensors = tensorsOf(policy).clone();
  const view = new DataView(tensors.arrays[tensor]!.buffer);
  if (tensor === 0) view.setInt8(at, value);
  else view.setInt32(4 * at, value, true);
  const forged = anchorOfTensors(tensors, canonicalBytes(architecture));
  await expect(async () => decodePolicyAnchor(forged)).rejects.toMatchObject({
    code: 'PATCH_FORMAT',
    cause: { code: 'POLICY_INVALID', details: { got: value } },
  });
});

test('an anchor that claims the largest layers with hardly any code is refused before they are made', async () => {
  const large = denseArchitecture(new Array(17).fill(1024));
  const header = encodeHeader({
    ...{ kind: 'anchor', rooted: true, baseId: null, targetId: root },
    ...{ meta: canonicalBytes(large), specs: specsOf(large) },
  });
  await expect(async () =>
    decodePolicyAnchor(concat(header, new Uint8Array(16).fill(0x5a))),
  ).rejects.toMatchObject({ code: 'PATCH_FORMAT', message: /too short/ });
});
