import { describe, expect, test } from 'vitest';
import { concat, equalBytes, toHex } from '../../src/protocol/bytes.ts';
import {
  applyPatch,
  type ByteSource,
  byteSource,
  decodeAnchor,
  encodeAnchor,
  encodePatch,
  MemoryMarks,
  MemoryTensors,
  stateId,
  type TensorSource,
  type TensorSpec,
  totalBytes,
  type Watch,
} from '../../src/pulse/index.ts';
import {
  anchored,
  anchorOf,
  codeOf,
  movedTensors,
  patched,
  patchOf,
  randomTensors,
  sameTensors,
  seededRandom,
  tensorsOf,
} from '../support/pulse.ts';

const SPECS: readonly TensorSpec[] = [
  { name: 'a', dtype: 'bf16', shape: [60, 70] },
  { name: 'b', dtype: 'int32', shape: [100] },
  { name: 'none', dtype: 'f32', shape: [0] },
  { name: 'c', dtype: 'f32', shape: [70_000] },
];
const random = seededRandom(51);
const base = randomTensors(SPECS, random);
const target = movedTensors(base, random, 30);
const { patch } = patchOf({ base, target });
const anchor = anchorOf(target);

/** Bytes in pieces of at most `size`, whatever is asked for, from memory that is used again. */
function pieces(bytes: Uint8Array, size: number): ByteSource {
  const whole = byteSource(bytes);
  const memory = new Uint8Array(size);
  return {
    take(max) {
      const part = whole.take(Math.min(max, size));
      memory.fill(0xee);
      memory.set(part);
      return memory.subarray(0, part.length);
    },
  };
}

test.each([1, 2, 7, 4096])('patches and anchors are read from a stream of pieces of %i bytes', (size) => {
  const sink = new MemoryTensors(SPECS);
  applyPatch({ base, patch: pieces(patch, size), sink });
  expect(sameTensors(sink, target)).toBe(true);
  expect(sameTensors(anchored(anchor, { anchor: pieces(anchor, size) }), target)).toBe(true);
});

test('a sink without memory of its own gets every tensor once, in order', () => {
  const got = new MemoryTensors(SPECS);
  const order: number[] = [];
  const sink = {
    write(index: number, bytes: Uint8Array) {
      order.push(index);
      got.arrays[index]!.set(bytes);
    },
  };
  applyPatch({ base, patch: byteSource(patch), sink });
  decodeAnchor({ anchor: byteSource(anchor), sinkFor: () => sink });
  expect(order).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
  expect(sameTensors(got, target)).toBe(true);
});

describe('the same bytes', () => {
  test('come from the same states, twice', () => {
    expect(toHex(patchOf({ base, target }).patch)).toBe(toHex(patch));
    expect(toHex(anchorOf(target))).toBe(toHex(anchor));
  });

  test('come when sources use the codec while they are read', () => {
    const nested: string[] = [];
    const meddling = (tensors: MemoryTensors): TensorSource => ({
      specs: tensors.specs,
      read(index) {
        const got = patched(patch, { base });
        nested.push(toHex(stateId(got.tensors)), toHex(anchorOf(target)));
        return tensors.read(index);
      },
    });
    expect(toHex(patchOf({ base: meddling(base), target: meddling(target) }).patch)).toBe(toHex(patch));
    const sink = new MemoryTensors(SPECS);
    applyPatch({ base: meddling(base), patch: byteSource(patch), sink });
    expect(sameTensors(sink, target)).toBe(true);
    expect(new Set(nested)).toEqual(new Set([toHex(stateId(target)), toHex(anchor)]));
  });

  test('come after patches that were refused in the midst of a tensor', async () => {
    const marks = new MemoryMarks(SPECS);
    const expected = patchOf({ base, target, marks }).patch;
    for (let cut = 100; cut < patch.length; cut += 97) {
      expect(await codeOf(() => patched(patch.subarray(0, cut), { base }))).toMatch(/^PATCH_/);
      expect(await codeOf(() => anchored(anchor.subarray(0, cut)))).toMatch(/^PATCH_/);
      if (cut % 4 !== 0) continue;
      const again = patchOf({ base, target, marks: new MemoryMarks(SPECS) }).patch;
      expect(equalBytes(again, expected), `cut at ${cut}`).toBe(true);
    }
    expect(toHex(anchorOf(target))).toBe(toHex(anchor));
  });
});

describe('whoever watches', () => {
  const work: [string, (watch: Watch) => unknown][] = [
    ['encoding a patch', (watch) => encodePatch({ base, target, write() {}, ...watch })],
    [
      'applying a patch',
      (watch) => applyPatch({ base, patch: byteSource(patch), sink: new MemoryTensors(SPECS), ...watch }),
    ],
    ['encoding an anchor', (watch) => encodeAnchor({ target, write() {}, ...watch })],
    ['reading an anchor', (watch) => anchored(anchor, watch)],
    ['hashing a state', (watch) => stateId(target, watch)],
  ];

  test.each(work)('is told of every tensor and of the bytes up to it: %s', (_, run) => {
    const told: [number, number][] = [];
    run({ onTensor: (index, bytes) => told.push([index, bytes]) });
    expect(told).toEqual([0, 1, 2, 3].map((i) => [i, totalBytes(SPECS.slice(0, i + 1))]));
  });

  test.each(work)('stops with a signal, with its reason, after the present tensor: %s', (_, run) => {
    const controller = new AbortController();
    const told: number[] = [];
    const reason = new Error('enough');
    const onTensor = (index: number) => {
      told.push(index);
      if (index === 1) controller.abort(reason);
    };
    expect(() => run({ onTensor, signal: controller.signal })).toThrow(reason);
    expect(told).toEqual([0, 1]);
    // What comes afterwards is as ever.
    expect(toHex(anchorOf(target))).toBe(toHex(anchor));
    expect(sameTensors(patched(patch, { base }).tensors, target)).toBe(true);
  });
});

