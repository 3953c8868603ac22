import { describe, expect, test } from 'vitest';
import { concat, utf8 } from '../../src/protocol/bytes.ts';
import { encodeHeader, encodeSpecs, MAX_HEADER_BYTES, varint } from '../../src/pulse/format.ts';
import {
  type ByteSource,
  byteSource,
  FRESH,
  MemoryMarks,
  MemoryTensors,
  readHeader,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import {
  anchored,
  codeOf,
  movedTensors,
  patched,
  patchOf,
  randomTensors,
  seededRandom,
} from '../support/pulse.ts';

const SPECS: readonly TensorSpec[] = [
  { name: 'weights', dtype: 'bf16', shape: [6, 5] },
  { name: 'b', dtype: 'int8', shape: [] },
];
const random = seededRandom(61);
const base = randomTensors(SPECS, random);
const target = movedTensors(base, random, 300);
const baseId = stateId(base);
const targetId = stateId(target);
const { patch, header } = patchOf({ base, target });
const flip = (bytes: Uint8Array, at: number, by = 1) => bytes.with(at, bytes[at]! ^ by);

/** A patch's header up to its tensors, then these bytes. */
const behindIds = (...parts: Uint8Array[]) => concat(patch.subarray(0, 71), ...parts);
const refusal = (bytes: Uint8Array) => {
  try {
    readHeader(byteSource(bytes));
    return 'none';
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
};

test('a header says what it was made of', () => {
  const specs: TensorSpec[] = [
    { name: '', dtype: 'int8', shape: [] },
    { name: '\ufeffmodel.größe.重み', dtype: 'int32', shape: [0, 2 ** 41, 3] },
    { name: 'x'.repeat(1024), dtype: 'bf16', shape: [2 ** 40] },
    { name: 'same', dtype: 'f16', shape: [1, 2, 3, 4, 5, 6, 7, 8] },
    { name: 'same', dtype: 'f32', shape: [127, 128] },
  ];
  const history = { steps: 2 ** 40, tag: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), models: new Uint8Array(0) };
  const bytes = encodeHeader({ kind: 'patch', history, baseId, targetId, specs });
  expect(readHeader(byteSource(bytes))).toMatchObject({
    ...{
      kind: 'patch',
      keepsHistory: true,
      overwrite: false,
      rooted: false,
      specs,
      headerBytes: bytes.length,
    },
    ...{ historySteps: 2 ** 40, historyTag: '0x0102030405060708' },
  });
});

describe('refusals in their order', () => {
  const random = seededRandom(62);
  const states = [base, movedTensors(base, random, 200)];
  const marks = new MemoryMarks(SPECS);
  const first = patchOf({ base, target: states[1]!, marks });
  const held = { marks: marks.clone(), head: first.head };
  const next = movedTensors(states[1]!, random, 200);
  const made = patchOf({ base: states[1]!, target: next, ...held, marks: marks.clone() });
  const other = new MemoryTensors([SPECS[0]!, { ...SPECS[1]!, dtype: 'int32' }]);
  const good = { base: states[1]!, baseId: made.baseId, targetId: made.targetId, ...held };
  const damaged = concat(made.patch, Uint8Array.of(0));
  const wrongHistory = { marks: new MemoryMarks(SPECS), head: FRESH };

  test.each<[string, string, Uint8Array, Partial<typeof good>]>([
    [
      'PATCH_FORMAT',
      'another magic',
      flip(flip(damaged, 3), 4),
      { base: other, targetId: baseId, ...wrongHistory },
    ],
    ['PATCH_FORMAT', 'another version', flip(flip(damaged, 4), 5, 8), { base: other, targetId: baseId }],
    ['PATCH_FORMAT', 'another kind', flip(flip(damaged, 5, 8), 6, 8), { base: other, targetId: baseId }],
    [
      'PATCH_FORMAT',
      'unknown flags',
      flip(damaged, 6, 8),
      { base: other, targetId: baseId, ...wrongHistory },
    ],
    [
      'PATCH_BASE_MISMATCH',
      'other tensors',
      damaged,
      { base: other, baseId: targetId, targetId: baseId, ...wrongHistory },
    ],
    ['PATCH_BASE_MISMATCH', 'another base', damaged, { baseId: targetId, targetId: baseId, ...wrongHistory }],
    ['PATCH_TARGET_MISMATCH', 'another promise', damaged, { targetId: baseId, ...wrongHistory }],
    ['PATCH_HISTORY_MISMATCH', 'another history', damaged, wrongHistory],
    ['PATCH_FORMAT', 'another code', damaged, {}],
    ['none', 'nothing else', made.patch, {}],
  ])('%s is the answer to %s, whatever is wrong behind it', async (code, _, bytes, wrong) => {
    const input = { ...good, ...wrong };
    expect(await codeOf(() => patched(bytes, { ...input, marks: input.marks.clone() }))).toBe(code);
  });

  test('another base whose id was not known is found out at the end, before the target', async () => {
    const another = flip(base.arrays[1]!, 0);
    const wrong = new MemoryTensors(SPECS, [base.arrays[0]!, another]);
    expect(await codeOf(() => patched(patch, { base: wrong }))).toBe('PATCH_BASE_MISMATCH');
    // Also when its values make the code one that cannot be.
    for (const value of [0, 0xff]) {
      const far = new MemoryTensors(SPECS, [new Uint8Array(60).fill(value), base.arrays[1]!]);
      expect(await codeOf(() => patched(patch, { base: far }))).toBe('PATCH_BASE_MISMATCH');
    }
  });

  test('a target that the header does not name is found out at the end', async () => {
    expect(await codeOf(() => patched(flip(patch, 60), { base }))).toBe('PATCH_TARGET_MISMATCH');
  });
});

test.each([
  ['the magic', [0, 1, 2, 3], /not PULSE/],
  ['the version', [4], /another version/],
  ['the kind', [5], /neither a patch nor an anchor/],
])('any change of %s is named', (_, places, message) => {
  for (const at of places) {
    for (let by = 1; by < 256; by++) {
      // A patch's kind ^ 3 is an anchor's.
      const expected = at === 5 && by === 3 ? /header/ : message;
      expect(() => patched(flip(patch, at, by), { base }), `byte ${at} ^ ${by}`).toThrow(expected);
    }
  }
});

test('flags other than none, and one of those that there are, are refused', async () => {
  for (const kind of ['patch', 'anchor'] as const) {
    const bytes = encodeHeader({ kind, baseId: kind === 'patch' ? baseId : null, targetId, specs: [] });
    const known = kind === 'patch' ? [0, 1, 4] : [0, 4];
    for (let flags = 0; flags < 256; flags++) {
      const answer = refusal(bytes.with(6, flags));
      if (known.includes(flags)) expect(answer, `${kind}, flags ${flags}`).toBe('none');
      // A history's fields follow only where they are announced.
      else if (kind === 'patch' && flags === 2) expect(answer).toMatch(/cut short/);
      else expect(answer, `${kind}, flags ${flags}`).toMatch(/unknown flags/);
    }
  }
});

test('a fresh history with a tag is refused, also by who has none', () => {
  const fresh = patchOf({ base, target, marks: new MemoryMarks(SPECS) }).patch;
  expect(() => patched(fresh, { base })).not.toThrow();
  for (let at = 72; at < 80; at++) {
    expect(() => patched(flip(fresh, at), { base }), `byte ${at}`).toThrow(/fresh history has no tag/);
  }
});

test('a header is cut short at every length', () => {
  for (let length = 0; length < header.length; length++) {
    expect(refusal(header.subarray(0, length)), `length ${length}`).toBe(
      'PATCH_FORMAT: the header is cut short',
    );
  }
  expect(refusal(header)).toBe('none');
});

test.each<[string, Uint8Array, RegExp]>([
  ['100,001 tensors', varint(100_001), /too many tensors/],
  ['a number of tensors of four bytes', Uint8Array.of(0x80, 0x80, 0x80, 1), /too many bytes/],
  ['a number of tensors not in its shortest form', Uint8Array.of(0x80, 0), /shortest form/],
  ['one tensor more than there are', Uint8Array.of(2, 0, 0x10), /cut short/],
  ['a name of 1,025 bytes', concat(varint(1), varint(1025), new Uint8Array(1025)), /name is too long/],
  ['a name whose length takes three bytes', Uint8Array.of(1, 0x80, 0x80, 1), /too many bytes/],
  ['a name whose length is not in its shortest form', Uint8Array.of(1, 0x81, 0), /shortest form/],
  ['a name that is cut', Uint8Array.of(1, 4, 0x61), /cut short/],
  ['a name that is not UTF-8', Uint8Array.of(1, 1, 0xff, 0x10), /not UTF-8/],
  ['a name of half a surrogate pair', Uint8Array.of(1, 3, 0xed, 0xa0, 0x80, 0x10), /not UTF-8/],
  ['a name in more bytes than it needs', Uint8Array.of(1, 2, 0xc1, 0xa1, 0x10), /not UTF-8/],
  ['type 0', Uint8Array.of(1, 0, 0x00), /unknown type/],
  ['type 6', Uint8Array.of(1, 0, 0x60), /unknown type/],
  ['type 15', Uint8Array.of(1, 0, 0xf0), /unknown type/],
  ['nine dimensions', Uint8Array.of(1, 0, 0x19, 1, 1, 1, 1, 1, 1, 1, 1, 1), /unknown type/],
  ['fifteen dimensions', Uint8Array.of(1, 0, 0x1f), /unknown type/],
  [
    'a dimension of seven bytes',
    Uint8Array.of(1, 0, 0x11, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1),
    /too many bytes/,
  ],
  ['a dimension not in its shortest form', Uint8Array.of(1, 0, 0x11, 0x82, 0), /shortest form/],
  ['the largest dimension', Uint8Array.of(1, 0, 0x11, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), /too large/],
  ['2^40 + 1 elements', concat(Uint8Array.of(1, 0, 0x11), varint(2 ** 40 + 1)), /too large/],
  ['2^41 elements', concat(Uint8Array.of(1, 0, 0x12), varint(2 ** 20), varint(2 ** 21)), /too large/],
  [
    'the largest dimensions',
    concat(Uint8Array.of(1, 0, 0x18), ...new Array(8).fill(varint(2 ** 42 - 1))),
    /too large/,
  ],
])('a header with %s is refused', (_, fields, message) => {
  expect(refusal(behindIds(fields))).toMatch(/^PATCH_FORMAT/);
  expect(refusal(behindIds(fields))).toMatch(message);
});

test('the largest counts and sizes that there may be are none of these', () => {
  const one = (type: number, ...dims: number[]) => concat(Uint8Array.of(1, 0, type), ...dims.map(varint));
  expect(refusal(behindIds(one(0x51, 2 ** 40)))).toBe('none');
  expect(refusal(behindIds(one(0x58, ...new Array(7).fill(2 ** 42 - 1), 0)))).toBe('none');
  const specs = new Array(100_000).fill({ name: '', dtype: 'f32', shape: [2 ** 40] });
  expect(refusal(behindIds(encodeSpecs(specs)))).toBe('none');
});

describe('a history', () => {
  const behind = (...parts: Uint8Array[]) =>
    concat(patch.subarray(0, 6), Uint8Array.of(2), patch.subarray(7, 71), ...parts);

  test.each<[string, Uint8Array, RegExp]>([
    [
      'of which the number takes seven bytes',
      Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1),
      /too many bytes/,
    ],
    ['of which the number is not in its shortest form', Uint8Array.of(0x81, 0), /shortest form/],
    ['whose tag is cut', concat(Uint8Array.of(1), new Uint8Array(7)), /cut short/],
  ])('%s is refused', (_, fields, message) => {
    expect(refusal(behind(fields))).toMatch(message);
  });
});

