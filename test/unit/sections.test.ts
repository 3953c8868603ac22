import { describe, expect, it } from 'vitest';
import { sectionsOf } from '../../src/proofs/sections.ts';
import { concat, utf8 } from '../../src/protocol/bytes.ts';

const word = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
const section = (id: number, bytes: readonly number[], size = bytes.length) =>
  concat(word(id), word(size), word(0), Uint8Array.from(bytes));

/** A .zkey file's frame around these sections. */
function file(sections: Uint8Array[], { magic = 'zkey', version = 1, count = sections.length } = {}) {
  return concat(utf8(magic), word(version), word(count), ...sections);
}

const [first, second] = [section(7, [1, 2, 3]), section(2, [])];

describe('the sections of a file', () => {
  it('lie where their headers end, in any order of their ids', () => {
    expect([...sectionsOf(file([first, second]), 'zkey')]).toEqual([
      [7, { at: 24, size: 3 }],
      [2, { at: 39, size: 0 }],
    ]);
  });

  it('are found in a part of a larger buffer', () => {
    const inner = concat(new Uint8Array(5), file([first]), new Uint8Array(9));
    expect(sectionsOf(inner.subarray(5, inner.length - 9), 'zkey')).toEqual(
      sectionsOf(file([first]), 'zkey'),
    );
  });

  it.each([
    ['of another kind', file([first], { magic: 'r1cs' }), /no \.zkey file/],
    ['of another version', file([first], { version: 2 }), /of version 1/],
    ['of less than a header', file([]).subarray(0, 11), /no \.zkey file/],
    ['cut in a section', file([first]).subarray(0, 26), /truncated/],
    ['cut in a section’s header', file([first], { count: 2 }), /truncated/],
    ['with a size beyond its end', file([section(7, [1], 2 ** 31)]), /truncated/],
    ['with a section twice', file([first, first]), /section 7 stands in it twice/],
    ['with bytes after its sections', concat(file([first]), word(0)), /bytes after/],
  ])('are not those of a file %s', (_, bytes, message) => {
    expect(() => sectionsOf(bytes, 'zkey')).toThrow(message);
  });
});
