import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { concat, equalBytes, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import {
  applyPolicyPatch,
  decodePolicyAnchor,
  encodePolicyAnchor,
  encodePolicyPatch,
  FRESH,
  MemoryMarks,
  type MemoryTensors,
  mergePolicyPatches,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import { architectures } from '../support/architectures.ts';
import {
  anchored,
  anchorOf,
  DTYPES,
  denseArchitecture,
  movedTensors,
  patched,
  patchOf,
  SPECIALS,
  sameTensors,
  seededRandom,
  tensorsOf,
  weightPattern,
} from '../support/pulse.ts';

const runs = process.env.GRAIL_LONG ? 6_000 : 300;
const options = { numRuns: runs, seed: 20_261 };
const limits = { timeout: 1_200_000 };

const dims = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 4 });
const spec: fc.Arbitrary<TensorSpec> = fc.record({
  name: fc.string({ maxLength: 12, unit: 'grapheme' }),
  dtype: fc.constantFrom(...DTYPES),
  shape: fc.oneof(
    dims,
    fc.tuple(fc.integer({ min: 1, max: 700 })),
    fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 60, max: 140 })),
  ),
});

/** How a state's elements are made. */
const fill = fc.constantFrom('weights', 'specials', 'noise');

const states = fc
  .record({
    specs: fc.array(spec, { maxLength: 6 }),
    fill,
    seed: fc.nat(),
    // Per mille of elements that change, state after state.
    densities: fc.array(fc.constantFrom(0, 1, 10, 50, 300, 1000), { minLength: 1, maxLength: 4 }),
  })
  .map(({ specs, fill, seed, densities }) => {
    const random = seededRandom(seed);
    const first = tensorsOf(specs, (_, dtype) => {
      if (fill === 'weights') return weightPattern(dtype, random);
      return fill === 'noise' ? random(2 ** 32) : SPECIALS[dtype][random(SPECIALS[dtype].length)]!;
    });
    const list = [first];
    for (const density of densities) list.push(movedTensors(list.at(-1)!, random, density));
    return list;
  });

test('a patch leads to its target bit for bit, whatever changed, and leaves the base alone', limits, () => {
  fc.assert(
    fc.property(states, fc.boolean(), (list, overwrite) => {
      const [base, target] = [list[0]!, list.at(-1)!];
      const kept = base.clone();
      const made = patchOf({ base, target, overwrite });
      const got = patched(made.patch, { base });
      expect(sameTensors(got.tensors, target)).toBe(true);
      expect(sameTensors(base, kept)).toBe(true);
      expect(toHex(made.targetId)).toBe(toHex(stateId(target)));
      const known = patched(made.patch, { base, baseId: stateId(base), targetId: stateId(target) });
      expect(sameTensors(known.tensors, target)).toBe(true);
    }),
    options,
  );
});

test('a chain with a history leads both sides to the same states, marks and models', limits, () => {
  fc.assert(
    fc.property(states, (list) => {
      const { specs } = list[0]!;
      const [sent, received] = [new MemoryMarks(specs), new MemoryMarks(specs)];
      let [sender, receiver] = [FRESH, FRESH];
      let state = list[0]!;
      for (const [step, target] of list.slice(1).entries()) {
        const made = patchOf({ base: list[step]!, target, marks: sent, head: sender });
        const got = patched(made.patch, { base: state, marks: received, head: receiver });
        expect(sameTensors(got.tensors, target)).toBe(true);
        expect(got.head).toEqual(made.head);
        expect(received.arrays).toEqual(sent.arrays);
        sender = made.head;
        receiver = got.head;
        state = got.tensors;
      }
    }),
    options,
  );
});

test('an anchor gives back its state bit for bit', limits, () => {
  fc.assert(
    fc.property(states, (list) => {
      const target = list.at(-1)!;
      const tensors = anchored(anchorOf(target));
      expect(tensors.specs).toEqual(target.specs);
      expect(sameTensors(tensors, target)).toBe(true);
      expect(anchorOf(tensors)).toEqual(anchorOf(target));
    }),
    options,
  );
});

