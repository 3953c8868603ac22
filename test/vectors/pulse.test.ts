import { describe, expect, test } from 'vitest';
import { type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { toHex, utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { applyPatch, decodeAnchor, encodeAnchor, encodePatch } from '../../src/pulse/index.ts';
import { BitModel, decodeCanonical, encodeCanonical } from '../../src/pulse/range-coder.ts';
import { denseArchitecture } from '../support/pulse.ts';

/**
 * The worked example of docs/PROTOCOL.md, PULSE, and digests that come from a second implementation, written in
 * Python with big integers from that page alone.
 */

const BASE_ROOT = '9f5a98ca3b53253e5a6c1579f86d534e1e8b58b4973a336d654c6d356215a858';
const TARGET_ROOT = '5b353fe1f9782c690fa14c90741b29bd07ed79dda16ae6f2da6ca36d343697df';
const PATCH = `0x50554c530101${BASE_ROOT}${TARGET_ROOT}021202022102b17c2003`;
const ARCHITECTURE =
  '{"actions":2,"layers":[{"biasMax":64,"in":2,"out":2,"shift":1,"type":"dense"}],"observation":2}';
const ANCHOR = `0x50554c530102${BASE_ROOT}5f${toHex(utf8(ARCHITECTURE)).slice(2)}8dbf97c268`;

describe('the worked example', () => {
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

  test('has these roots', () => {
    expect([toHex(baseRoot), toHex(targetRoot)]).toEqual([`0x${BASE_ROOT}`, `0x${TARGET_ROOT}`]);
  });

  test('has this patch, which gives the target', () => {
    const patch = encodePatch({ base, target, baseRoot, targetRoot });
    expect(toHex(patch)).toBe(PATCH);
    expect(applyPatch(base, baseRoot, patch, targetRoot)).toEqual(target);
  });

  test('has this anchor, which gives the base', () => {
    const anchor = encodeAnchor(base);
    expect(toHex(anchor)).toBe(ANCHOR);
    expect(decodeAnchor(anchor, baseRoot)).toEqual(base);
  });

  test('of the range coder has this code', () => {
    const bits = [0, 0, 1, 0, 1, 1, 1, 1, 19];
    const model = new BitModel(1);
    const code = encodeCanonical(bits, (coder) => {
      for (const bit of bits.slice(0, 8)) coder.bit(model, 0, bit);
      coder.direct(5, 19);
      return bits;
    });
    expect(toHex(code)).toBe('0x66c4');
    expect([model.zero[0], model.seen[0]]).toEqual([25_060, 8]);
    const decoded = decodeCanonical<number[]>(code, (coder, known) => {
      const fresh = new BitModel(1);
      const read = bits.slice(0, 8).map((_, i) => coder.bit(fresh, 0, known?.[i] ?? 0));
      return [...read, coder.direct(5, known?.[8] ?? 0)];
    });
    expect(decoded).toEqual(bits);
  });
});

/** The two policies of a vector, from the minimal standard generator s ← 48271·s mod (2^31 − 1), s₀ = 1. */
function policiesOf(widths: number[], rate: number): { base: Policy; target: Policy } {
  let state = 1;
  const next = () => {
    state = Number((BigInt(state) * 48_271n) % 2_147_483_647n);
    return state;
  };
  const architecture = denseArchitecture(widths, 65_536);
  const delta = () => (next() % rate === 0 ? (next() % 9) - 4 : 0);
  const made = architecture.layers.map((layer) => {
    const weight = Int8Array.from({ length: weightCount(layer) }, () => (next() % 61) - 30);
    const bias = Int32Array.from({ length: weightRows(layer) }, () => 32 * ((next() % 201) - 100));
    return {
      base: { weight, bias },
      target: { weight: weight.map((w) => w + delta()), bias: bias.map((b) => b + 32 * delta()) },
    };
  });
  return {
    base: { architecture, layers: made.map((layer) => layer.base) },
    target: { architecture, layers: made.map((layer) => layer.target) },
  };
}

const VECTORS: [number[], number, number, string, number, string][] = [
  [
    [3, 5, 2],
    1,
    98,
    'b4910e6348b3c8a40f010ef5c6bd444bcb450fa9ece3cb62415a9463576370f9',
    229,
    '3fcba33a429b8ebba97156d97b4cb9d7d8c814df94fdc249c874064afb86663a',
  ],
  [
    [8, 64, 64, 4],
    14,
    438,
    '3ea2bb97e36627c57fbd14a04792d7565f214c5941c7a5d532499d5e54915dc3',
    4041,
    '116e5ab09ed27eaf28674838fddf1507d3a09a669bedad330ec45b3810bf94fe',
  ],
  [
    [64, 256, 256, 16],
    40,
    2519,
    '9d724606411fc952190096a023641cbcfded2f7c8ee721e284b07dcf42cadb05',
    64_732,
    '0d6a775d57e4a47ef50d28c4e54526eddf43ebebed6f86148df1059214e6a75a',
  ],
];

describe.each(VECTORS)(
  'the second implementation, widths %j, one in %i changed',
  (widths, rate, ...expected) => {
    const [patchLength, patchHash, anchorLength, anchorHash] = expected;
    const { base, target } = policiesOf(widths, rate);

    test('writes the same patch', () => {
      const [baseRoot, targetRoot] = [sha256(utf8('base')), sha256(utf8('target'))];
      const patch = encodePatch({ base, target, baseRoot, targetRoot });
      expect([patch.length, toHex(sha256(patch))]).toEqual([patchLength, `0x${patchHash}`]);
    });

    test('writes the same anchor behind its root', () => {
      const anchor = encodeAnchor(base);
      expect([anchor.length, toHex(sha256(anchor.subarray(38)))]).toEqual([anchorLength, `0x${anchorHash}`]);
      expect(tensorBytes(decodeAnchor(anchor))).toEqual(tensorBytes(base));
    });
  },
);
