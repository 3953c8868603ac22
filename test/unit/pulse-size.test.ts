import { expect, test } from 'vitest';
import { fanIn, type Policy } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { encodePolicyAnchor, encodePolicyPatch, type TensorSpec } from '../../src/pulse/index.ts';
import { tensorsOf } from '../../src/pulse/policy.ts';
import {
  countChanges,
  denseArchitecture,
  patchOf,
  patternsOf,
  randomPolicy,
  randomTensors,
  randomUpdate,
  seededRandom,
} from '../support/pulse.ts';

/** Bits of independent positions and fair signs. */
function entropyBits(tensors: readonly { size: number; changed: number }[]): number {
  let bits = 0;
  for (const { size, changed } of tensors) {
    const p = changed / size;
    if (p > 0) bits += changed;
    if (p > 0 && p < 1) bits -= size * (p * Math.log2(p) + (1 - p) * Math.log2(1 - p));
  }
  return bits;
}

const bytesOf = (base: Policy, target: Policy) =>
  encodePolicyPatch({ base, target, baseRoot: policyRoot(base), targetRoot: policyRoot(target) }).length;

function measure(widths: number[], perMille: number) {
  const random = seededRandom(perMille);
  const base = randomPolicy(denseArchitecture(widths), random);
  const target = randomUpdate(base, random, perMille);
  const [from, to] = [tensorsOf(base), tensorsOf(target)];
  const { tensors, bodyBytes } = patchOf({ base: from, target: to });
  const changed = countChanges(from, to);
  const sizes = tensors.map(({ spec, changed }) => ({
    size: spec.shape.reduce((size, dim) => size * dim, 1),
    changed,
  }));
  return {
    bodyBits: (8 * bodyBytes) / changed,
    boundBits: entropyBits(sizes) / changed,
    share: bytesOf(base, target) / tensorBytes(base).length,
  };
}

test.each([5, 25, 70, 140, 500])(
  'a 64-256-256-16 policy with %i in 1000 elements changed takes at most a twenty-fifth more than its entropy',
  (perMille) => {
    const { bodyBits, boundBits } = measure([64, 256, 256, 16], perMille);
    expect(bodyBits / boundBits).toBeLessThan(1.04);
  },
);

test('a CartPole policy with 7% changed takes less than an eighth of its tensors, roots included', () => {
  const { share, bodyBits, boundBits } = measure([4, 32, 32, 2], 70);
  expect(share).toBeLessThan(1 / 8);
  expect(bodyBits / boundBits).toBeLessThan(1.25);
});

test('an update that pushes whole rows one way takes fewer bits than one with random signs', () => {
  const random = seededRandom(5);
  const architecture = denseArchitecture([64, 256, 16]);
  const base = randomPolicy(architecture, random);
  const moved = (sign: (row: number) => number) => ({
    architecture,
    layers: base.layers.map((layer, i) => ({
      weight: layer.weight.map((value, at) =>
        at % 11 === 0 ? value + sign(Math.floor(at / fanIn(architecture.layers[i]!))) : value,
      ),
      bias: layer.bias,
    })),
  });
  const [oneWay, anyWay] = [
    moved((row) => (row % 2 === 0 ? 1 : -1)),
    moved(() => (random(2) === 0 ? 1 : -1)),
  ] as const;
  // Four of five bits that signs take at random.
  const signBytes = countChanges(tensorsOf(base), tensorsOf(oneWay)) / 8;
  expect(bytesOf(base, oneWay)).toBeLessThan(bytesOf(base, anyWay) - 0.8 * signBytes);
});

test('weights of small exponents, which change more often, make a patch smaller than weights at random do', () => {
  const random = seededRandom(6);
  const specs: TensorSpec[] = [{ name: 'w', dtype: 'bf16', shape: [400, 400] }];
  const base = randomTensors(specs, random);
  const moved = (chance: (exponent: number) => number) => {
    const target = base.clone();
    const patterns = patternsOf(target.arrays[0]!, 'bf16');
    for (let at = 0; at < patterns.length; at++) {
      if (random(10_000) < chance((patterns[at]! >>> 7) & 255)) patterns[at]! += random(2) === 0 ? 1 : -1;
    }
    const { bodyBytes } = patchOf({ base, target });
    return (8 * bodyBytes) / countChanges(base, target);
  };
  // Exponents 118 to 122: each half as often as the one before.
  const graded = moved((exponent) => 400 >> Math.max(0, exponent - 118));
  expect(graded).toBeLessThan(0.95 * moved(() => 155));
});

test('rows of an embedding that no token met cost next to nothing', () => {
  const random = seededRandom(7);
  const specs: TensorSpec[] = [{ name: 'embedding', dtype: 'bf16', shape: [300, 1024] }];
  const base = randomTensors(specs, random);
  const moved = (where: (row: number) => boolean, perMille: number) => {
    const target = base.clone();
    const patterns = patternsOf(target.arrays[0]!, 'bf16');
    for (let at = 0; at < patterns.length; at++) {
      if (where(Math.floor(at / 1024)) && random(1000) < perMille) patterns[at]! ^= 1;
    }
    return (8 * patchOf({ base, target }).bodyBytes) / countChanges(base, target);
  };
  expect(moved((row) => row % 20 === 0, 200)).toBeLessThan(0.8 * moved(() => true, 10));
});

test('an anchor is smaller than the tensors it holds', () => {
  const policy = randomPolicy(denseArchitecture([64, 256, 256, 16]), seededRandom(3));
  expect(encodePolicyAnchor(policy).length).toBeLessThan(0.85 * tensorBytes(policy).length);
});
