import { describe, expect, test } from 'vitest';
import { concat, equalBytes, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { encodeHeader } from '../../src/pulse/format.ts';
import {
  byteSource,
  type Dtype,
  decodeAnchor,
  MemoryTensors,
  readHeader,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import {
  anchored,
  anchorOf,
  codeOf,
  DTYPES,
  randomTensors,
  SPECIALS,
  sameTensors,
  seededRandom,
  tensorsOf,
  vectorOf,
} from '../support/pulse.ts';

function expectRoundTrip(target: MemoryTensors): Uint8Array {
  const anchor = anchorOf(target);
  expect(sameTensors(anchored(anchor), target)).toBe(true);
  expect(readHeader(byteSource(anchor)).targetId).toBe(toHex(stateId(target)));
  return anchor;
}

describe.each(DTYPES)('anchors of %s', (dtype) => {
  test('give back special values, each alone and all together', () => {
    expectRoundTrip(vectorOf(dtype, SPECIALS[dtype]));
    for (const value of SPECIALS[dtype]) {
      expectRoundTrip(vectorOf(dtype, [value]));
      expectRoundTrip(vectorOf(dtype, new Array(100).fill(value)));
    }
  });

  test.each([
    [[]],
    [[0]],
    [[1]],
    [[15]],
    [[16]],
    [[17]],
    [[511]],
    [[513]],
    [[0, 5]],
    [[65_536]],
    [[65_537]],
    [[3, 43_691]],
  ])('give back the shape %j', (shape) => {
    const random = seededRandom(41);
    const specs: TensorSpec[] = [{ name: 'w', dtype, shape }];
    expectRoundTrip(randomTensors(specs, random));
    expectRoundTrip(tensorsOf(specs, () => random(2 ** 31) * 2 + random(2)));
    expectRoundTrip(new MemoryTensors(specs));
  });

  test('of values that all are alike take next to nothing, and of noise hardly more than it does', () => {
    const random = seededRandom(42);
    const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [200_000] }];
    const noise = tensorsOf(specs, () => random(2 ** 31) * 2 + random(2));
    const size = noise.arrays[0]!.length;
    expect(expectRoundTrip(noise).length).toBeLessThan(1.01 * size + 2000);
    const zeros = { int8: 0.02, int32: 0.02, bf16: 0.52, f16: 0.52, f32: 0.52 }[dtype];
    expect(expectRoundTrip(new MemoryTensors(specs)).length).toBeLessThan(zeros * size);
  });

  test('are deterministic, and no two states share one', () => {
    const random = seededRandom(43);
    const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [40] }];
    const states = Array.from({ length: 50 }, () => randomTensors(specs, random));
    const anchors = states.map(anchorOf);
    expect(new Set(anchors.map(toHex)).size).toBe(50);
    expect(states.map(anchorOf).every((anchor, i) => equalBytes(anchor, anchors[i]!))).toBe(true);
  });

  test('are refused when any byte is changed, at every shorter length and with any byte after the end', async () => {
    const random = seededRandom(44);
    const anchor = anchorOf(randomTensors([{ name: 'w', dtype, shape: [3, 9] }], random));
    const codes = ['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH', 'TOO_LARGE'];
    const maxBytes = 1_000_000;
    const code = (bytes: Uint8Array) =>
      codeOf(() => anchored(bytes, { anchor: byteSource(bytes), maxBytes }));
    expect(await code(anchor)).toBe('none');
    for (let at = 0; at < anchor.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const got = await code(anchor.with(at, anchor[at]! ^ (1 << bit)));
        expect(at >= 7 && at < 39 ? ['PATCH_TARGET_MISMATCH'] : codes, `byte ${at}, bit ${bit}`).toContain(
          got,
        );
      }
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH'], `length ${at}`).toContain(
        await code(anchor.subarray(0, at)),
      );
    }
    for (let byte = 0; byte < 256; byte++) {
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH']).toContain(await code(Uint8Array.of(...anchor, byte)));
    }
  });
});

test('an anchor of mixed types, small and large, in any order', () => {
  const random = seededRandom(45);
  const specs = Array.from({ length: 40 }, (_, i): TensorSpec => {
    const dtype: Dtype = DTYPES[random(5)]!;
    return { name: `t${i}`, dtype, shape: [i === 20 ? 70_000 : random(300)] };
  });
  expectRoundTrip(randomTensors(specs, random));
});

