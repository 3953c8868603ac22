/** Where a section of a file lies: `size` bytes from `at`. */
export interface Section {
  readonly at: number;
  readonly size: number;
}

/**
 * The sections of one of iden3's binary files, version 1: magic, u32 version, u32 number of sections, then of each a u32 id, a
 * u64 size and its bytes. Each occurs once, as otherwise readers may choose different ones, and together they fill the file.
 * Source: https://github.com/iden3/r1csfile/blob/master/doc/r1cs_bin_format.md
 * @param magic the file's first four bytes
 * @throws RangeError that says what is wrong with it
 */
export function sectionsOf(bytes: Uint8Array, magic: 'r1cs' | 'zkey'): Map<number, Section> {
  const view = viewOf(bytes);
  const begins = bytes.length >= 12 && [...magic].every((letter, i) => letter.charCodeAt(0) === bytes[i]);
  if (!begins || view.getUint32(4, true) !== 1) throw new RangeError(`it is no .${magic} file of version 1`);
  const sections = new Map<number, Section>();
  let next = 12;
  for (let count = view.getUint32(8, true); count > 0; count--) {
    const at = next + 12;
    if (at > bytes.length) throw new RangeError('it is truncated');
    const id = view.getUint32(next, true);
    const size = Number(view.getBigUint64(next + 4, true));
    if (at + size > bytes.length) throw new RangeError('it is truncated');
    if (sections.has(id)) throw new RangeError(`section ${id} stands in it twice`);
    sections.set(id, { at, size });
    next = at + size;
  }
  if (next !== bytes.length) throw new RangeError('there are bytes after its sections');
  return sections;
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** How many public signals a .zkey file is for. @throws RangeError when it is none */
export function publicsOf(zkey: Uint8Array): number {
  const header = sectionsOf(zkey, 'zkey').get(2);
  if (header === undefined) throw new RangeError('it has no header');
  return viewOf(zkey).getUint32(header.at + 76, true);
}
