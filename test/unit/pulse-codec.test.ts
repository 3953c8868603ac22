import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { type Dtype, MemoryTensors, stateId, type TensorSpec } from '../../src/pulse/index.ts';
import {
  codeOf,
  countChanges,
  DTYPES,
  movedTensors,
  patched,
  patchOf,
  patternsOf,
  randomTensors,
  SPECIALS,
  sameTensors,
  seededRandom,
  tensorsOf,
  vectorOf,
  weightPattern,
} from '../support/pulse.ts';

/** Codes a patch both ways, checks everything that it says, and gives its bytes. */
function expectRoundTrip(base: MemoryTensors, target: MemoryTensors, overwrite = false): Uint8Array {
  const kept = base.clone();
  const made = patchOf({ base, target, overwrite });
  expect(toHex(made.baseId)).toBe(toHex(stateId(base)));
  expect(toHex(made.targetId)).toBe(toHex(stateId(target)));
  expect(made.tensors.reduce((sum, { changed }) => sum + changed, 0)).toBe(countChanges(base, target));
  const got = patched(made.patch, { base });
  expect(sameTensors(got.tensors, target), 'the target').toBe(true);
  expect(sameTensors(base, kept), 'the base is as it was').toBe(true);
  expect(toHex(got.targetId)).toBe(toHex(made.targetId));
  expect(got.changed).toBe(countChanges(base, target));
  // Known ids change nothing.
  const known = patchOf({ base, target, overwrite, baseId: made.baseId });
  expect(toHex(known.patch)).toBe(toHex(made.patch));
  const knowing = patched(made.patch, { base, baseId: made.baseId, targetId: made.targetId });
  expect(sameTensors(knowing.tensors, target)).toBe(true);
  return made.patch;
}

describe.each(DTYPES)('%s', (dtype) => {
  const specials = SPECIALS[dtype];
  const pairs = specials.flatMap((from) => specials.map((to) => [from, to] as const));

  test.each([false, true])('every special value becomes every other one (overwriting: %s)', (overwrite) => {
    const [base, target] = [0, 1].map((side) =>
      vectorOf(
        dtype,
        pairs.map((pair) => pair[side]!),
      ),
    );
    expectRoundTrip(base!, target!, overwrite);
  });

  test('a special value that becomes another is a change of its own', () => {
    for (const [from, to] of pairs) {
      const [base, target] = [vectorOf(dtype, [from]), vectorOf(dtype, [to])];
      const { patch, tensors } = patchOf({ base, target });
      expect(tensors[0]!.changed, `${from} to ${to}`).toBe(from === to ? 0 : 1);
      expect(sameTensors(patched(patch, { base }).tensors, target), `${from} to ${to}`).toBe(true);
    }
  });

  test.each([1, 15, 16, 17, 63, 64, 65, 511, 512, 513, 1025])(
    'tensors of %i elements: nothing, one end, the other end, some or all of them changed',
    (count) => {
      const random = seededRandom(count);
      const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [count] }];
      const base = randomTensors(specs, random);
      const at = (...places: number[]) => {
        const target = base.clone();
        for (const place of places) patternsOf(target.arrays[0]!, dtype)[place]! ^= 1;
        return target;
      };
      const all = Array.from({ length: count }, (_, i) => i);
      for (const overwrite of [false, true]) {
        const sizes = [at(), at(0), at(count - 1), at(...all)].map(
          (target) => expectRoundTrip(base, target, overwrite).length,
        );
        expect(sizes[0]).toBeLessThanOrEqual(Math.min(...sizes));
        expectRoundTrip(base, movedTensors(base, random, 100), overwrite);
        expectRoundTrip(base, randomTensors(specs, random), overwrite);
      }
    },
  );

  test.each([65_535, 65_536, 65_537, 131_073])(
    'tensors of %i elements, around and beyond a block: one end, the other end, some changed',
    (count) => {
      const random = seededRandom(count);
      const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [count] }];
      const base = randomTensors(specs, random);
      for (const place of [0, count - 1, Math.min(65_536, count - 1)]) {
        const target = base.clone();
        patternsOf(target.arrays[0]!, dtype)[place]! ^= 1;
        expectRoundTrip(base, target);
      }
      expectRoundTrip(base, movedTensors(base, random, 5));
      expectRoundTrip(base, movedTensors(base, random, 5), true);
    },
  );

  test('every element becomes an unrelated pattern', () => {
    const random = seededRandom(5);
    const any = () => random(2 ** 31) * 2 + random(2);
    const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [300, 257] }];
    const base = tensorsOf(specs, any);
    const target = tensorsOf(specs, any);
    expectRoundTrip(base, target);
    expectRoundTrip(base, target, true);
  });
});

test.each<[string, readonly (readonly number[])[]]>([
  ['scalars', [[], []]],
  ['vectors', [[3], [70]]],
  ['nothing but a dimension 0', [[0], [4, 0], [0, 1_000_000, 7]]],
  ['eight dimensions', [[2, 1, 3, 1, 2, 1, 2, 2]]],
  ['rows of one element', [[200, 1]]],
  [
    'rows of 63, 64 and 65',
    [
      [9, 63],
      [9, 64],
      [9, 65],
    ],
  ],
  ['an empty tensor between others', [[5], [0, 2], [6]]],
])('shapes: %s', (_, shapes) => {
  for (const dtype of DTYPES) {
    const random = seededRandom(11);
    const specs = shapes.map((shape, i) => ({ name: `t${i}`, dtype, shape }));
    const base = randomTensors(specs, random);
    expectRoundTrip(base, movedTensors(base, random, 400));
    expectRoundTrip(base, movedTensors(base, random, 400), true);
  }
});