test('two states have the same patch, anchor or id only when they are the same', limits, () => {
  fc.assert(
    fc.property(states, (list) => {
      const base = list[0]!;
      const kinds: ((target: MemoryTensors) => Uint8Array)[] = [
        stateId,
        anchorOf,
        (target) => patchOf({ base, target }).patch,
        (target) => patchOf({ base, target, overwrite: true }).patch,
        (target) => patchOf({ base, target, marks: new MemoryMarks(base.specs) }).patch,
      ];
      for (const bytesOf of kinds) {
        for (const [a, b] of list.slice(1).map((state, i) => [list[i]!, state] as const)) {
          expect(equalBytes(bytesOf(a), bytesOf(b))).toBe(sameTensors(a, b));
        }
      }
    }),
    options,
  );
});

/** How a byte string is altered: a bit, a byte put in, a byte taken out, an end cut or added. */
const alteration = fc.record({
  how: fc.constantFrom('flip', 'insert', 'remove', 'cut', 'extend'),
  at: fc.integer({ min: 0, max: 9999 }),
  byte: fc.nat(255),
});

function altered(
  bytes: Uint8Array,
  { how, at, byte }: { how: string; at: number; byte: number },
): Uint8Array {
  const place = Math.floor((at / 10_000) * bytes.length);
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  if (how === 'flip') return bytes.with(place, bytes[place]! ^ Math.max(1, byte));
  if (how === 'insert') return concat(before, Uint8Array.of(byte), after);
  if (how === 'remove') return concat(before, after.subarray(1));
  return how === 'cut' ? before.slice() : concat(bytes, Uint8Array.of(byte));
}

/** Whether `read` refuses with one of PULSE's codes; any other failure is the test's. */
function refuses(read: () => unknown): boolean {
  try {
    read();
    return false;
  } catch (error) {
    const known = /^(PATCH_(FORMAT|BASE_MISMATCH|TARGET_MISMATCH|HISTORY_MISMATCH)|TOO_LARGE)$/;
    if (error instanceof GrailError && known.test(error.code)) return true;
    throw error;
  }
}

test('no other bytes lead to a target than its patch, or are its anchor', limits, () => {
  fc.assert(
    fc.property(states, fc.array(alteration, { minLength: 1, maxLength: 8 }), (list, alterations) => {
      const [base, target] = [list[0]!, list[1]!];
      const [marks, targetId] = [new MemoryMarks(base.specs), stateId(target)];
      const patches = [
        patchOf({ base, target }).patch,
        patchOf({ base, target, marks: marks.clone() }).patch,
        patchOf({ base, target, overwrite: true }).patch,
      ];
      const anchor = anchorOf(target);
      for (const change of alterations) {
        for (const [i, patch] of patches.entries()) {
          const bytes = altered(patch, change);
          // What an overwriting patch was made from is not compared.
          if (i === 2) bytes.set(patch.subarray(7, Math.min(39, bytes.length)), Math.min(7, bytes.length));
          if (patches.some((known) => equalBytes(known, bytes))) continue;
          expect(refuses(() => patched(bytes, { base, targetId }))).toBe(true);
          const own = { marks: marks.clone(), head: FRESH };
          expect(refuses(() => patched(bytes, { base, targetId, ...own }))).toBe(true);
        }
        const bytes = altered(anchor, change);
        if (equalBytes(bytes, anchor)) continue;
        expect(refuses(() => anchored(bytes, { maxBytes: 1_000_000, targetId }))).toBe(true);
      }
    }),
    options,
  );
});

const anyArchitecture = fc.oneof(
  fc
    .tuple(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 2, max: 6 }),
      fc.constantFrom(0, 1, 1000, 131_072),
    )
    .map(([widths, actions, biasMax]) => denseArchitecture([...widths, actions], biasMax)),
  architectures,
);

