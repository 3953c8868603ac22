import { describe, expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { concat, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/protocol/canonical.ts';
import { encodeShapes, preamble, shapesOf, varint } from '../../src/pulse/format.ts';
import {
  applyPatch,
  decodeAnchor,
  encodeAnchor,
  encodePatch,
  inspectPatch,
  mergePatches,
} from '../../src/pulse/index.ts';
import { IntegerModel } from '../../src/pulse/integers.ts';
import { BitModel, encodeCanonical } from '../../src/pulse/range-coder.ts';
import { codeChanges, codeValues, type TensorChanges, type TensorShape } from '../../src/pulse/tensors.ts';
import { codeOf, denseArchitecture, randomPolicy, randomUpdate, seededRandom } from '../support/pulse.ts';

const random = seededRandom(7);
const architecture = denseArchitecture([3, 5, 2]);
const base = randomPolicy(architecture, random);
const target = randomUpdate(base, random, 300);
const baseRoot = policyRoot(base);
const targetRoot = policyRoot(target);
const patch = encodePatch({ base, target, baseRoot, targetRoot });
const BASE_AT = 6;
const TARGET_AT = 38;
const SHAPES_AT = 70;

/** What a byte is changed by: each bit, and all of them; every value in a long run. */
const flips = process.env.GRAIL_LONG
  ? Array.from({ length: 255 }, (_, i) => i + 1)
  : [1, 2, 4, 8, 16, 32, 64, 128, 255];

/** A patch put together by hand: its header is right, its body says `changes`. */
function forge(
  changes: TensorChanges[],
  shapes: readonly TensorShape[] = shapesOf(architecture),
): Uint8Array {
  const body = encodeCanonical(changes, (coder, value) => codeChanges(coder, shapes, value));
  return concat(preamble(1), baseRoot, targetRoot, encodeShapes(shapes), body);
}
const nothing: TensorChanges = { positions: [], deltas: [] };

describe('a patch', () => {
  test('between equal policies is a header and no code', () => {
    const same = encodePatch({ base, target: base, baseRoot, targetRoot: baseRoot });
    expect(same.length).toBeLessThanOrEqual(SHAPES_AT + 1 + 2 * (3 + 2) + 1);
    expect(tensorBytes(applyPatch(base, baseRoot, same))).toEqual(tensorBytes(base));
  });

  test('says without its base what it changes', () => {
    const summary = inspectPatch(patch);
    const changed = summary.tensors.map((tensor) => tensor.changed);
    const differs = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      Array.from(a).filter((value, i) => value !== b[i]).length;
    expect(changed).toEqual(
      base.layers.flatMap(({ weight, bias }, i) => [
        differs(weight, target.layers[i]!.weight),
        differs(bias, target.layers[i]!.bias),
      ]),
    );
    expect(summary.patchBytes).toBe(patch.length);
    expect(summary.tensors.map(({ shape }) => shape)).toEqual(shapesOf(architecture));
  });

  test('is refused for policies that break the exact policy’s rules', async () => {
    const bad: Policy = {
      architecture,
      layers: base.layers.map((layer, i) =>
        i === 0 ? { ...layer, weight: layer.weight.map(() => -128) } : layer,
      ),
    };
    expect(await codeOf(() => encodePatch({ base, target: bad, baseRoot, targetRoot }))).toBe(
      'POLICY_INVALID',
    );
  });

  test('is refused between two architectures', async () => {
    const other = randomPolicy(denseArchitecture([3, 5, 2], 1000), random);
    expect(await codeOf(() => encodePatch({ base, target: other, baseRoot, targetRoot }))).toBe(
      'POLICY_INVALID',
    );
  });
});

describe('an altered patch', () => {
  test('never gives a policy, whichever byte is changed', async () => {
    for (let at = 0; at < patch.length; at++) {
      const allowed =
        at < BASE_AT
          ? ['PATCH_FORMAT']
          : at < TARGET_AT
            ? ['PATCH_BASE_MISMATCH']
            : at < SHAPES_AT
              ? ['PATCH_TARGET_MISMATCH']
              : ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'];
      for (const flip of flips) {
        const altered = patch.with(at, patch[at]! ^ flip);
        expect(allowed, `byte ${at} ^ ${flip}`).toContain(
          await codeOf(() => applyPatch(base, baseRoot, altered)),
        );
      }
    }
  });

  test('is a format error at every shorter length', async () => {
    for (let length = 0; length < patch.length; length++) {
      const code = await codeOf(() => applyPatch(base, baseRoot, patch.subarray(0, length)));
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'], `length ${length}`).toContain(code);
      if (length < SHAPES_AT + 11) expect(code, `length ${length}`).toBe('PATCH_FORMAT');
    }
  });

  test('is refused with any byte after its end, a zero too', async () => {
    for (let byte = 0; byte < 256; byte++) {
      const code = await codeOf(() => applyPatch(base, baseRoot, Uint8Array.of(...patch, byte)));
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'], `byte ${byte}`).toContain(code);
    }
    const padded = concat(patch, new Uint8Array(9));
    await expect(async () => applyPatch(base, baseRoot, padded)).rejects.toMatchObject({
      code: 'PATCH_FORMAT',
      message: 'bytes follow the end of the code',
    });
  });

  test('leaves the base as it was', async () => {
    const before = tensorBytes(base);
    const wrong = forge([{ positions: [0], deltas: [1] }, nothing, nothing, nothing]);
    expect(await codeOf(() => applyPatch(base, baseRoot, wrong))).toBe('PATCH_TARGET_MISMATCH');
    expect(tensorBytes(base)).toEqual(before);
    expect(tensorBytes(applyPatch(base, baseRoot, patch))).toEqual(tensorBytes(target));
  });
});

describe('a patch is refused', () => {
  test('on another base', async () => {
    expect(await codeOf(() => applyPatch(target, targetRoot, patch))).toBe('PATCH_BASE_MISMATCH');
  });

  test('on another base that claims the right root', async () => {
    expect(await codeOf(() => applyPatch(target, baseRoot, patch))).toBe('PATCH_TARGET_MISMATCH');
  });

  test('when the ledger promises another target', async () => {
    expect(await codeOf(() => applyPatch(base, baseRoot, patch, baseRoot))).toBe('PATCH_TARGET_MISMATCH');
  });

  test('when its shapes are not the architecture’s', async () => {
    const shapes = shapesOf(architecture).with(0, { dtype: 'int8', dims: [3, 5] });
    expect(
      await codeOf(() => applyPatch(base, baseRoot, forge([nothing, nothing, nothing, nothing], shapes))),
    ).toBe('PATCH_FORMAT');
  });

  test('when a shape is not written in its shortest form', async () => {
    const long = concat(
      patch.subarray(0, SHAPES_AT + 2),
      Uint8Array.of(0x85, 0),
      patch.subarray(SHAPES_AT + 3),
    );
    expect(await codeOf(() => applyPatch(base, baseRoot, long))).toBe('PATCH_FORMAT');
  });

  test('when it says that more elements changed than there are', async () => {
    // Fifteen weights: the count takes four bits, so sixteen can be written.
    const body = encodeCanonical([1, 15], (coder, value) => {
      coder.bit(new BitModel(1), 0, 1);
      coder.direct(4, 15);
      return value!;
    });
    const bytes = concat(patch.subarray(0, SHAPES_AT + 11), body);
    await expect(async () => applyPatch(base, baseRoot, bytes)).rejects.toMatchObject({
      code: 'PATCH_FORMAT',
      details: { got: 16 },
    });
  });

  test('when it would make a weight −128', async () => {
    const delta = -128 - base.layers[0]!.weight[0]!;
    const changes = [{ positions: [0], deltas: [delta] }, nothing, nothing, nothing];
    expect(await codeOf(() => applyPatch(base, baseRoot, forge(changes)))).toBe('PATCH_FORMAT');
  });

  test('when it would push a bias past biasMax', async () => {
    const changes = [
      nothing,
      { positions: [0], deltas: [65_537 - base.layers[0]!.bias[0]!] },
      nothing,
      nothing,
    ];
    expect(await codeOf(() => applyPatch(base, baseRoot, forge(changes)))).toBe('PATCH_FORMAT');
  });

  test('when it is an anchor', async () => {
    expect(await codeOf(() => applyPatch(base, baseRoot, encodeAnchor(base)))).toBe('PATCH_FORMAT');
  });
});

describe('a forged patch of enormous tensors', () => {
  const shapes: TensorShape[] = Array.from({ length: 32 }, () => ({ dtype: 'int8', dims: [4096, 1024] }));
  const header = concat(preamble(1), baseRoot, targetRoot, encodeShapes(shapes));

  test('fails when its few bytes end, before it has made what it claims', async () => {
    for (const byte of [0x80, 0xc0, 0xff]) {
      const bomb = concat(header, new Uint8Array(64).fill(byte));
      expect(await codeOf(() => inspectPatch(bomb))).toBe('PATCH_FORMAT');
    }
  });

  test('is refused before its code is read when the receiver’s architecture is smaller', async () => {
    expect(await codeOf(() => applyPatch(base, baseRoot, concat(header, new Uint8Array(64))))).toBe(
      'PATCH_FORMAT',
    );
  });

  test('is refused when a size or count is beyond every architecture', async () => {
    const sizes: TensorShape[][] = [
      [{ dtype: 'int8', dims: [4096, 1025] }],
      [{ dtype: 'int8', dims: [0] }],
      [{ dtype: 'int8', dims: [2 ** 27, 2 ** 27, 2 ** 27, 2 ** 27] }],
      Array.from({ length: 33 }, () => ({ dtype: 'int8' as const, dims: [1] })),
    ];
    for (const forged of sizes) {
      const bytes = concat(preamble(1), baseRoot, targetRoot, encodeShapes(forged));
      expect(await codeOf(() => inspectPatch(bytes))).toBe('PATCH_FORMAT');
    }
  });
});

describe('merging', () => {
  test('refuses patches that do not follow each other', async () => {
    expect(await codeOf(() => mergePatches([patch, patch]))).toBe('PATCH_BASE_MISMATCH');
  });
});

describe('an anchor', () => {
  const anchor = encodeAnchor(base);

  test('never gives a policy once a byte is changed, whichever it is', async () => {
    for (let at = 0; at < anchor.length; at++) {
      const inRoot = at >= 6 && at < 38;
      for (const flip of flips) {
        const code = await codeOf(() => decodeAnchor(anchor.with(at, anchor[at]! ^ flip)));
        const allowed = inRoot ? ['PATCH_TARGET_MISMATCH'] : ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'];
        expect(allowed, `byte ${at} ^ ${flip}`).toContain(code);
      }
    }
  });

  test('is refused at every shorter length and with a byte after its end', async () => {
    for (let length = 0; length < anchor.length; length++) {
      const code = await codeOf(() => decodeAnchor(anchor.subarray(0, length)));
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'], `length ${length}`).toContain(code);
    }
    for (let byte = 0; byte < 256; byte++) {
      const code = await codeOf(() => decodeAnchor(Uint8Array.of(...anchor, byte)));
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'], `byte ${byte}`).toContain(code);
    }
  });

  test('is refused when the ledger promises another root', async () => {
    expect(await codeOf(() => decodeAnchor(anchor, targetRoot))).toBe('PATCH_TARGET_MISMATCH');
  });

  test('of another architecture than genesis’s is refused', async () => {
    const other = denseArchitecture([3, 6, 2]);
    expect(await codeOf(() => decodeAnchor(anchor, baseRoot, other))).toBe('PATCH_FORMAT');
  });

  test('whose architecture is not canonical JSON of a sound architecture is refused', async () => {
    const canonical = canonicalText(architecture);
    const forged: [string, RegExp][] = [
      [canonical.replace('{', '{ '), /not canonical/],
      [canonical.replace('"actions":2', '"actions":2.0'), /not canonical/],
      [canonical.replace('"actions":2', '"actions":3,"actions":2'), /not canonical/],
      [canonical.replace('"actions":2', '"actions":3'), /invalid/],
      [canonical.replace('"shift":5', '"shift":18'), /invalid/],
      ['null', /invalid/],
      ['{', /not JSON/],
      ['', /not JSON/],
    ];
    const body = anchor.subarray(38 + 2 + utf8(canonical).length);
    const assembled = (text: string) =>
      concat(preamble(2), baseRoot, varint(utf8(text).length), utf8(text), body);
    expect(assembled(canonical)).toEqual(anchor);
    for (const [text, message] of forged) {
      const run = async () => decodeAnchor(assembled(text));
      await expect(run).rejects.toThrow(message);
      expect(await codeOf(run)).toBe('PATCH_FORMAT');
    }
  });

  test('that holds a bias beyond its type is refused before the value is stored', async () => {
    const shape = shapesOf(architecture)[0]!;
    const body = encodeCanonical([base.layers[0]!.weight], (coder, value) => {
      codeValues(coder, [shape], value);
      coder.direct(5, 20);
      new IntegerModel(131_073).code(coder, 2);
      return value!;
    });
    const bytes = concat(anchor.subarray(0, 40 + canonicalBytes(architecture).length), body);
    await expect(async () => decodeAnchor(bytes)).rejects.toMatchObject({
      code: 'PATCH_FORMAT',
      details: { got: 2 ** 20 },
    });
  });

  test('of the largest layers with hardly any code fails when its bytes end', async () => {
    const json = canonicalBytes(denseArchitecture(new Array(17).fill(1024)));
    const bytes = concat(preamble(2), baseRoot, varint(json.length), json, new Uint8Array(16).fill(0x5a));
    await expect(async () => decodeAnchor(bytes)).rejects.toThrow(/end before the code/);
  });
});