test('no tensors at all are a state', () => {
  const none = new MemoryTensors([]);
  expectRoundTrip(none, none);
});

test('rows that differ in how much of them changed', () => {
  for (const dtype of DTYPES) {
    const random = seededRandom(12);
    const specs: TensorSpec[] = [{ name: 'embedding', dtype, shape: [700, 200] }];
    const base = randomTensors(specs, random);
    const target = base.clone();
    const patterns = patternsOf(target.arrays[0]!, dtype);
    // One row in fifty is trained, the others are not.
    for (let at = 0; at < patterns.length; at++) {
      if (Math.floor(at / 200) % 50 === 7 && random(3) === 0) patterns[at]! ^= 1;
    }
    expectRoundTrip(base, target);
  }
});

test('tensors of a million elements, of which only some blocks are looked at beforehand', () => {
  for (const dtype of ['int8', 'bf16', 'int32'] as const) {
    const random = seededRandom(13);
    const specs: TensorSpec[] = [{ name: 'w', dtype, shape: [17 * 65_536 + 5] }];
    const block = Uint32Array.from({ length: 65_536 }, () => weightPattern(dtype, random));
    const base = tensorsOf(specs, (at) => block[at % 65_536]!);
    // The only change lies in a block that is not looked at first, in the last one, in the first one; then everywhere.
    for (const place of [70_000, 17 * 65_536 + 4, 0]) {
      const target = base.clone();
      patternsOf(target.arrays[0]!, dtype)[place]! ^= 1;
      expectRoundTrip(base, target);
    }
    expectRoundTrip(base, movedTensors(base, random, 3));
  }
});

test('many tensors of mixed types in any order, some of them unchanged', () => {
  const random = seededRandom(14);
  for (let round = 0; round < 12; round++) {
    const specs = Array.from({ length: 30 }, (_, i): TensorSpec => {
      const dtype: Dtype = DTYPES[random(DTYPES.length)]!;
      return { name: `layer.${i}`, dtype, shape: [random(6), 1 + random(90)] };
    });
    const base = randomTensors(specs, random);
    const target = movedTensors(base, random, 60);
    for (let i = 0; i < specs.length; i += 3) target.arrays[i]!.set(base.arrays[i]!);
    expectRoundTrip(base, target);
    expectRoundTrip(base, target, true);
  }
});

test.each<[string, TensorSpec]>([
  ['another name', { name: 'v', dtype: 'bf16', shape: [2, 3] }],
  ['another type of the same width', { name: 'w', dtype: 'f16', shape: [2, 3] }],
  ['another shape of the same size', { name: 'w', dtype: 'bf16', shape: [3, 2] }],
  ['another rank of the same size', { name: 'w', dtype: 'bf16', shape: [6] }],
])('no patch leads to a tensor of %s', async (_, spec) => {
  const base = new MemoryTensors([{ name: 'w', dtype: 'bf16', shape: [2, 3] }]);
  expect(await codeOf(() => patchOf({ base, target: new MemoryTensors([spec]) }))).toBe('TENSORS_INVALID');
});

test('no patch leads to fewer or more tensors', async () => {
  const spec = { name: 'w', dtype: 'bf16', shape: [2] } as const;
  const [one, two] = [new MemoryTensors([spec]), new MemoryTensors([spec, spec])];
  expect(await codeOf(() => patchOf({ base: one, target: two }))).toBe('TENSORS_INVALID');
  expect(await codeOf(() => patchOf({ base: two, target: one }))).toBe('TENSORS_INVALID');
});

test.each<[string, TensorSpec]>([
  ['a name of 1,025 bytes', { name: `${'é'.repeat(512)}a`, dtype: 'int8', shape: [0] }],
  ['nine dimensions', { name: '', dtype: 'int8', shape: [0, 1, 1, 1, 1, 1, 1, 1, 1] }],
  ['a negative dimension', { name: '', dtype: 'int8', shape: [-1, 0] }],
  ['half a dimension', { name: '', dtype: 'int8', shape: [0.5, 0] }],
  ['half a surrogate pair in its name', { name: 'w\ud800', dtype: 'int8', shape: [0] }],
])('a tensor with %s is refused before it is coded', async (_, spec) => {
  const base = new MemoryTensors([{ ...spec, shape: [0] }]);
  const source = { specs: [spec], read: () => base.arrays[0]! };
  expect(await codeOf(() => patchOf({ base: source, target: source }))).toBe('TENSORS_INVALID');
  expect(await codeOf(() => stateId(source))).toBe('TENSORS_INVALID');
});

test('a source whose arrays are not of their shapes is refused', async () => {
  const specs: TensorSpec[] = [{ name: 'w', dtype: 'f32', shape: [2] }];
  expect(await codeOf(() => new MemoryTensors(specs, [new Uint8Array(7)]))).toBe('TENSORS_INVALID');
  expect(await codeOf(() => new MemoryTensors(specs, []))).toBe('TENSORS_INVALID');
});
