import { expect, test } from 'vitest';
import { fanIn } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { encodeAnchor, encodePatch, inspectPatch } from '../../src/pulse/index.ts';
import { denseArchitecture, randomPolicy, randomUpdate, seededRandom } from '../support/pulse.ts';

/** Bits per change that independent positions and fair signs need, counted from the patch itself. */
function entropyBits(tensors: readonly { size: number; changed: number }[]): number {
  let bits = 0;
  for (const { size, changed } of tensors) {
    const p = changed / size;
    if (p > 0) bits += changed;
    if (p > 0 && p < 1) bits -= size * (p * Math.log2(p) + (1 - p) * Math.log2(1 - p));
  }
  return bits;
}

function measure(widths: number[], perMille: number) {
  const random = seededRandom(perMille);
  const base = randomPolicy(denseArchitecture(widths), random);
  const target = randomUpdate(base, random, perMille);
  const patch = encodePatch({ base, target, baseRoot: policyRoot(base), targetRoot: policyRoot(target) });
  const header = encodePatch({
    base,
    target: base,
    baseRoot: policyRoot(base),
    targetRoot: policyRoot(base),
  });
  const { tensors } = inspectPatch(patch);
  const changed = tensors.reduce((sum, tensor) => sum + tensor.changed, 0);
  return {
    changed,
    bodyBits: (8 * (patch.length - header.length)) / changed,
    boundBits: entropyBits(tensors) / changed,
    share: patch.length / tensorBytes(base).length,
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
  const root = policyRoot(base);
  const bytes = (target: typeof base) =>
    encodePatch({ base, target, baseRoot: root, targetRoot: root }).length;
  expect(bytes(moved((row) => (row % 2 === 0 ? 1 : -1)))).toBeLessThan(
    0.7 * bytes(moved(() => (random(2) === 0 ? 1 : -1))),
  );
});

test('an anchor is smaller than the tensors it holds', () => {
  const policy = randomPolicy(denseArchitecture([64, 256, 256, 16]), seededRandom(3));
  expect(encodeAnchor(policy).length).toBeLessThan(0.85 * tensorBytes(policy).length);
});