describe('megabytes', () => {
  test.each([0, 0xff])('behind the end of a code are refused, not read for ever (%i)', async (fill) => {
    const more = new Uint8Array(5_000_000).fill(fill);
    expect(await codeOf(() => patched(concat(patch, more), { base }))).toBe('PATCH_FORMAT');
    expect(await codeOf(() => anchored(concat(anchor, more)))).toBe('PATCH_FORMAT');
  });

  test('behind a code that ends just where the codec’s memory does are refused', async () => {
    const noise = tensorsOf([{ name: 'w', dtype: 'bf16', shape: [1_100_000] }], () => random(2 ** 16))
      .arrays[0]!;
    const stateOf = (count: number, last: number) => {
      const bytes = noise.slice(0, 2 * count);
      bytes[2 * count - 1] = last;
      return new MemoryTensors([{ name: 'w', dtype: 'bf16', shape: [count] }], [bytes]);
    };
    const codecs = [
      (to: MemoryTensors) => encodeAnchor({ target: to, write() {} }).bodyBytes,
      (to: MemoryTensors) =>
        encodePatch({ base: new MemoryTensors(to.specs), target: to, overwrite: true, write() {} }).bodyBytes,
    ] as const;
    const memory = 2 ** 21;
    for (const [i, sizeOf] of codecs.entries()) {
      let count = 1_000_000;
      let last = 0;
      // Some two bytes an element: near the size that is wanted, another last byte or one element more hits it.
      for (let size = 0, tries = 0; size !== memory; tries++) {
        expect(tries).toBeLessThan(300);
        size = sizeOf(stateOf(count, last));
        const away = Math.round((memory - size) / 2.05);
        if (Math.abs(away) > 1) count += away;
        else last = (last + 37) % 256;
        if (tries % 20 === 19) count += 1;
      }
      const found = stateOf(count, last);
      const zeros = new MemoryTensors(found.specs);
      const bytes =
        i === 0 ? anchorOf(found) : patchOf({ base: zeros, target: found, overwrite: true }).patch;
      const read = (all: Uint8Array) => (i === 0 ? anchored(all) : patched(all, { base: zeros }).tensors);
      expect(sameTensors(read(bytes), found)).toBe(true);
      expect(await codeOf(() => read(concat(bytes, Uint8Array.of(0))))).toBe('PATCH_FORMAT');
    }
  });

  test('behind thousands of small tensors do not slow each of them down', async () => {
    const specs = Array.from(
      { length: 50_000 },
      (_, i): TensorSpec => ({ name: `${i}`, dtype: 'bf16', shape: [1] }),
    );
    const state = new MemoryTensors(specs);
    const { header } = patchOf({ base: state, target: state });
    const forged = concat(header, new Uint8Array(2_300_000));
    expect(await codeOf(() => patched(forged, { base: state, baseId: stateId(state) }))).toBe('PATCH_FORMAT');
  });

  test('of code, several times what the codec has room for, survive', () => {
    const specs: TensorSpec[] = [{ name: 'w', dtype: 'f32', shape: [1_500_000] }];
    const noise = () => random(2 ** 31) * 2 + random(2);
    const [from, to] = [tensorsOf(specs, noise), tensorsOf(specs, noise)];
    const made = patchOf({ base: from, target: to });
    expect(made.patch.length).toBeGreaterThan(5_000_000);
    expect(sameTensors(patched(made.patch, { base: from }).tensors, to)).toBe(true);
    const whole = anchorOf(to);
    expect(sameTensors(anchored(whole), to)).toBe(true);
  });

  // Tensors whose code goes just below or above a half for more bytes than the encoder has room for: so long it does not
  // know which of 0x7fff… and 0x8000… it writes.
  test.each(
    (['bf16', 'f16', 'f32'] as const).flatMap((dtype) => [
      { dtype, first: 0x80, rest: 0 },
      { dtype, first: 0x7f, rest: 0xff },
    ]),
  )('through which a carry may run survive: $dtype, $rest', ({ dtype, first, rest }) => {
    const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [4_000_000] }];
    const crafted = new MemoryTensors(specs);
    const { header } = encodeAnchor({ target: crafted, write() {} });
    const body = new Uint8Array(20_000_000).fill(0x55);
    const run = 2_500_000;
    body.fill(rest, 0, run)[0] = first;
    expect(() => anchored(concat(header, body), { sinkFor: () => crafted })).toThrow(/not the one code/);
    const whole = anchorOf(crafted);
    expect(equalBytes(whole.subarray(header.length, header.length + run), body.subarray(0, run))).toBe(true);
    expect(sameTensors(anchored(whole), crafted)).toBe(true);
  });
});

test('as many tensors as a patch may have are a state', () => {
  const specs = Array.from(
    { length: 100_000 },
    (_, i): TensorSpec => ({ name: `${i}`, dtype: 'int8', shape: [1] }),
  );
  const from = new MemoryTensors(specs);
  const to = from.clone();
  to.arrays[99_999]![0] = 1;
  const made = patchOf({ base: from, target: to });
  expect(sameTensors(patched(made.patch, { base: from }).tensors, to)).toBe(true);
  const more = new MemoryTensors([...specs, specs[0]!]);
  expect(() => patchOf({ base: more, target: more })).toThrow(/more than 100000 tensors/);
});
