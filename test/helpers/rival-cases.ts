import { describe, expect, test } from 'vitest';
import type { NamedTensor, Rival } from '../../bench/pulse/rivals/index.ts';
import { seededRandom } from '../support/pulse.ts';

const SPECIAL = [
  0x0000, 0x8000, 0x7f80, 0xff80, 0x7fc0, 0xffc1, 0x7f81, 0x0001, 0x8001, 0x3f80, 0xbf80, 0x7fff, 0xffff,
];

const hex = (state: Uint16Array) =>
  Buffer.from(state.buffer, state.byteOffset, state.byteLength).toString('hex');

export const size = (tensors: readonly NamedTensor[]) =>
  tensors.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0);

interface Case {
  readonly name: string;
  readonly tensors: readonly NamedTensor[];
  readonly base: (at: number) => number;
  /** The new pattern of a cell that has `old`. */
  readonly change: (at: number, old: number) => number;
}

const random = seededRandom(3);
const bytes = Uint8Array.from({ length: 1 << 20 }, () => random(256));
/** Patterns of weights around ±0.02. */
const weight = (at: number) =>
  ((bytes[at]! & 0x80) << 8) | 0x3c00 | ((bytes[at]! & 3) << 7) | (bytes[at + 7]! & 127);
const matrix = [{ name: 'w', dims: [64, 96] }];

export const CASES: readonly Case[] = [
  { name: 'nothing changed', tensors: matrix, base: weight, change: (_, old) => old },
  { name: 'every cell moved by a step', tensors: matrix, base: weight, change: (_, old) => old + 1 },
  {
    name: 'every cell set to an unrelated pattern',
    tensors: matrix,
    base: weight,
    change: (at) => (bytes[at]! << 8) | bytes[at + 9]!,
  },
  {
    name: 'most cells of one exponent changed',
    tensors: matrix,
    base: weight,
    change: (at, old) => (((old >>> 7) & 255) === 0x78 && bytes[at + 3]! < 240 ? old - 1 : old),
  },
  {
    name: 'infinities, zeros, subnormals and NaN payloads become one another',
    tensors: [{ name: 'w', dims: [SPECIAL.length, SPECIAL.length] }],
    base: (at) => SPECIAL[Math.floor(at / SPECIAL.length)]!,
    change: (at) => SPECIAL[at % SPECIAL.length]!,
  },
  {
    name: 'signs flipped, of zeros too',
    tensors: matrix,
    base: (at) => (at % 5 === 0 ? 0 : weight(at)),
    change: (at, old) => (at % 3 === 0 ? old ^ 0x8000 : old),
  },
  {
    name: 'gaps beyond u16 and columns beyond u16',
    tensors: [{ name: 'w', dims: [3, 80_000] }],
    base: weight,
    change: (at, old) => ([5, 65_539, 65_540, 131_075, 239_999].includes(at) ? old ^ 1 : old),
  },
  {
    name: 'gaps whose quotients escape',
    tensors: [{ name: 'w', dims: [200_000] }],
    base: weight,
    change: (at, old) => (at < 2000 || at === 150_000 || at === 199_999 ? old + 2 : old),
  },
  {
    name: 'rows more than 255 and more than 65,535 apart',
    tensors: [
      { name: 'far', dims: [600, 3] },
      { name: 'farther', dims: [70_000, 2] },
    ],
    base: weight,
    change: (at, old) => ([4, 1700, 1800, 141_700].includes(at) ? old - 1 : old),
  },
  {
    name: 'scalars, vectors, empty tensors and more dimensions than two, not in the order of names',
    tensors: [
      { name: 'z', dims: [7] },
      { name: 'b', dims: [] },
      { name: 'm', dims: [0, 4] },
      { name: 'a', dims: [5, 3, 2] },
      { name: 'unchanged', dims: [4] },
    ],
    base: weight,
    change: (at, old) => (at < 38 && at % 3 !== 1 ? old + 300 : old),
  },
];

/** Holds ways to send a difference to giving back every target bit for bit. */
export function testRivals(rivals: readonly Rival[]): void {
  describe.each(rivals)('$name', (rival) => {
    test.each(CASES)('gives the target back: $name', ({ tensors, base, change }) => {
      const from = Uint16Array.from({ length: size(tensors) }, (_, at) => base(at));
      const to = from.map((old, at) => change(at, old));
      const kept = from.slice();
      const patch = rival.encode(from, to, tensors);
      expect(hex(rival.decode(from, patch, tensors)) === hex(to)).toBe(true);
      expect(hex(from) === hex(kept)).toBe(true);
      expect(rival.headerBytes(patch)).toBeLessThanOrEqual(patch.length);
    });
  });
}