function policies(architecture: Policy['architecture']): fc.Arbitrary<Policy> {
  const layers = architecture.layers.map((layer) =>
    fc.record({
      weight: fc.int8Array({
        min: -127,
        max: 127,
        minLength: weightCount(layer),
        maxLength: weightCount(layer),
      }),
      bias: fc.int32Array({
        min: -layer.biasMax,
        max: layer.biasMax,
        minLength: weightRows(layer),
        maxLength: weightRows(layer),
      }),
    }),
  );
  return fc.tuple(...layers).map((made) => ({ architecture, layers: made.map(copied) }));
}

const copied = ({ weight, bias }: Policy['layers'][number]) => ({
  weight: Int8Array.from(weight),
  bias: Int32Array.from(bias),
});

/** A policy and what becomes of it when some elements are replaced. */
const updates = anyArchitecture.chain((architecture) =>
  fc
    .tuple(
      policies(architecture),
      policies(architecture),
      fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
      fc.nat(10),
    )
    .map(([base, other, dice, density]) => {
      const pick = (a: number, b: number) => (dice.next().value! < density ? b : a);
      const layers = base.layers.map(({ weight, bias }, i) => ({
        weight: weight.map((value, at) => pick(value, other.layers[i]!.weight[at]!)),
        bias: bias.map((value, at) => pick(value, other.layers[i]!.bias[at]!)),
      }));
      return { base, target: { architecture, layers }, other };
    }),
);

const policyPatchOf = (base: Policy, target: Policy) =>
  encodePolicyPatch({ base, target, baseRoot: policyRoot(base), targetRoot: policyRoot(target) });

test('a patched policy is bit-identical to the target, and the base is as it was', limits, () => {
  fc.assert(
    fc.property(updates, ({ base, target }) => {
      const before = tensorBytes(base);
      const got = applyPolicyPatch(base, policyRoot(base), policyPatchOf(base, target), policyRoot(target));
      expect(tensorBytes(got)).toEqual(tensorBytes(target));
      expect(tensorBytes(base)).toEqual(before);
    }),
    options,
  );
});

test('merging consecutive patches gives byte for byte the patch from first to last', limits, () => {
  fc.assert(
    fc.property(updates, ({ base, target, other }) => {
      const [first, second, back] = [
        policyPatchOf(base, target),
        policyPatchOf(target, other),
        policyPatchOf(other, base),
      ];
      const root = policyRoot(base);
      expect(mergePolicyPatches(base, root, [first, second])).toEqual(policyPatchOf(base, other));
      expect(mergePolicyPatches(base, root, [first, second, back])).toEqual(policyPatchOf(base, base));
    }),
    options,
  );
});

test('an anchor gives back its policy bit for bit', limits, () => {
  fc.assert(
    fc.property(updates, ({ target }) => {
      const decoded = decodePolicyAnchor(encodePolicyAnchor(target), policyRoot(target), target.architecture);
      expect(decoded.architecture).toEqual(target.architecture);
      expect(tensorBytes(decoded)).toEqual(tensorBytes(target));
    }),
    options,
  );
});

test('two different policies never share a patch, even under one root', limits, () => {
  fc.assert(
    fc.property(updates, ({ base, target, other }) => {
      const same = equalBytes(tensorBytes(target), tensorBytes(other));
      const root = policyRoot(base);
      const body = (policy: Policy) =>
        encodePolicyPatch({ base, target: policy, baseRoot: root, targetRoot: root });
      expect(equalBytes(body(target), body(other))).toBe(same);
    }),
    options,
  );
});

test('no other bytes lead to a policy than its patch', limits, () => {
  fc.assert(
    fc.property(
      updates,
      fc.array(alteration, { minLength: 1, maxLength: 8 }),
      ({ base, target }, alterations) => {
        const patch = policyPatchOf(base, target);
        for (const change of alterations) {
          const bytes = altered(patch, change);
          if (equalBytes(bytes, patch)) continue;
          expect(refuses(() => applyPolicyPatch(base, policyRoot(base), bytes, policyRoot(target)))).toBe(
            true,
          );
        }
      },
    ),
    options,
  );
});
