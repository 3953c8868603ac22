import { expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { checkPolicy } from '../../src/policy/quantiser.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { concat, equalBytes } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { shapesOf } from '../../src/pulse/format.ts';
import { applyPatch, decodeAnchor, encodeAnchor, encodePatch, inspectPatch } from '../../src/pulse/index.ts';
import { decodeCanonical } from '../../src/pulse/range-coder.ts';
import { codeChanges, LIMITS, type TensorChanges, tensorSize } from '../../src/pulse/tensors.ts';
import { denseArchitecture, randomPolicy, randomUpdate, seededRandom } from '../support/pulse.ts';

const cases = process.env.GRAIL_LONG ? 1_000_000 : 20_000;
const options = { timeout: 1_200_000 };
const CODES = new Set(['PATCH_FORMAT', 'PATCH_BASE_MISMATCH', 'PATCH_TARGET_MISMATCH']);
const BODY_AT = 6 + 64 + 11;

const architecture = denseArchitecture([4, 6, 3], 1000);
const shapes = shapesOf(architecture);

/** What `read` gives, or null when it refuses with one of PULSE's codes; any other failure fails the test. */
function accepted<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof GrailError && CODES.has(error.code)) return null;
    throw error;
  }
}

function mutate(bytes: Uint8Array, other: Uint8Array, random: (bound: number) => number): Uint8Array {
  const out = bytes.slice();
  const at = random(bytes.length + 1);
  switch (random(6)) {
    case 0:
      out[at % out.length]! ^= 1 << random(8);
      return out;
    case 1:
      for (let i = 0; i <= random(6); i++) out[random(out.length)] = random(256);
      return out;
    case 2:
      return out.subarray(0, at);
    case 3:
      return concat(
        out,
        Uint8Array.from({ length: 1 + random(6) }, () => random(256)),
      );
    case 4:
      return concat(out.subarray(0, at), other.subarray(random(other.length)));
    default:
      return concat(out.subarray(0, at), Uint8Array.of(random(256)), out.subarray(at + random(3)));
  }
}

test(
  'mutated patches and anchors are refused with a code, and give the promised policy or none',
  options,
  () => {
    const random = seededRandom(101);
    const policies: Policy[] = [randomPolicy(architecture, random)];
    for (let i = 0; i < 8; i++) policies.push(randomUpdate(policies[i]!, random, 50 + 100 * i));
    const roots = policies.map(policyRoot);
    const patches = policies
      .slice(1)
      .map((target, i) =>
        encodePatch({ base: policies[i]!, target, baseRoot: roots[i]!, targetRoot: roots[i + 1]! }),
      );
    const anchors = policies.map(encodeAnchor);
    for (let i = 0; i < cases; i++) {
      const which = random(patches.length);
      const other = random(patches.length);
      const patch = mutate(patches[which]!, patches[other]!, random);
      const patched = accepted(() => applyPatch(policies[which]!, roots[which]!, patch));
      if (patched !== null) expect(equalBytes(patch, patches[which]!), `case ${i}`).toBe(true);
      accepted(() => inspectPatch(patch));
      if (i % 4 === 0) {
        const anchor = mutate(anchors[which]!, anchors[other]!, random);
        const policy = accepted(() => decodeAnchor(anchor));
        if (policy === null) continue;
        expect(
          anchors.some((known) => equalBytes(known, anchor)),
          `case ${i}`,
        ).toBe(true);
      }
    }
  },
);

test('whatever random bytes a decoder accepts as code lies within its tensors', options, () => {
  const random = seededRandom(102);
  const code = (coder: Parameters<typeof codeChanges>[0], known: TensorChanges[] | null) =>
    codeChanges(coder, shapes, known);
  let count = 0;
  for (let i = 0; i < cases; i++) {
    const body = Uint8Array.from({ length: random(random(2) === 0 ? 4 : 24) }, () => random(256));
    const changes = accepted(() => decodeCanonical<TensorChanges[]>(body, code));
    if (changes === null) continue;
    count++;
    for (const [t, { positions, deltas }] of changes.entries()) {
      const size = tensorSize(shapes[t]!);
      const limit = 2 * LIMITS[shapes[t]!.dtype];
      let last = -1;
      let sound = positions.length === deltas.length;
      for (const [at, position] of positions.entries()) {
        const delta = Math.abs(deltas[at]!);
        sound &&= position > last && position < size && delta >= 1 && delta <= limit;
        last = position;
      }
      if (!sound) expect.fail(`case ${i}: ${JSON.stringify({ positions, deltas })}`);
    }
  }
  // The test says something only if short random codes are often valid.
  expect(count).toBeGreaterThan(cases / 100);
});

test('a random code behind a right header never gives a policy', options, () => {
  const random = seededRandom(103);
  const base = randomPolicy(architecture, random);
  const target = randomUpdate(base, random, 200);
  const [baseRoot, targetRoot] = [policyRoot(base), policyRoot(target)];
  const patch = encodePatch({ base, target, baseRoot, targetRoot });
  for (let i = 0; i < cases; i++) {
    const body = Uint8Array.from({ length: random(40) }, () => random(256));
    if (equalBytes(body, patch.subarray(BODY_AT))) continue;
    const forged = concat(patch.subarray(0, BODY_AT), body);
    expect(
      accepted(() => applyPatch(base, baseRoot, forged)),
      `case ${i}`,
    ).toBe(null);
  }
  checkPolicy(base);
  expect(policyRoot(base)).toEqual(baseRoot);
});
