import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import {
  FRESH,
  FRESH_MARK,
  type HistoryHead,
  MemoryMarks,
  type MemoryTensors,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import {
  codeOf,
  DTYPES,
  movedTensors,
  patched,
  patchOf,
  patternsOf,
  randomTensors,
  sameTensors,
  seededRandom,
} from '../support/pulse.ts';

const SPECS: readonly TensorSpec[] = [
  { name: 'a', dtype: 'bf16', shape: [40, 70] },
  { name: 'b', dtype: 'int8', shape: [300] },
  { name: 'empty', dtype: 'bf16', shape: [0] },
  { name: 'c', dtype: 'f32', shape: [129] },
  { name: 'd', dtype: 'bf16', shape: [500] },
  { name: 'e', dtype: 'int32', shape: [65] },
  { name: 'f', dtype: 'f16', shape: [3, 100] },
];

interface Side {
  tensors: MemoryTensors;
  marks: MemoryMarks;
  head: HistoryHead;
}

const begin = (tensors: MemoryTensors): Side => ({
  tensors: tensors.clone(),
  marks: new MemoryMarks(tensors.specs),
  head: FRESH,
});

/** Codes the way from a side's state to another, and brings the side there. */
function send(side: Side, target: MemoryTensors): Uint8Array {
  const made = patchOf({ base: side.tensors, target, marks: side.marks, head: side.head });
  side.tensors = target;
  side.head = made.head;
  return made.patch;
}

function receive(side: Side, patch: Uint8Array): void {
  const got = patched(patch, { base: side.tensors, marks: side.marks, head: side.head });
  side.tensors = got.tensors;
  side.head = got.head;
}

const text = (head: HistoryHead) => [head.steps, toHex(head.tag), toHex(head.models)];
const equalMarks = (a: MemoryMarks, b: MemoryMarks) =>
  a.arrays.map(toHex).join() === b.arrays.map(toHex).join();

/** What the marks of a chain of states are, from their definition. */
function expectedMarks(states: readonly MemoryTensors[], tensor: number): Uint8Array {
  const { dtype } = SPECS[tensor]!;
  const sign = dtype === 'f32' ? 2 ** 31 : dtype === 'bf16' || dtype === 'f16' ? 2 ** 15 : 0;
  const size = dtype === 'int8' ? 24 : 0;
  // Floats go down towards zero, integers towards the least.
  const order = (pattern: number) => (sign === 0 ? (pattern << size) >> size : pattern % sign);
  const marks = new Uint8Array(patternsOf(states[0]!.arrays[tensor]!, dtype).length).fill(FRESH_MARK);
  for (const [step, state] of states.slice(1).entries()) {
    const from = patternsOf(states[step]!.arrays[tensor]!, dtype);
    const to = patternsOf(state.arrays[tensor]!, dtype);
    for (let at = 0; at < marks.length; at++) {
      const mark = marks[at]!;
      const age = Math.min(63, (mark % 64) + 1);
      const grown = mark - (mark % 64) + age;
      if (from[at] === to[at]) {
        marks[at] = grown;
        continue;
      }
      const down = order(to[at]!) < order(from[at]!) ? 128 : 0;
      const reversed = age !== 63 && (mark & 128) !== down ? 64 : 0;
      marks[at] = down + reversed;
    }
  }
  return marks;
}

describe('over 75 patches', () => {
  const random = seededRandom(21);
  const states = [randomTensors(SPECS, random)];
  for (let step = 0; step < 75; step++) {
    states.push(
      step === 30 ? states[30]!.clone() : movedTensors(states[step]!, random, step % 10 === 9 ? 300 : 15),
    );
  }
  const sender = begin(states[0]!);
  const receiver = begin(states[0]!);

  test('encoder and decoder have the same marks, models and tags after every one', () => {
    const tags = new Set([toHex(FRESH.tag)]);
    for (const [step, target] of states.slice(1).entries()) {
      const patch = send(sender, target);
      receive(receiver, patch);
      expect(sameTensors(receiver.tensors, target), `patch ${step}`).toBe(true);
      expect(equalMarks(receiver.marks, sender.marks), `marks of patch ${step}`).toBe(true);
      expect(text(receiver.head), `head of patch ${step}`).toEqual(text(sender.head));
      expect(sender.head.steps).toBe(step + 1);
      expect(sender.head.models.length).toBeGreaterThan(0);
      tags.add(toHex(sender.head.tag));
      // What patches carry of the state's id is what all of its bytes have.
      if (step === 49)
        expect(toHex(patchOf({ base: target, target, baseId: stateId(target) }).targetId)).toBe(
          toHex(stateId(target)),
        );
    }
    expect(tags.size).toBe(76);
  });

  test('marks are what their definition says, and stay at an age of 63', () => {
    for (const [tensor, array] of sender.marks.arrays.entries()) {
      expect(toHex(array), SPECS[tensor]!.name).toBe(toHex(expectedMarks(states, tensor)));
    }
    const ages = sender.marks.arrays.flatMap((array) => [...array].map((mark) => mark & 63));
    // The last change long ago: both directions, with marks that say more than fresh ones do.
    expect(ages.filter((age) => age === 63).length).toBeGreaterThan(10);
    const old = sender.marks.arrays.flatMap((array) => [...array].filter((mark) => (mark & 63) === 63));
    expect(new Set(old).size).toBeGreaterThan(1);
  });

  test('ids that patches carry forward are those of whole states', () => {
    const side = begin(states[0]!);
    let id = stateId(states[0]!);
    for (const target of states.slice(1, 51)) {
      const made = patchOf({ base: side.tensors, target, baseId: id, marks: side.marks, head: side.head });
      side.tensors = target;
      side.head = made.head;
      id = made.targetId;
    }
    expect(toHex(id)).toBe(toHex(stateId(states[50]!)));
  });
});

test('a history makes the patches of a run that goes back and forth smaller', () => {
  const random = seededRandom(22);
  const specs: TensorSpec[] = [{ name: 'w', dtype: 'bf16', shape: [100, 300] }];
  let base = randomTensors(specs, random);
  const side = begin(base);
  let withHistory = 0;
  let without = 0;
  for (let step = 0; step < 12; step++) {
    const target = base.clone();
    const patterns = patternsOf(target.arrays[0]!, 'bf16');
    // The same weights flip again and again, as they do near the edge of a rounding.
    for (let at = 0; at < patterns.length; at += 37) if (random(2) === 0) patterns[at]! ^= 1;
    without += patchOf({ base, target }).bodyBytes;
    withHistory += patchOf({ base, target, marks: side.marks.clone(), head: side.head }).bodyBytes;
    send(side, target);
    base = target;
  }
  expect(withHistory).toBeLessThan(0.7 * without);
});

test.each(DTYPES)('marks of %s grow where a tensor did not change, and where it has no code', (dtype) => {
  const specs: TensorSpec[] = [
    { name: 'still', dtype, shape: [70_000] },
    { name: 'moves', dtype, shape: [20] },
  ];
  const random = seededRandom(23);
  const states = [randomTensors(specs, random)];
  for (let step = 0; step < 3; step++) {
    const next = states[step]!.clone();
    patternsOf(next.arrays[1]!, dtype)[step]! ^= 1;
    if (step === 0) patternsOf(next.arrays[0]!, dtype)[69_999]! ^= 1;
    states.push(next);
  }
  const [sender, receiver] = [begin(states[0]!), begin(states[0]!)];
  for (const target of states.slice(1)) receive(receiver, send(sender, target));
  const marks = receiver.marks.arrays[0]!;
  expect([marks[0], marks[69_998], marks[69_999]! & 63]).toEqual([63, 63, 2]);
  expect([...receiver.marks.arrays[1]!.subarray(0, 4)].map((mark) => mark & 63)).toEqual([2, 1, 0, 63]);
  expect(equalMarks(sender.marks, receiver.marks)).toBe(true);
});

describe('the first patch of a history', () => {
  const random = seededRandom(24);
  const base = randomTensors(SPECS, random);
  const target = movedTensors(base, random, 50);
  const side = begin(base);
  const patch = send(side, target);

  test('is read without marks too', () => {
    const got = patched(patch, { base });
    expect(sameTensors(got.tensors, target)).toBe(true);
    expect(got.head).toEqual(FRESH);
  });

  test('has the code of the patch that keeps none', () => {
    const plain = patchOf({ base, target });
    const body = plain.patch.subarray(plain.header.length);
    expect(toHex(patch.subarray(patch.length - body.length))).toBe(toHex(body));
    expect(patch.length).toBe(plain.patch.length + 9);
  });

  test('a patch without history leaves marks alone and makes the head fresh', () => {
    const plain = patchOf({ base: target, target: base }).patch;
    const before = side.marks.clone();
    const got = patched(plain, { base: target, marks: side.marks, head: side.head });
    expect(got.head).toEqual(FRESH);
    expect(equalMarks(before, side.marks)).toBe(true);
  });
});

describe('a patch of a history is refused', () => {
  const random = seededRandom(25);
  const states = [randomTensors(SPECS, random)];
  for (let step = 0; step < 3; step++) states.push(movedTensors(states[step]!, random, 40));
  const side = begin(states[0]!);
  send(side, states[1]!);
  const second = { marks: side.marks.clone(), head: side.head };
  const patch = send(side, states[2]!);
  const base = states[1]!;
  const code = (input: { marks?: MemoryMarks; head?: HistoryHead }, bytes = patch) =>
    codeOf(() => patched(bytes, { base, ...input, ...(input.marks ? { marks: input.marks.clone() } : {}) }));

  test('by nobody who holds that history', async () => {
    expect(await code(second)).toBe('none');
  });

  test('without marks', async () => {
    expect(await code({})).toBe('PATCH_HISTORY_MISMATCH');
    expect(await code({ head: second.head })).toBe('PATCH_HISTORY_MISMATCH');
  });

  test('with a fresh history', async () => {
    expect(await code({ marks: new MemoryMarks(SPECS), head: FRESH })).toBe('PATCH_HISTORY_MISMATCH');
    expect(await code({ marks: second.marks })).toBe('PATCH_HISTORY_MISMATCH');
  });

  test('with a history of another number of patches', async () => {
    expect(await code({ ...second, head: { ...second.head, steps: 2 } })).toBe('PATCH_HISTORY_MISMATCH');
  });

  test('with a history of any other tag', async () => {
    for (let at = 0; at < 8; at++) {
      const tag = second.head.tag.with(at, second.head.tag[at]! ^ 1);
      expect(await code({ ...second, head: { ...second.head, tag } }), `byte ${at}`).toBe(
        'PATCH_HISTORY_MISMATCH',
      );
    }
  });

  test('when the number of patches or the tag in its header was changed', async () => {
    const at = 7 + 64;
    expect(patch[at]).toBe(1);
    for (let i = 0; i <= 8; i++) {
      // Fresh, with a tag, is no history at all.
      const expected = i === 0 ? ['PATCH_FORMAT', 'PATCH_HISTORY_MISMATCH'] : ['PATCH_HISTORY_MISMATCH'];
      for (const flip of [1, 2, 128]) {
        const codes = await code(second, patch.with(at + i, patch[at + i]! ^ flip));
        expect(i === 0 && flip === 128 ? [...expected, 'PATCH_BASE_MISMATCH'] : expected).toContain(codes);
      }
    }
  });

  test('by marks of which one byte is another, unless none of its code depends on it', async () => {
    let refused = 0;
    for (let at = 0; at < 40; at++) {
      const marks = second.marks.clone();
      marks.arrays[0]![at * 70]! ^= 0x21;
      const result = await code({ marks, head: second.head });
      if (result === 'none') continue;
      expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH']).toContain(result);
      refused++;
    }
    expect(refused).toBeGreaterThan(30);
  });

  test('whenever a byte of its models is damaged, and stops for none', () => {
    const { models } = second.head;
    const codes = new Set<string>();
    for (let at = 0; at < models.length; at++) {
      for (const value of [0, 0xff, models[at]! ^ 1, models[at]! ^ 0x80]) {
        if (value === models[at]) continue;
        const head = { ...second.head, models: models.with(at, value) };
        try {
          const got = patched(patch, { base, marks: second.marks.clone(), head });
          // A model that this patch asks nothing of.
          if (!sameTensors(got.tensors, states[2]!)) expect.fail(`byte ${at}`);
        } catch (error) {
          codes.add((error as { code: string }).code);
        }
      }
      if (at > 400 && process.env.GRAIL_LONG === undefined) break;
    }
    expect([...codes]).toEqual(expect.arrayContaining(['PATCH_FORMAT', 'PATCH_HISTORY_MISMATCH']));
    codes.delete('PATCH_TARGET_MISMATCH');
    expect(codes.size).toBe(2);
  });

  test.each<[string, (models: Uint8Array) => Uint8Array]>([
    ['of an unknown type', (models) => models.with(0, 5)],
    ['that say that they are longer than they are', (models) => models.with(1, 1)],
    ['that end in the midst of a length', (models) => Uint8Array.of(...models, 0, 0)],
    ['of which the last byte is missing', (models) => models.subarray(0, -1)],
    ['that move nothing', () => Uint8Array.of(0, 0, 0, 0, 2, 1, 0)],
    ['that stay where they are', () => Uint8Array.of(0, 0, 0, 0, 4, 1, 1, 0, 1)],
    ['with a number that is not in its shortest form', () => Uint8Array.of(0, 0, 0, 0, 3, 0x81, 0, 1)],
    ['with a word of more than 32 bits', () => Uint8Array.of(0, 0, 0, 0, 6, 1, 0x80, 0x80, 0x80, 0x80, 0x10)],
    ['beyond the last one', () => Uint8Array.of(0, 0, 0, 0, 4, 0x81, 0x80, 0x7f, 1)],
    [
      'with a chance of nothing',
      () => Uint8Array.of(0, 0, 0, 0, 8, 0x81, 0x80, 1, 0x80, 0x80, 0x80, 0x80, 8),
    ],
  ])('with models %s, by encoder and decoder', async (_, damage) => {
    const head = { ...second.head, models: damage(second.head.models) };
    expect(await code({ marks: second.marks, head })).toBe('PATCH_HISTORY_MISMATCH');
    const encode = () => patchOf({ base, target: states[2]!, marks: second.marks.clone(), head });
    expect(await codeOf(encode)).toBe('PATCH_HISTORY_MISMATCH');
  });
});