test('an anchor of Gaussian bf16 weights takes at most 0.70 of their bytes', () => {
  const random = seededRandom(46);
  const view = new DataView(new ArrayBuffer(4));
  const gaussian = () => {
    const radius = Math.sqrt(-2 * Math.log((random(2 ** 31) + 1) / 2 ** 31));
    view.setFloat32(0, 0.02 * radius * Math.cos((2 * Math.PI * random(2 ** 31)) / 2 ** 31));
    return view.getUint16(0);
  };
  const target = tensorsOf([{ name: 'w', dtype: 'bf16', shape: [512, 1024] }], gaussian);
  expect(expectRoundTrip(target).length).toBeLessThan(0.7 * target.arrays[0]!.length);
});

test('what else a reader needs comes back as it was', () => {
  const meta = Uint8Array.of(1, 2, 3);
  const specs: TensorSpec[] = [{ name: 'w', dtype: 'int8', shape: [1] }];
  const header = encodeHeader({ kind: 'anchor', baseId: null, targetId: new Uint8Array(32), meta, specs });
  expect(readHeader(byteSource(header)).meta).toEqual(meta);
});

describe('an anchor that claims more than it holds', () => {
  const bomb = (specs: readonly TensorSpec[], fill = 0x5a) =>
    concat(
      encodeHeader({ kind: 'anchor', baseId: null, targetId: new Uint8Array(32), specs }),
      new Uint8Array(64).fill(fill),
    );
  const nowhere = { write() {} };
  const read = (bytes: Uint8Array, maxBytes?: number) =>
    codeOf(() => decodeAnchor({ anchor: byteSource(bytes), sinkFor: () => nowhere, maxBytes }));

  test('is too large when it would pass what is allowed, before a sink is asked for', async () => {
    const specs: TensorSpec[] = [
      { name: 'a', dtype: 'f32', shape: [1000] },
      { name: 'b', dtype: 'int8', shape: [1] },
    ];
    let asked = false;
    const run = (maxBytes: number) => {
      decodeAnchor({
        anchor: byteSource(bomb(specs)),
        sinkFor: () => {
          asked = true;
          return nowhere;
        },
        maxBytes,
      });
    };
    expect(await codeOf(() => run(4000))).toBe('TOO_LARGE');
    expect(asked).toBe(false);
    expect(await codeOf(() => run(4001))).toBe('PATCH_FORMAT');
    expect(asked).toBe(true);
  });

  test('of 4 TiB, and of 100,000 such tensors, is too large', async () => {
    const spec = (i: number): TensorSpec => ({ name: `${i}`, dtype: 'f32', shape: [2 ** 20, 2 ** 20] });
    expect(await read(bomb([spec(0)]))).toBe('TOO_LARGE');
    expect(await read(bomb(Array.from({ length: 100_000 }, (_, i) => spec(i))))).toBe('TOO_LARGE');
  });

  // It decodes a block, not 2^28 elements.
  test.each(DTYPES)('fails when its few bytes end: %s', async (dtype) => {
    for (const fill of [0, 0x5a, 0x80, 0xff]) {
      expect(await read(bomb([{ name: 'w', dtype, shape: [2 ** 14, 2 ** 14] }], fill))).toBe('PATCH_FORMAT');
    }
  });

  test('beyond the arrays of this runtime is refused, as long as its caller allows it', async () => {
    const specs: TensorSpec[] = [{ name: 'w', dtype: 'int8', shape: [2 ** 40] }];
    expect(await read(bomb(specs), 2 ** 42)).toBe('TOO_LARGE');
  });
});

test('another id than the promised one is refused before anything is decoded', async () => {
  const target = randomTensors([{ name: 'w', dtype: 'bf16', shape: [9] }], seededRandom(47));
  const anchor = anchorOf(target);
  const targetId = stateId(target);
  const sinkFor = () => {
    throw new GrailError('INTERNAL', 'asked for a sink');
  };
  const run = (id: Uint8Array) =>
    codeOf(() => decodeAnchor({ anchor: byteSource(anchor), targetId: id, sinkFor }));
  expect(await run(targetId)).toBe('INTERNAL');
  expect(await run(targetId.with(31, targetId[31]! ^ 1))).toBe('PATCH_TARGET_MISMATCH');
});
