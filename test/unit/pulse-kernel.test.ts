import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { encodeSpecs } from '../../src/pulse/format.ts';
import { MemoryTensors, stateId, type TensorSpec } from '../../src/pulse/index.ts';
import { Kernel } from '../../src/pulse/kernel.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { DTYPES, patternsOf, randomTensors, seededRandom } from '../support/pulse.ts';

// That src/pulse/binary.ts is what assembly/pulse/ compiles to is in simd.test.ts, with the other kernels.

/** `NAME = number` of a source, for numbers and what is computed from those before. */
function constantsOf(...path: string[]): Map<string, number> {
  const text = readFileSync(join(packageRoot(), ...path), 'utf8');
  const found = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^(?:export )?const ([A-Z0-9_]+)(?:: \w+)? = ([^;]+);/gm)) {
    const terms = value!.split('+').map((term) =>
      term
        .split('*')
        .map((factor) => factor.trim())
        .map((factor) => found.get(factor) ?? Number(factor.replaceAll('_', '')))
        .reduce((product, factor) => product * factor, 1),
    );
    found.set(
      name!,
      terms.reduce((sum, term) => sum + term, 0),
    );
  }
  return found;
}

test('the addresses that src/pulse/kernel.ts knows are those of the kernel’s layout', () => {
  const layout = constantsOf('assembly', 'pulse', 'layout.ts');
  const own = constantsOf('src', 'pulse', 'kernel.ts');
  expect(own.get('MODELS')).toBe(layout.get('WEIGHTS'));
  expect(own.get('BITS_END')).toBe(layout.get('BITS')! + 4 * layout.get('BITS_END')!);
  const same = [
    'BITS',
    'ACTIVITY',
    'MODELS_END',
    'BASE_BLOCK',
    'TARGET_BLOCK',
    'MARKS_BLOCK',
    'CODE',
    'BLOCK',
  ];
  for (const name of same) {
    expect(layout.get(name), name).toBeTypeOf('number');
    expect(own.get(name), name).toBe(layout.get(name));
  }
  // Nothing lies in anything else: tables in the order of their addresses.
  const sizes: [string, number][] = [
    ...(['HAZARDS', 'SEEN', 'CHANGED'] as const).map((name): [string, number] => [name, 4 * 256 * 128]),
    ...(['WEIGHTS', 'CHANGES'] as const).map((name): [string, number] => [name, 4 * 256 * 32]),
    ['BITS', 4 * layout.get('BITS_END')!],
    ['SYMBOLS', 4 * 1024],
    ['ACTIVITY', 16 * 16],
    ['CHANCE', 8 * 512],
    ['CHANCE_INDEX', 2 * 512],
    ['BUCKET', 64],
    ['INT8_CLASS', 256],
    ['RATES', 512],
    ['PLACES', 8 * 1024],
    ['SINCE', 16],
    ['DUE', 16],
    ['OFFSETS', 64],
    ['STARTS', 2048],
    ['FREQUENCIES', 2048],
    ['LOOKUP', 4 * 4096],
    ['BASE_BLOCK', 4 * 65_536],
    ['TARGET_BLOCK', 4 * 65_536],
    ['MARKS_BLOCK', 65_536],
    ['CODE', 0],
  ];
  for (const [i, [name, size]] of sizes.slice(0, -1).entries()) {
    const next = layout.get(sizes[i + 1]![0])!;
    expect(layout.get(name)! + size, `${name} ends before ${sizes[i + 1]![0]}`).toBeLessThanOrEqual(next);
  }
});

