import { describe, expect, test } from 'vitest';
import { concat, toHex } from '../../src/protocol/bytes.ts';
import {
  byteSource,
  MemoryMarks,
  MemoryTensors,
  readHeader,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import {
  codeOf,
  countChanges,
  DTYPES,
  movedTensors,
  patched,
  patchOf,
  patternsOf,
  randomTensors,
  sameTensors,
  seededRandom,
} from '../support/pulse.ts';

const ID_AT = 7;

describe.each(DTYPES)('an overwriting patch of %s', (dtype) => {
  const random = seededRandom(31);
  const specs: TensorSpec[] = [
    { name: 'a', dtype, shape: [130, 70] },
    { name: 'b', dtype, shape: [40] },
    { name: 'c', dtype, shape: [66_000] },
  ];
  const base = randomTensors(specs, random);
  const target = movedTensors(base, random, 30);
  const { patch, baseId } = patchOf({ base, target, overwrite: true });

  test('gives the target when it is applied again', () => {
    const once = patched(patch, { base }).tensors;
    const twice = patched(patch, { base: once }).tensors;
    expect(sameTensors(once, target)).toBe(true);
    expect(sameTensors(twice, target)).toBe(true);
  });

  test('gives the target on a base that has some of its values', () => {
    for (const half of [0, 1]) {
      const mixed = base.clone();
      for (const [tensor, array] of mixed.arrays.entries()) {
        const [from, to] = [patternsOf(array, dtype), patternsOf(target.arrays[tensor]!, dtype)];
        for (let at = half; at < from.length; at += 2) from[at] = to[at]!;
      }
      const got = patched(patch, { base: mixed, baseId: stateId(mixed) });
      expect(sameTensors(got.tensors, target)).toBe(true);
      expect(sameTensors(patched(patch, { base: mixed }).tensors, target)).toBe(true);
      // It writes what it holds, whether it was there or not.
      expect(got.changed).toBe(countChanges(base, target));
    }
  });

  test('is refused by a base that differs where it writes nothing', async () => {
    const patterns = (tensors: MemoryTensors) => patternsOf(tensors.arrays[0]!, dtype);
    const still = patterns(base).findIndex((value, at) => value === patterns(target)[at]);
    const other = base.clone();
    patterns(other)[still]! ^= 1;
    expect(await codeOf(() => patched(patch, { base: other }))).toBe('PATCH_TARGET_MISMATCH');
    expect(await codeOf(() => patched(patch, { base: other, baseId: stateId(other) }))).toBe(
      'PATCH_TARGET_MISMATCH',
    );
  });

  test('is refused by a half-applied base that says that it is not', async () => {
    const mixed = base.clone();
    mixed.arrays[1]!.set(target.arrays[1]!);
    mixed.arrays[0]!.set(target.arrays[0]!);
    const code = await codeOf(() => patched(patch, { base: mixed, baseId }));
    expect(['PATCH_FORMAT', 'PATCH_TARGET_MISMATCH']).toContain(code);
  });

  test('of its own base holds nothing that did not change', async () => {
    // The same code, in front of which stands the id of a base that has some of its values already.
    const mixed = base.clone();
    mixed.arrays[2]!.set(target.arrays[2]!);
    const swapped = concat(patch.subarray(0, ID_AT), stateId(mixed), patch.subarray(ID_AT + 32));
    expect(sameTensors(patched(patch, { base: mixed }).tensors, target)).toBe(true);
    expect(await codeOf(() => patched(swapped, { base: mixed }))).toBe('PATCH_FORMAT');
    expect(await codeOf(() => patched(swapped, { base: mixed, baseId: stateId(mixed) }))).toBe(
      'PATCH_FORMAT',
    );
    const own = patchOf({ base: mixed, target, overwrite: true }).patch;
    expect(sameTensors(patched(own, { base: mixed }).tensors, target)).toBe(true);
  });

  test('says so in its header and has no history', () => {
    const header = readHeader(byteSource(patch));
    expect([header.overwrite, header.keepsHistory, header.rooted]).toEqual([true, false, false]);
  });
});

test('a patch that does not overwrite is refused when it is applied again', async () => {
  const random = seededRandom(32);
  const base = randomTensors([{ name: 'w', dtype: 'bf16', shape: [500] }], random);
  const target = movedTensors(base, random, 100);
  const { patch } = patchOf({ base, target });
  expect(await codeOf(() => patched(patch, { base: target }))).toBe('PATCH_BASE_MISMATCH');
});

test('no encoder makes an overwriting patch with a history, or either between roots', () => {
  const base = new MemoryTensors([{ name: 'w', dtype: 'int8', shape: [2] }]);
  const marks = new MemoryMarks(base.specs);
  const roots = { base: new Uint8Array(32), target: new Uint8Array(32) };
  for (const options of [
    { overwrite: true, marks },
    { overwrite: true, roots },
    { marks, roots },
  ]) {
    expect(() => patchOf({ base, target: base, ...options })).toThrow(RangeError);
  }
});

test('patches one after the other lead to the state that one patch over all of them leads to', () => {
  const random = seededRandom(33);
  const specs: TensorSpec[] = [
    { name: 'a', dtype: 'bf16', shape: [50, 64] },
    { name: 'b', dtype: 'int32', shape: [50] },
  ];
  const states = [randomTensors(specs, random)];
  for (let step = 0; step < 8; step++) states.push(movedTensors(states[step]!, random, 30));
  const ends = { base: states[0]!, target: states[8]! };
  for (const overwrite of [false, true]) {
    let state = states[0]!;
    let bytes = 0;
    for (const target of states.slice(1)) {
      const { patch } = patchOf({ base: state, target, overwrite });
      bytes += patch.length;
      state = patched(patch, { base: state }).tensors;
    }
    const merged = patchOf({ ...ends, overwrite });
    expect(sameTensors(patched(merged.patch, { base: states[0]! }).tensors, state)).toBe(true);
    expect(toHex(merged.targetId)).toBe(toHex(stateId(state)));
    expect(merged.patch.length).toBeLessThan(bytes);
  }
});
