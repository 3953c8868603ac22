import { expect, test } from 'vitest';
import { philox4x32, seedBlock, seedWords } from '../../src/policy/philox.ts';
import { fromHex } from '../../src/protocol/bytes.ts';

/** Random123, tests/kat_vectors, lines "philox4x32 10": counter, key, answer. */
const KNOWN_ANSWERS = [
  ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
] as const;

const words = (text: string) => text.split(' ').map((word) => Number.parseInt(word, 16));
const text = (values: Uint32Array) =>
  [...values].map((value) => value.toString(16).padStart(8, '0')).join(' ');

test.each(KNOWN_ANSWERS)('Philox4x32-10 of counter %s and key %s is Random123’s', (counter, key, answer) => {
  const [c0, c1, c2, c3] = words(counter);
  const [k0, k1] = words(key);
  const out = new Uint32Array(4);
  philox4x32(c0!, c1!, c2!, c3!, k0!, k1!, out);
  expect(text(out)).toBe(answer);
});

test('a seed’s first two words are the key, step and block are the first counter words', () => {
  const seed = fromHex('0xa4093822299f31d013198a2e03707344');
  const out = new Uint32Array(4);
  seedBlock(seedWords(seed), 0, 0x243f6a88, 0x85a308d3, out);
  expect(text(out)).toBe('d16cfe09 94fdcceb 5001e420 24126ea1');
});

test.each([0, 15, 17, 32])('a seed of %d bytes is refused', (length) => {
  expect(() => seedWords(new Uint8Array(length))).toThrow(RangeError);
});
