import { describe, expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { concat, equalBytes, fromHex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalText } from '../../src/protocol/canonical.ts';
import {
  applyPolicyPatch,
  decodePolicyAnchor,
  encodePolicyAnchor,
  encodePolicyPatch,
  FRESH,
  type HistoryHead,
  MemoryMarks,
  type MemoryTensors,
  stateId,
} from '../../src/pulse/index.ts';
import { chainOf, forReference, fromReference, mixedSpecs, movedBlocks } from '../helpers/pulse-chains.ts';
import { CASES, digest, type Golden } from '../helpers/pulse-golden.ts';
import * as reference from '../helpers/pulse-reference/index.ts';
import {
  anchored,
  anchorOf,
  denseArchitecture,
  patched,
  patchOf,
  randomPolicy,
  randomUpdate,
  sameTensors,
  seededRandom,
  vectorOf,
} from '../support/pulse.ts';
import GOLDEN from './pulse.json' with { type: 'json' };

/**
 * PULSE held to test/helpers/pulse-reference, which was written from docs/PROTOCOL.md alone: the examples of that page, chains of
 * seeded states, and the lengths and digests of pulse.json, so that the format does not change unseen.
 */

const LONG = process.env.GRAIL_LONG !== undefined;
const limits = { timeout: LONG ? 3_600_000 : 120_000 };

const tensorsOfPolicy = ({ architecture, layers }: Policy): reference.Tensor[] =>
  layers.flatMap(({ weight, bias }, i): reference.Tensor[] => {
    const rows = bias.length;
    const name = `${architecture.layers[i]!.type}`;
    return [
      {
        name,
        type: 'int8',
        shape: [rows, weight.length / rows],
        values: Uint32Array.from(weight, (w) => w & 255),
      },
      { name, type: 'int32', shape: [rows], values: Uint32Array.from(bias, (b) => b >>> 0) },
    ];
  });

describe('the worked example of a policy', () => {
  const BASE_ROOT = '9f5a98ca3b53253e5a6c1579f86d534e1e8b58b4973a336d654c6d356215a858';
  const TARGET_ROOT = '5b353fe1f9782c690fa14c90741b29bd07ed79dda16ae6f2da6ca36d343697df';
  const ARCHITECTURE =
    '{"actions":2,"layers":[{"biasMax":64,"in":2,"out":2,"shift":1,"type":"dense"}],"observation":2}';
  const PATCH = `0x50554c53020104${BASE_ROOT}${TARGET_ROOT}021202022102846fe22a59`;
  const ANCHOR = `0x50554c53020204${BASE_ROOT}5f${toHex(utf8(ARCHITECTURE)).slice(2)}0212020221028db2d0b9`;
  const architecture = {
    observation: 2,
    actions: 2,
    layers: [{ type: 'dense' as const, in: 2, out: 2, shift: 1, biasMax: 64 }],
  };
  const policy = (weight: number[], bias: number[]): Policy => ({
    architecture,
    layers: [{ weight: Int8Array.from(weight), bias: Int32Array.from(bias) }],
  });
  const base = policy([1, -2, 3, 4], [0, 8]);
  const target = policy([1, -1, 3, 1], [-16, 8]);
  const [baseRoot, targetRoot] = [policyRoot(base), policyRoot(target)];
  const [from, to] = [tensorsOfPolicy(base), tensorsOfPolicy(target)];

  test('has these roots', () => {
    expect([toHex(baseRoot), toHex(targetRoot)]).toEqual([`0x${BASE_ROOT}`, `0x${TARGET_ROOT}`]);
    expect(toHex(reference.idOf(from, ARCHITECTURE))).toBe(`0x${BASE_ROOT}`);
    expect(toHex(reference.idOf(to, ARCHITECTURE))).toBe(`0x${TARGET_ROOT}`);
  });

  test('has this patch of 82 bytes, which gives the target', () => {
    const patch = encodePolicyPatch({ base, target, baseRoot, targetRoot });
    expect(patch.length).toBe(82);
    expect(toHex(patch)).toBe(PATCH);
    expect(applyPolicyPatch(base, baseRoot, patch, targetRoot)).toEqual(target);
    const made = reference.encodePatch(from, to, { architecture: ARCHITECTURE });
    expect(toHex(made.bytes)).toBe(PATCH);
    expect(made.heads).toEqual([
      { q: 4, z: 0, byRows: 0 },
      { q: 4, z: 4, byRows: 0 },
    ]);
    const applied = reference.applyPatch(from, patch, reference.freshHistory(from), ARCHITECTURE);
    expect(applied.tensors.map(({ values }) => [...values])).toEqual([
      [1, 255, 3, 1],
      [2 ** 32 - 16, 8],
    ]);
  });

  test('has this anchor of 145 bytes, which gives the base', () => {
    const anchor = encodePolicyAnchor(base);
    expect(anchor.length).toBe(145);
    expect(toHex(anchor)).toBe(ANCHOR);
    expect(decodePolicyAnchor(anchor, baseRoot)).toEqual(base);
    expect(toHex(reference.encodeAnchor(from, ARCHITECTURE))).toBe(ANCHOR);
    expect(reference.decodeAnchor(anchor).map(({ values }) => [...values])).toEqual([
      [1, 254, 3, 4],
      [0, 8],
    ]);
  });
});

describe('the worked example of a history', () => {
  const SHAPES = '010177320204';
  const states = [
    '3c00 bc01 0000 8000 3c7f 7fc1 3b80 0001',
    '3c01 bc01 8000 8000 3c80 7fc1 3b80 8002',
    '3c00 bc01 8000 8001 3c80 7fc1 3b83 8002',
  ].map((patterns): reference.Tensor[] => {
    const values = Uint32Array.from(patterns.split(' '), (pattern) => Number.parseInt(pattern, 16));
    return [{ name: 'w', type: 'bf16', shape: [2, 4], values }];
  });
  const held = states.map(fromReference);
  const IDS = [
    'ee527aa175a29eae09a14361ce4f5a56',
    '0a6e6a9680bdefafeec8f3e72cc6cf81',
    '0a92bd2168fb4306598c1fd8e7a3ae58',
  ].map((hash) => `0x783d4d144837b172730d582d9c1f8f63${hash}`);
  const PATCHES = [
    { history: '000000000000000000', code: '840cf661', marks: '003f003f003f3f00', tag: 'ce0bef2247db489a' },
    { history: '01ce0bef2247db489a', code: '7a9c22', marks: 'c03f0100013f0001', tag: '8a6ed0c3d3d1720e' },
  ];

  test('has these ids', () => {
    expect(held.map((state) => toHex(stateId(state)))).toEqual(IDS);
    expect(states.map((state) => toHex(reference.stateIdOf(state)))).toEqual(IDS);
  });

  test('has these patches, marks and tags', () => {
    const marks = new MemoryMarks(held[0]!.specs);
    const received = marks.clone();
    let head: HistoryHead = FRESH;
    let history = reference.freshHistory(states[0]!);
    for (const [i, expected] of PATCHES.entries()) {
      const [base, target] = [held[i]!, held[i + 1]!];
      const ids = IDS.slice(i, i + 2).map((id) => id.slice(2));
      const bytes = `0x50554c53020102${ids.join('')}${expected.history}${SHAPES}${expected.code}`;
      const result = patchOf({ base, target, marks, head });
      expect(toHex(result.patch)).toBe(bytes);
      const applied = patched(result.patch, { base, marks: received, head });
      expect(sameTensors(applied.tensors, target)).toBe(true);
      const made = reference.encodePatch(states[i]!, states[i + 1]!, { history });
      expect(toHex(made.bytes)).toBe(bytes);
      const decoded = reference.applyPatch(states[i]!, result.patch, history);
      expect(decoded.tensors).toEqual(states[i + 1]);
      for (const after of [marks.arrays, received.arrays, made.history.marks, decoded.history.marks]) {
        expect(after.map(toHex)).toEqual([`0x${expected.marks}`]);
      }
      for (const { tag } of [result.head, applied.head, made.history, decoded.history]) {
        expect(toHex(tag)).toBe(`0x${expected.tag}`);
      }
      head = result.head;
      history = made.history;
    }
  });

  test('has this patch without a history, this one that overwrites, and this anchor', () => {
    const [base, target] = [held[0]!, held[1]!];
    const ids = `${IDS[0]!.slice(2)}${IDS[1]!.slice(2)}`;
    const plain = `0x50554c53020100${ids}${SHAPES}${PATCHES[0]!.code}`;
    const overwriting = `0x50554c53020101${ids}${SHAPES}842fdee0f73afcbc3142`;
    const anchor = `0x50554c53020200${IDS[0]!.slice(2)}00${SHAPES}78007880fffff8fffffeff41767f8782`;
    expect(toHex(patchOf({ base, target }).patch)).toBe(plain);
    expect(toHex(reference.encodePatch(states[0]!, states[1]!).bytes)).toBe(plain);
    expect(toHex(patchOf({ base, target, overwrite: true }).patch)).toBe(overwriting);
    expect(toHex(reference.encodePatch(states[0]!, states[1]!, { overwrite: true }).bytes)).toBe(overwriting);
    expect(toHex(anchorOf(base))).toBe(anchor);
    expect(toHex(reference.encodeAnchor(states[0]!))).toBe(anchor);
    expect(sameTensors(anchored(fromHex(anchor)), base)).toBe(true);
  });
});

describe('the golden vectors', () => {
  const golden = GOLDEN as readonly Golden[];

  test('are of the cases that stand here', () => {
    expect(golden.map(({ name }) => name)).toEqual(CASES.map(([name]) => name));
  });

  test.each(CASES)('%s', limits, (name, statesOf) => {
    const states = statesOf();
    const [base, target] = [states[0]!, states[1]!];
    const marks = new MemoryMarks(base.specs);
    const received = marks.clone();
    let head: HistoryHead = FRESH;
    const history: string[] = [];
    for (const [i, next] of states.slice(1).entries()) {
      const result = patchOf({ base: states[i]!, target: next, marks, head });
      history.push(digest(result.patch));
      const applied = patched(result.patch, { base: states[i]!, marks: received, head });
      expect(sameTensors(applied.tensors, next)).toBe(true);
      head = result.head;
    }
    const anchor = anchorOf(base);
    const patch = patchOf({ base, target }).patch;
    const overwriting = patchOf({ base, target, overwrite: true }).patch;
    expect({
      name,
      anchor: digest(anchor),
      patch: digest(patch),
      overwrite: digest(overwriting),
      history,
    }).toEqual(golden.find((entry) => entry.name === name));
    expect(sameTensors(anchored(anchor), base)).toBe(true);
    expect(sameTensors(patched(patch, { base }).tensors, target)).toBe(true);
    expect(sameTensors(patched(overwriting, { base }).tensors, target)).toBe(true);
  });
});

/** Both codecs on one chain, each reading what the other wrote; what a reader must have met to say that it was covered. */
class Comparison {
  readonly met = { patches: 0, byRows: 0, zeros: 0, unchanged: 0 };

  anchor(state: MemoryTensors, at: string): void {
    const tensors = forReference(state);
    const anchor = anchorOf(state);
    expect(equalBytes(anchor, reference.encodeAnchor(tensors)), `anchor, ${at}`).toBe(true);
    expect(equalBytes(stateId(state), reference.stateIdOf(tensors)), `id, ${at}`).toBe(true);
    const read = fromReference(reference.decodeAnchor(anchor));
    expect(sameTensors(read, state), `the reference reads the anchor, ${at}`).toBe(true);
    expect(sameTensors(anchored(anchor), state), `the anchor is read, ${at}`).toBe(true);
  }

  patch(base: MemoryTensors, target: MemoryTensors, overwrite: boolean, at: string): void {
    const from = forReference(base);
    const { patch } = patchOf({ base, target, overwrite });
    const made = reference.encodePatch(from, forReference(target), { overwrite });
    expect(equalBytes(patch, made.bytes), at).toBe(true);
    this.#count(made);
    const read = fromReference(reference.applyPatch(from, patch, reference.freshHistory(from)).tensors);
    expect(sameTensors(read, target), `the reference reads it, ${at}`).toBe(true);
    expect(sameTensors(patched(patch, { base }).tensors, target), `it is read, ${at}`).toBe(true);
  }

  history(states: readonly MemoryTensors[], at: string): void {
    const marks = new MemoryMarks(states[0]!.specs);
    const received = marks.clone();
    let from = forReference(states[0]!);
    let head: HistoryHead = FRESH;
    let history = reference.freshHistory(from);
    for (const [i, target] of states.slice(1).entries()) {
      const where = `patch ${i} of a history, ${at}`;
      const base = states[i]!;
      const result = patchOf({ base, target, marks, head });
      const to = forReference(target);
      const made = reference.encodePatch(from, to, { history });
      expect(equalBytes(result.patch, made.bytes), where).toBe(true);
      this.#count(made);
      const read = reference.applyPatch(from, result.patch, history);
      expect(sameTensors(fromReference(read.tensors), target), `the reference reads it, ${where}`).toBe(true);
      const applied = patched(result.patch, { base, marks: received, head });
      expect(sameTensors(applied.tensors, target), `it is read, ${where}`).toBe(true);
      expect(equalBytes(applied.head.models, result.head.models), `models, ${where}`).toBe(true);
      for (const [t, array] of marks.arrays.entries()) {
        const all = [made.history.marks[t]!, read.history.marks[t]!, received.arrays[t]!];
        expect(
          all.every((other) => equalBytes(other, array)),
          `marks, ${where}`,
        ).toBe(true);
      }
      from = to;
      head = result.head;
      history = made.history;
    }
  }

  #count({ heads }: reference.Made): void {
    this.met.patches++;
    for (const made of heads) {
      if (made === null) this.met.unchanged++;
      else if (made.byRows === 1) this.met.byRows++;
      else if (made.z > 0) this.met.zeros++;
    }
  }
}