describe('what else an anchor holds', () => {
  const behind = (...parts: Uint8Array[]) => concat(utf8('PULS'), Uint8Array.of(2, 2, 0), targetId, ...parts);

  test('is at most 8,192 bytes', () => {
    expect(refusal(behind(varint(8192), new Uint8Array(8192), varint(0)))).toBe('none');
    expect(refusal(behind(varint(8193), new Uint8Array(8193), varint(0)))).toMatch(
      /PATCH_FORMAT: .*too long/,
    );
  });

  test('has a length of at most two bytes in its shortest form, and is not cut', () => {
    expect(refusal(behind(Uint8Array.of(0x80, 0x80, 1)))).toMatch(/too many bytes/);
    expect(refusal(behind(Uint8Array.of(0x80, 0)))).toMatch(/shortest form/);
    expect(refusal(behind(Uint8Array.of(5, 1, 2)))).toMatch(/cut short/);
  });
});

describe('a stream without end', () => {
  /** A start, then the same bytes for ever. */
  function endless(start: Uint8Array, rest: Uint8Array) {
    const first = byteSource(start);
    const chunk = new Uint8Array(rest.length * Math.ceil(65_536 / rest.length));
    for (let at = 0; at < chunk.length; at += rest.length) chunk.set(rest, at);
    const stream: ByteSource & { taken: number } = {
      taken: 0,
      take(max) {
        const part = first.take(max);
        const more = part.length > 0 ? part : chunk.subarray(0, rest.length * Math.ceil(max / rest.length));
        const given = more.subarray(0, Math.min(max, more.length));
        stream.taken += given.length;
        return given;
      },
    };
    return stream;
  }

  test('of names is left after 64 MiB', async () => {
    const name = concat(varint(1024), new Uint8Array(1024).fill(0x61), Uint8Array.of(0x10));
    // Chunks of whole names, so the stream goes on where it was.
    const stream = endless(behindIds(varint(100_000)), name);
    stream.take = (
      (take) => (max) =>
        take(max - (max % name.length) || max)
    )(stream.take);
    expect(await codeOf(() => readHeader(stream))).toBe('PATCH_FORMAT');
    expect(stream.taken).toBeGreaterThan(MAX_HEADER_BYTES - 65_536);
    expect(stream.taken).toBeLessThan(MAX_HEADER_BYTES + 65_536);
  });

  test.each([0, 0x5a, 0xff])('of code %i is left after some megabytes', async (byte) => {
    for (const start of [patch, header]) {
      const stream = endless(start, Uint8Array.of(byte));
      const run = () => patched(stream, { base, baseId });
      expect(await codeOf(run)).toBe('PATCH_FORMAT');
      expect(stream.taken).toBeLessThan(8_000_000);
    }
    const anchor = encodeHeader({ kind: 'anchor', baseId: null, targetId, specs: SPECS });
    const stream = endless(anchor, Uint8Array.of(byte));
    expect(await codeOf(() => anchored(anchor, { anchor: stream }))).toBe('PATCH_FORMAT');
    expect(stream.taken).toBeLessThan(8_000_000);
  });
});
