import { expect, test } from 'vitest';
import type { AcceptedRollouts } from '../../src/replica/check.ts';
import { decodeRollouts, encodeRollouts } from '../../verifier/compute/rollout-bytes.ts';

/** Two slots of three steps; every array has values at the ends of its range. */
const accepted: AcceptedRollouts = {
  rollouts: {
    slots: 2,
    steps: 3,
    observations: Int8Array.of(-127, 0, 127, 1, 2, 3),
    actions: Uint16Array.of(0, 1, 65_535, 2, 3, 4),
    rewards: Float32Array.of(0, -1.5, 1e30, 2, 3, 4),
    terminated: Uint8Array.of(0, 1, 0, 0, 0, 1),
    truncated: Uint8Array.of(0, 0, 1, 0, 0, 0),
    bootstrapIndex: Uint32Array.of(0, 4_294_967_295),
    bootstrapObservations: Int8Array.of(5, -5),
    episodes: [
      { slot: 0, start: 0, length: 2, return: -1.5 },
      { slot: 1, start: 1, length: 1, return: 0.1 },
    ],
  },
  logits: Int32Array.of(-2_147_483_648, 2_147_483_647),
};

test('rollouts come back as they were, also from bytes that are not aligned', () => {
  const bytes = encodeRollouts(accepted);
  expect(decodeRollouts(bytes)).toEqual(accepted);
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  expect(decodeRollouts(shifted.subarray(1))).toEqual(accepted);
});

test('arrays that are parts of larger ones are encoded as what they show', () => {
  const shown = { ...accepted, logits: Int32Array.of(7, -2_147_483_648, 2_147_483_647, 7).subarray(1, 3) };
  expect(encodeRollouts(shown)).toEqual(encodeRollouts(accepted));
});

test('decoded arrays share no memory with the bytes', () => {
  const bytes = encodeRollouts(accepted);
  const decoded = decodeRollouts(bytes);
  bytes.fill(0);
  expect(decoded).toEqual(accepted);
});

test('every shorter run of bytes is refused', () => {
  const bytes = encodeRollouts(accepted);
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decodeRollouts(bytes.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'BLOB_CORRUPT' }),
    );
  }
});

test('a byte too many is refused', () => {
  const bytes = new Uint8Array([...encodeRollouts(accepted), 0]);
  expect(() => decodeRollouts(bytes)).toThrow(expect.objectContaining({ code: 'BLOB_CORRUPT' }));
});

test('a header whose sizes do not fit its arrays is refused', () => {
  const bytes = encodeRollouts(accepted);
  const length = new DataView(bytes.buffer).getUint32(0);
  const header = new TextDecoder().decode(bytes.subarray(4, 4 + length));
  // One byte of the observations moves to the actions, whose elements have two.
  const moved = header.replace('"bytes":[6,12,', '"bytes":[5,13,');
  expect(moved).not.toBe(header);
  const damaged = bytes.slice();
  damaged.set(new TextEncoder().encode(moved), 4);
  expect(() => decodeRollouts(damaged)).toThrow(expect.objectContaining({ code: 'BLOB_CORRUPT' }));
});