describe('the reference and the product', () => {
  test('code seeded chains alike, and read each other', limits, () => {
    const comparison = new Comparison();
    const chains = LONG ? 5000 : 120;
    for (let seed = 1; seed <= chains; seed++) {
      const at = `chain ${seed}`;
      const states = chainOf(mixedSpecs(seed), seed, 1 + (seed % 6));
      comparison.anchor(states.at(-1)!, at);
      comparison.history(states, at);
      comparison.patch(states[0]!, states.at(-1)!, false, at);
      comparison.patch(states.at(-1)!, states[0]!, true, at);
    }
    const { met } = comparison;
    expect(met.patches).toBeGreaterThan(4 * chains);
    expect(Math.min(met.byRows, met.zeros, met.unchanged)).toBeGreaterThan(chains / 5);
  });

  test('code a history of more patches than an age counts alike', limits, () => {
    const comparison = new Comparison();
    const specs = [
      { name: 'matrix', dtype: 'bf16', shape: [12, 70] },
      { name: 'vector', dtype: 'int8', shape: [200] },
      { name: 'scalars', dtype: 'f32', shape: [9, 11] },
    ] as const;
    for (let seed = 1; seed <= (LONG ? 20 : 1); seed++) {
      comparison.history(chainOf(specs, seed, 100), `chain ${seed}`);
    }
  });

  test('code policies alike', limits, () => {
    for (let seed = 1; seed <= (LONG ? 1000 : 25); seed++) {
      const random = seededRandom(seed);
      const widths = Array.from({ length: 2 + random(2) }, () => 2 + random(90));
      const architecture = denseArchitecture(widths);
      const base = randomPolicy(architecture, random);
      const target = randomUpdate(base, random, 1 + random(400));
      const text = canonicalText(architecture);
      const [from, to] = [tensorsOfPolicy(base), tensorsOfPolicy(target)];
      const [baseRoot, targetRoot] = [policyRoot(base), policyRoot(target)];
      const patch = encodePolicyPatch({ base, target, baseRoot, targetRoot });
      const made = reference.encodePatch(from, to, { architecture: text });
      expect(toHex(patch), `policy ${seed}`).toBe(toHex(made.bytes));
      const read = reference.applyPatch(from, patch, reference.freshHistory(from), text);
      expect(read.tensors, `policy ${seed}`).toEqual(to);
      const anchor = encodePolicyAnchor(target);
      expect(toHex(anchor), `policy ${seed}`).toBe(toHex(reference.encodeAnchor(to, text)));
      const values = (tensors: readonly reference.Tensor[]) => tensors.map((tensor) => tensor.values);
      expect(values(reference.decodeAnchor(anchor)), `policy ${seed}`).toEqual(values(to));
    }
  });

  const large: [name: string, dtype: 'bf16' | 'f32' | 'int8' | 'int32', shape: number[], rarity: number][] = [
    ['rows across blocks', 'bf16', [72, 1000], 5],
    ...(LONG
      ? ([
          ['integers in rows across blocks', 'int8', [400, 192], 3],
          ['int32, three blocks', 'int32', [160, 1000], 9],
          ['16 blocks, the last of one element', 'bf16', [983_041], 2],
          ['16 blocks', 'f32', [1_048_576], 30],
          ['17 blocks', 'bf16', [5600, 192], 8],
          ['23 blocks', 'int8', [1500, 1000], 50],
          ['17 blocks of int32', 'int32', [1100, 1000], 20],
        ] as [string, 'bf16' | 'f32' | 'int8' | 'int32', number[], number][])
      : []),
  ];

  test.each(large)('code large tensors alike: %s', limits, (name, dtype, shape, rarity) => {
    const comparison = new Comparison();
    const random = seededRandom(rarity);
    const states = chainOf([{ name, dtype, shape }], rarity, 2);
    states.push(movedBlocks(states.at(-1)!, (block) => block % 8 > 2, 1 << (rarity % 9), random));
    states.push(movedBlocks(states.at(-1)!, (block) => block % 2 === 0, 1000, random));
    comparison.history(states, name);
    comparison.anchor(states[1]!, name);
    comparison.patch(states[0]!, states.at(-1)!, false, name);
    comparison.patch(states[0]!, states.at(-1)!, true, name);
  });

  test('refuse what is not the one code: any other byte, a byte more, a byte less', limits, () => {
    const [base, target] = chainOf([{ name: 'w', dtype: 'bf16', shape: [5, 9] }], 3, 1) as [
      MemoryTensors,
      MemoryTensors,
    ];
    const { patch } = patchOf({ base, target });
    const from = forReference(base);
    const start = 7 + 64 + 6;
    const wrong = [patch.subarray(0, -1), concat(patch, Uint8Array.of(0)), concat(patch, Uint8Array.of(1))];
    for (let i = start; i < patch.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const other = patch.slice();
        other[i]! ^= 1 << bit;
        wrong.push(other);
      }
    }
    for (const other of wrong) {
      expect(() => reference.applyPatch(from, other, reference.freshHistory(from))).toThrow(/PATCH_/);
      expect(() => patched(other, { base })).toThrow();
    }
  });

  test('take an overwriting patch for a base that has some of its values, unless it is the one that is named', () => {
    const base = chainOf([{ name: 'w', dtype: 'bf16', shape: [400] }], 5, 0)[0]!;
    const target = movedBlocks(base, () => true, 4, seededRandom(5));
    const between = base.clone();
    between.arrays[0]!.set(target.arrays[0]!.subarray(0, 400));
    const from = forReference(between);
    const { patch } = patchOf({ base, target, overwrite: true });
    expect(sameTensors(between, base)).toBe(false);
    expect(sameTensors(patched(patch, { base: between }).tensors, target)).toBe(true);
    const read = reference.applyPatch(from, patch, reference.freshHistory(from));
    expect(sameTensors(fromReference(read.tensors), target)).toBe(true);
    patch.set(stateId(between), 7);
    expect(() => reference.applyPatch(from, patch, reference.freshHistory(from))).toThrow(/PATCH_FORMAT/);
    expect(() => patched(patch, { base: between })).toThrow();
  });

  test('refuse a code that starts above all others, and lies 2^64 beyond the one that it passes for', () => {
    for (let lead = 4; lead <= 9; lead++) {
      const state = vectorOf(
        'bf16',
        Array.from({ length: 40 }, (_, i) => (i < lead ? 0xffff : 0x1234 + 7 * i)),
      );
      const anchor = anchorOf(state);
      const code = 7 + 32 + 6;
      expect(toHex(anchor.subarray(code, code + 8))).toBe('0xfffffffffffffffe');
      anchor[code + 7] = 0xff;
      expect(() => reference.decodeAnchor(anchor)).toThrow(/PATCH_FORMAT/);
      expect(() => anchored(anchor)).toThrow();
    }
  });
});
