import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { equalBytes } from '../../src/protocol/bytes.ts';
import { applyPatch, decodeAnchor, encodeAnchor, encodePatch, mergePatches } from '../../src/pulse/index.ts';
import { IntegerModel } from '../../src/pulse/integers.ts';
import { type BitCoder, BitModel, decodeCanonical, encodeCanonical } from '../../src/pulse/range-coder.ts';
import { architectures } from '../support/architectures.ts';
import { denseArchitecture } from '../support/pulse.ts';

const runs = process.env.GRAIL_LONG ? 20_000 : 300;
const options = { numRuns: runs, seed: 20_261 };
const limits = { timeout: 1_200_000 };

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

const patchOf = (base: Policy, target: Policy) =>
  encodePatch({ base, target, baseRoot: policyRoot(base), targetRoot: policyRoot(target) });

test(
  'a patched policy is bit-identical to the target, whatever changed, and the base is as it was',
  limits,
  () => {
    fc.assert(
      fc.property(updates, ({ base, target }) => {
        const before = tensorBytes(base);
        const patched = applyPatch(base, policyRoot(base), patchOf(base, target), policyRoot(target));
        expect(tensorBytes(patched)).toEqual(tensorBytes(target));
        expect(tensorBytes(base)).toEqual(before);
        const shared = patched.layers.some(({ weight, bias }, i) => {
          const from = base.layers[i]!;
          return weight.buffer === from.weight.buffer || bias.buffer === from.bias.buffer;
        });
        expect(shared).toBe(false);
      }),
      options,
    );
  },
);

test('merging consecutive patches gives byte for byte the patch from first to last', limits, () => {
  fc.assert(
    fc.property(updates, ({ base, target, other }) => {
      const merged = mergePatches([patchOf(base, target), patchOf(target, other), patchOf(other, base)]);
      expect(merged).toEqual(patchOf(base, base));
      expect(mergePatches([patchOf(base, target), patchOf(target, other)])).toEqual(patchOf(base, other));
    }),
    options,
  );
});

test('an anchor gives back its policy bit for bit', limits, () => {
  fc.assert(
    fc.property(updates, ({ target }) => {
      const decoded = decodeAnchor(encodeAnchor(target), policyRoot(target), target.architecture);
      expect(decoded.architecture).toEqual(target.architecture);
      expect(tensorBytes(decoded)).toEqual(tensorBytes(target));
    }),
    options,
  );
});

test(
  'every sequence of decisions survives the range coder, and other bytes for it do not exist',
  limits,
  () => {
    const decisions = fc.array(fc.tuple(fc.nat(3), fc.boolean()), { maxLength: 400 });
    fc.assert(
      fc.property(decisions, fc.nat(255), (list, extra) => {
        const code = (coder: BitCoder, known: number[] | null) => {
          const model = new BitModel(3);
          return list.map(([context], i) =>
            context === 3 ? coder.direct(1, known?.[i] ?? 0) : coder.bit(model, context, known?.[i] ?? 0),
          );
        };
        const bits = list.map(([, bit]) => (bit ? 1 : 0));
        const bytes = encodeCanonical<number[]>(bits, code);
        expect(decodeCanonical<number[]>(bytes, code)).toEqual(bits);
        const others = [Uint8Array.of(...bytes, extra), bytes.subarray(0, Math.max(0, bytes.length - 1))];
        for (const other of others.filter(({ length }) => length !== bytes.length)) {
          try {
            // The cut or extended bytes may be the code of other decisions, never of these.
            expect(decodeCanonical<number[]>(other, code)).not.toEqual(bits);
          } catch (error) {
            expect(error).toMatchObject({ code: 'PATCH_FORMAT' });
          }
        }
      }),
      options,
    );
  },
);

test('skewed decisions that carry through long runs of 0xff bytes survive', limits, () => {
  // A context near certainty leaves the interval just under a byte boundary again and again.
  fc.assert(
    fc.property(fc.array(fc.nat(65_534), { minLength: 50, maxLength: 300 }), fc.boolean(), (list, high) => {
      const code = (coder: BitCoder, known: number[] | null) =>
        list.map((zero, i) => {
          const model = new BitModel(1);
          model.prime(0, 1 + (i % 7 === 0 ? zero : high ? 0 : 65_534), 200);
          return coder.bit(model, 0, known?.[i] ?? 0);
        });
      const bits = list.map((zero, i) => (i % 7 === 0 ? zero & 1 : high ? 1 : 0));
      const bytes = encodeCanonical<number[]>(bits, code);
      expect(decodeCanonical<number[]>(bytes, code)).toEqual(bits);
    }),
    options,
  );
});

test('integers from 1 to the maximum survive, larger ones are refused by the encoder', limits, () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4_194_304 }).chain((maximum) =>
        fc.record({
          maximum: fc.constant(maximum),
          values: fc.array(fc.integer({ min: 1, max: maximum }), { maxLength: 60 }),
          hits: fc.integer({ min: 1, max: maximum }),
        }),
      ),
      ({ maximum, values, hits }) => {
        const code = (coder: BitCoder, known: number[] | null) => {
          const model = new IntegerModel(maximum);
          model.expectGeometric(hits, maximum);
          return values.map((_, i) => model.code(coder, known?.[i] ?? 1));
        };
        expect(decodeCanonical<number[]>(encodeCanonical(values, code), code)).toEqual(values);
        if (values.length > 0) {
          const tooLarge = values.with(0, maximum + 1);
          expect(() => encodeCanonical(tooLarge, code)).toThrow(/maximum/);
        }
      },
    ),
    options,
  );
});

test('two different updates never share a patch', limits, () => {
  fc.assert(
    fc.property(updates, ({ base, target, other }) => {
      const same = equalBytes(tensorBytes(target), tensorBytes(other));
      // Equal roots in the header, so only the bodies tell them apart.
      const root = policyRoot(base);
      const body = (policy: Policy) =>
        encodePatch({ base, target: policy, baseRoot: root, targetRoot: root });
      expect(equalBytes(body(target), body(other))).toBe(same);
    }),
    options,
  );
});
