import { describe, expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { concat } from '../../src/protocol/bytes.ts';
import { encodeHeader } from '../../src/pulse/format.ts';
import {
  applyPolicyPatch,
  byteSource,
  encodePolicyAnchor,
  encodePolicyPatch,
  MemoryTensors,
  mergePolicyPatches,
  readHeader,
} from '../../src/pulse/index.ts';
import { specsOf, tensorsOf } from '../../src/pulse/policy.ts';
import {
  codeOf,
  denseArchitecture,
  patchOf,
  randomPolicy,
  randomUpdate,
  seededRandom,
} from '../support/pulse.ts';

const random = seededRandom(7);
const architecture = denseArchitecture([3, 5, 2]);
const base = randomPolicy(architecture, random);
const target = randomUpdate(base, random, 300);
const baseRoot = policyRoot(base);
const targetRoot = policyRoot(target);
const patch = encodePolicyPatch({ base, target, baseRoot, targetRoot });
const FLAGS_AT = 6;
const BASE_AT = 7;
const TARGET_AT = 39;
const SPECS_AT = 71;
const BODY_AT = SPECS_AT + 11;

/** What a byte is changed by: each bit, and all of them; every value in a long run. */
const flips = process.env.GRAIL_LONG
  ? Array.from({ length: 255 }, (_, i) => i + 1)
  : [1, 2, 4, 8, 16, 32, 64, 128, 255];

const apply = (bytes: Uint8Array, expected?: Uint8Array) =>
  codeOf(() => applyPolicyPatch(base, baseRoot, bytes, expected));

/** A sound patch to tensors that no policy has, or under another root than theirs. */
function forge(change: (tensors: MemoryTensors) => void, root = targetRoot): Uint8Array {
  const from = tensorsOf(base);
  const to = from.clone();
  change(to);
  return patchOf({ base: from, target: to, roots: { base: baseRoot, target: root } }).patch;
}

describe('a patch', () => {
  test('between equal policies is a header and hardly any code', () => {
    const same = encodePolicyPatch({ base, target: base, baseRoot, targetRoot: baseRoot });
    expect(same.length).toBeLessThanOrEqual(BODY_AT + 1);
    expect(tensorBytes(applyPolicyPatch(base, baseRoot, same))).toEqual(tensorBytes(base));
  });

  test('says what it is between, without its base', () => {
    const header = readHeader(byteSource(patch));
    expect(header).toMatchObject({ kind: 'patch', rooted: true, overwrite: false, keepsHistory: false });
    expect(header.specs).toEqual(specsOf(architecture));
    expect(header.headerBytes).toBe(BODY_AT);
  });

  test('shares no memory with its base, changed or not', () => {
    const same = encodePolicyPatch({ base, target: base, baseRoot, targetRoot: baseRoot });
    for (const bytes of [patch, same]) {
      const { layers } = applyPolicyPatch(base, baseRoot, bytes);
      for (const [i, { weight, bias }] of layers.entries()) {
        expect(weight.buffer).not.toBe(base.layers[i]!.weight.buffer);
        expect(bias.buffer).not.toBe(base.layers[i]!.bias.buffer);
      }
    }
  });

  test('is refused for policies that break the exact policy’s rules, on either side', async () => {
    const bad: Policy = {
      architecture,
      layers: base.layers.map((layer, i) =>
        i === 0 ? { ...layer, weight: layer.weight.map(() => -128) } : layer,
      ),
    };
    const code = (ends: { base: Policy; target: Policy }) =>
      codeOf(() => encodePolicyPatch({ ...ends, baseRoot, targetRoot }));
    expect(await code({ base, target: bad })).toBe('POLICY_INVALID');
    expect(await code({ base: bad, target })).toBe('POLICY_INVALID');
  });

  test('is refused between two architectures', async () => {
    const other = randomPolicy(denseArchitecture([3, 5, 2], 1000), random);
    const encode = () => encodePolicyPatch({ base, target: other, baseRoot, targetRoot });
    expect(await codeOf(encode)).toBe('POLICY_INVALID');
  });

  test('is not made with roots of another length', () => {
    const short = targetRoot.subarray(1);
    expect(() => encodePolicyPatch({ base, target, baseRoot, targetRoot: short })).toThrow(RangeError);
    expect(() => encodePolicyPatch({ base, target, baseRoot: short, targetRoot })).toThrow(RangeError);
  });
});

describe('an altered patch', () => {
  test('never gives a policy, whichever byte is changed', async () => {
    const seen = new Map<string, Set<string>>();
    for (let at = 0; at < patch.length; at++) {
      const [region, allowed] =
        at < BASE_AT
          ? ['front', ['PATCH_FORMAT']]
          : at < TARGET_AT
            ? ['base', ['PATCH_BASE_MISMATCH']]
            : at < SPECS_AT
              ? ['target', ['PATCH_TARGET_MISMATCH']]
              : at < BODY_AT
                ? ['tensors', ['PATCH_FORMAT', 'PATCH_BASE_MISMATCH']]
                : ['code', ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH']];
      for (const flip of flips) {
        const code = await apply(patch.with(at, patch[at]! ^ flip));
        expect(allowed, `byte ${at} ^ ${flip}`).toContain(code);
        seen.set(region as string, (seen.get(region as string) ?? new Set()).add(code));
      }
    }
    expect([...(seen.get('tensors') ?? [])].sort()).toEqual(['PATCH_BASE_MISMATCH', 'PATCH_FORMAT']);
    expect(seen.get('code')).toContain('PATCH_FORMAT');
  });

  test('is refused at every shorter length, as a format error in front of the code', async () => {
    for (let length = 0; length < patch.length; length++) {
      const code = await apply(patch.subarray(0, length));
      const allowed = length < BODY_AT ? ['PATCH_FORMAT'] : ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'];
      expect(allowed, `length ${length}`).toContain(code);
    }
  });

  test('is refused with any byte after its end, a zero too', async () => {
    for (let byte = 0; byte < 256; byte++) {
      const code = await apply(Uint8Array.of(...patch, byte));
      // With another byte it may be the code of another policy.
      const allowed = byte === 0 ? ['PATCH_FORMAT'] : ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'];
      expect(allowed, `byte ${byte}`).toContain(code);
    }
    expect(await apply(concat(patch, new Uint8Array(9)))).toBe('PATCH_FORMAT');
  });

  test('is refused with any other flags', async () => {
    for (let flags = 0; flags < 256; flags++) {
      const code = await apply(patch.with(FLAGS_AT, flags));
      expect(code, `flags ${flags}`).toBe(flags === 4 ? 'none' : 'PATCH_FORMAT');
    }
  });

  test('is refused as one that starts a history, though its code would be the same', async () => {
    const withHistory = concat(
      patch.subarray(0, FLAGS_AT),
      Uint8Array.of(6),
      patch.subarray(BASE_AT, SPECS_AT),
      new Uint8Array(9),
      patch.subarray(SPECS_AT),
    );
    expect(await apply(withHistory)).toBe('PATCH_FORMAT');
  });

  test('leaves the base as it was', async () => {
    const before = tensorBytes(base);
    const wrong = forge(({ arrays }) => {
      arrays[0]![0]! += 1;
    });
    expect(await apply(wrong)).toBe('PATCH_TARGET_MISMATCH');
    expect(tensorBytes(base)).toEqual(before);
    expect(tensorBytes(applyPolicyPatch(base, baseRoot, patch))).toEqual(tensorBytes(target));
  });
});

describe('a patch is refused', () => {
  test('on another base', async () => {
    expect(await codeOf(() => applyPolicyPatch(target, targetRoot, patch))).toBe('PATCH_BASE_MISMATCH');
  });

  test('on another base that claims the right root', async () => {
    const code = await codeOf(() => applyPolicyPatch(target, baseRoot, patch));
    expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH']).toContain(code);
  });

  test('when the ledger promises another target', async () => {
    expect(await apply(patch, targetRoot)).toBe('none');
    expect(await apply(patch, baseRoot)).toBe('PATCH_TARGET_MISMATCH');
  });

  test('when its tensors are not the architecture’s', async () => {
    const shapes = specsOf(architecture);
    const others = [
      shapes.slice(1),
      [...shapes, shapes[0]!],
      shapes.with(0, { ...shapes[0]!, shape: [3, 5] }),
      shapes.with(0, { ...shapes[0]!, shape: [15] }),
      shapes.with(1, { ...shapes[1]!, dtype: 'f32' }),
    ];
    for (const specs of others) {
      const empty = new MemoryTensors(specs);
      const roots = { base: baseRoot, target: targetRoot };
      const { patch: other } = patchOf({ base: empty, target: empty, roots });
      expect(await apply(other)).toBe('PATCH_BASE_MISMATCH');
    }
  });

  test('when it would make a weight −128', async () => {
    const forged = forge(({ arrays }) => {
      arrays[0]![4] = 0x80;
    });
    await expect(async () => applyPolicyPatch(base, baseRoot, forged)).rejects.toMatchObject({
      code: 'PATCH_FORMAT',
      cause: { code: 'POLICY_INVALID', details: { tensor: 'weight', got: -128 } },
    });
  });

  test.each([65_537, -65_537, 2 ** 31 - 1, -(2 ** 31)])('when it would make a bias %i', async (bias) => {
    const forged = forge(({ arrays }) => {
      new DataView(arrays[1]!.buffer).setInt32(4, bias, true);
    });
    await expect(async () => applyPolicyPatch(base, baseRoot, forged)).rejects.toMatchObject({
      code: 'PATCH_FORMAT',
      cause: { code: 'POLICY_INVALID', details: { tensor: 'bias', got: bias } },
    });
  });

  test('when it is between tensors with names, whatever their ids', async () => {
    const from = tensorsOf(base);
    expect(await apply(patchOf({ base: from, target: tensorsOf(target) }).patch)).toBe('PATCH_FORMAT');
    const header = encodeHeader({ kind: 'patch', baseId: baseRoot, targetId: targetRoot, specs: from.specs });
    expect(await apply(concat(header, patch.subarray(BODY_AT)))).toBe('PATCH_FORMAT');
  });

  test('when it is an anchor', async () => {
    await expect(async () =>
      applyPolicyPatch(base, baseRoot, encodePolicyAnchor(base)),
    ).rejects.toMatchObject({ code: 'PATCH_FORMAT', message: /this is an anchor/ });
  });
});

describe('merging', () => {
  const third = randomUpdate(target, random, 300);
  const second = encodePolicyPatch({
    base: target,
    target: third,
    baseRoot: targetRoot,
    targetRoot: policyRoot(third),
  });

  test('gives the patch from the first to the last', () => {
    const direct = encodePolicyPatch({ base, target: third, baseRoot, targetRoot: policyRoot(third) });
    expect(mergePolicyPatches(base, baseRoot, [patch, second])).toEqual(direct);
    expect(mergePolicyPatches(base, baseRoot, [patch])).toEqual(patch);
  });

  test('refuses patches that do not follow each other', async () => {
    const merge = (patches: Uint8Array[]) => codeOf(() => mergePolicyPatches(base, baseRoot, patches));
    expect(await merge([patch, patch])).toBe('PATCH_BASE_MISMATCH');
    expect(await merge([second, patch])).toBe('PATCH_BASE_MISMATCH');
    expect(await merge([second])).toBe('PATCH_BASE_MISMATCH');
  });
});