describe('models', () => {
  test('of a kernel that has seen nothing are none', () => {
    const kernel = Kernel.acquire();
    kernel.loadModels(new Uint8Array(0));
    expect(kernel.saveModels()).toEqual(new Uint8Array(0));
    kernel.release();
  });

  test('come back as they were, whatever the kernel did in between', () => {
    const kernel = Kernel.acquire();
    const random = seededRandom(71);
    const specs: TensorSpec[] = [{ name: 'w', dtype: 'bf16', shape: [3000] }];
    const code = (seed: number) => {
      const base = randomTensors(specs, seededRandom(seed)).arrays[0]!;
      const target = base.map((byte) => (random(30) === 0 ? byte ^ 1 : byte));
      kernel.run.startEncoder();
      kernel.run.startPatch(0);
      kernel.run.startTensor(0n, 3000n);
      kernel.loadMarks(null, 0, 3000);
      kernel.loadBase('bf16', base, 0, 3000);
      kernel.loadTarget('bf16', target, 0, 3000);
      kernel.run.encodeHead(0, 3000, 8, 0, 0);
      kernel.run.scaleBlock(0, 3000);
      kernel.encodeBlock('bf16', 3000);
      kernel.run.encodeEnd();
      kernel.run.finishEncoder();
      kernel.drain();
    };
    kernel.loadModels(new Uint8Array(0));
    code(1);
    const saved = kernel.saveModels();
    expect(saved.length).toBeGreaterThan(100);
    code(2);
    expect(toHex(kernel.saveModels())).not.toBe(toHex(saved));
    kernel.loadModels(saved);
    expect(toHex(kernel.saveModels())).toBe(toHex(saved));
    kernel.release();
  });
});

test('a kernel that is in use is nobody else’s', () => {
  const first = Kernel.acquire();
  const second = Kernel.acquire();
  expect(second).not.toBe(first);
  first.release();
  expect(Kernel.acquire()).toBe(first);
  first.release();
  second.release();
});

/** The state id of docs/PROTOCOL.md, PULSE, in big integers. */
function idByDefinition({ specs, arrays }: MemoryTensors): string {
  const u64 = (value: bigint) => BigInt.asUintN(64, value);
  const mix = (value: bigint) => {
    let x = value;
    x = u64((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n);
    x = u64((x ^ (x >> 27n)) * 0x94d049bb133111ebn);
    return x ^ (x >> 31n);
  };
  const lanes = [0x243f6a8885a308d3n, 0x13198a2e03707345n].map((constant, lane) => {
    let sum = 0n;
    for (const [tensor, { dtype }] of specs.entries()) {
      for (const [at, value] of patternsOf(arrays[tensor]!, dtype).entries()) {
        const segment = BigInt(tensor) * 2n ** 40n + BigInt(Math.floor(at / 512));
        const place = BigInt(512 * lane + (at % 512) + 1);
        const multiplier = mix(u64(2n * segment + constant)) | 1n;
        sum += multiplier * (mix(u64(0x9e3779b97f4a7c15n * place)) | 1n) * BigInt(value);
      }
    }
    return u64(sum).toString(16).padStart(16, '0');
  });
  const schema = toHex(sha256(tag('pulse-tensors'), encodeSpecs(specs))).slice(0, 34);
  return schema + lanes.join('');
}

test('ids of states are what the protocol defines', () => {
  const random = seededRandom(72);
  const specs: TensorSpec[] = [
    ...DTYPES.map((dtype, i): TensorSpec => ({ name: dtype, dtype, shape: [i, 600] })),
    { name: 'scalar', dtype: 'f32', shape: [] },
  ];
  for (let round = 0; round < 3; round++) {
    const state = randomTensors(specs, random);
    expect(toHex(stateId(state))).toBe(idByDefinition(state));
  }
  expect(toHex(stateId(new MemoryTensors([])))).toBe(idByDefinition(new MemoryTensors([])));
});

test('an id changes with any element, name, type or dimension', () => {
  const random = seededRandom(73);
  const specs: TensorSpec[] = [
    { name: 'a', dtype: 'bf16', shape: [5, 130] },
    { name: 'b', dtype: 'f16', shape: [3] },
  ];
  const state = randomTensors(specs, random);
  const ids = new Set([toHex(stateId(state))]);
  for (const [tensor, array] of state.arrays.entries()) {
    for (let at = 0; at < array.length; at++) {
      const other = state.clone();
      other.arrays[tensor]![at]! ^= 1 << (at % 8);
      ids.add(toHex(stateId(other)));
    }
  }
  const [a, b] = [specs[0]!, specs[1]!];
  const others = [
    [{ ...a, name: 'c' }, b],
    [{ ...a, dtype: 'f16' as const }, b],
    [{ ...a, shape: [130, 5] }, b],
    [{ ...a, shape: [650] }, b],
    [a, { ...b, shape: [3, 1] }],
  ];
  for (const list of others) ids.add(toHex(stateId(new MemoryTensors(list, state.arrays))));
  expect(ids.size).toBe(1 + 2 * 650 + 2 * 3 + others.length);
});
