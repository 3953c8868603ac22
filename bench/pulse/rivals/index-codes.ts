import { concat } from '../../../src/protocol/bytes.ts';
import { decodeRice, encodeRice } from './rice.ts';

/** How PULSEPT1 writes the ascending positions of a tensor's changed cells; there is at least one. */
export interface IndexCode {
  readonly name: string;
  /** @param base the tensor that sender and receiver hold */
  encode(positions: Uint32Array, base: Uint16Array): Uint8Array;
  decode(bytes: Uint8Array, count: number, base: Uint16Array): Uint32Array;
}

const ESCAPE = 0xffff;

/** v1: the first position as u32, then gaps as u16; 0xffff says that the gap follows as u32. */
export const u16Gaps: IndexCode = {
  name: 'delta-u16-esc',
  encode(positions) {
    let escapes = 0;
    for (let i = 1; i < positions.length; i++) if (positions[i]! - positions[i - 1]! >= ESCAPE) escapes++;
    const out = new DataView(new ArrayBuffer(4 + 2 * (positions.length - 1) + 4 * escapes));
    out.setUint32(0, positions[0]!, true);
    for (let i = 1, at = 4; i < positions.length; i++) {
      const gap = positions[i]! - positions[i - 1]!;
      out.setUint16(at, Math.min(gap, ESCAPE), true);
      at += 2;
      if (gap < ESCAPE) continue;
      out.setUint32(at, gap, true);
      at += 4;
    }
    return new Uint8Array(out.buffer);
  },
  decode(bytes, count) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const positions = new Uint32Array(count);
    positions[0] = view.getUint32(0, true);
    for (let i = 1, at = 4; i < count; i++) {
      let gap = view.getUint16(at, true);
      at += 2;
      if (gap === ESCAPE) {
        gap = view.getUint32(at, true);
        at += 4;
      }
      positions[i] = positions[i - 1]! + gap;
    }
    return positions;
  },
};

/** v2: one Rice block. */
export const riceGaps: IndexCode = {
  name: 'rice-gap',
  encode: (positions) => encodeRice(positions),
  decode: (bytes, count) => decodeRice(bytes, count),
};

const EXPONENTS = 256;
const CLASS_BYTES = 10;

function exponent(pattern: number): number {
  return (pattern >>> 7) & 0xff;
}

function populations(base: Uint16Array): Uint32Array {
  const sizes = new Uint32Array(EXPONENTS);
  for (let i = 0; i < base.length; i++) sizes[exponent(base[i]!)]!++;
  return sizes;
}

/**
 * v3: `u16 L ‖ L × {u8 exponent, u8 complement, u32 m, u32 bytes} ‖ Rice blocks`. Cells of one old exponent change with
 * about one probability, so each such class has a block of its own: the ranks within it of the m cells that changed, or,
 * where more than half did, of those that did not.
 */
export const exponentClasses: IndexCode = {
  name: 'exp-class-rice',
  encode(positions, base) {
    const sizes = populations(base);
    const changed = new Uint32Array(EXPONENTS);
    for (const position of positions) changed[exponent(base[position]!)]!++;
    const complement = changed.map((count, e) => (2 * count > sizes[e]! ? 1 : 0));
    const ranks = Array.from(changed, (count, e) =>
      count === 0 ? null : new Uint32Array(complement[e] === 1 ? sizes[e]! - count : count),
    );
    const filled = new Uint32Array(EXPONENTS);
    const seen = new Uint32Array(EXPONENTS);
    for (let i = 0, next = 0; i < base.length; i++) {
      const e = exponent(base[i]!);
      const hit = positions[next] === i ? 1 : 0;
      next += hit;
      if (hit !== complement[e] && ranks[e] !== null) ranks[e]![filled[e]!++] = seen[e]!;
      seen[e]!++;
    }
    const used = ranks.flatMap((list, e) => (list === null ? [] : [{ e, list }]));
    const blocks = used.map(({ list }) => (list.length === 0 ? new Uint8Array(0) : encodeRice(list)));
    const head = new DataView(new ArrayBuffer(2 + CLASS_BYTES * used.length));
    head.setUint16(0, used.length, true);
    for (const [i, { e, list }] of used.entries()) {
      const at = 2 + CLASS_BYTES * i;
      head.setUint8(at, e);
      head.setUint8(at + 1, complement[e]!);
      head.setUint32(at + 2, list.length, true);
      head.setUint32(at + 6, blocks[i]!.length, true);
    }
    return concat(new Uint8Array(head.buffer), ...blocks);
  },
  decode(bytes, count, base) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const classes = view.getUint16(0, true);
    const sizes = populations(base);
    /** A bit for each cell of a class, in order of rank: whether it changed. */
    const flags: Uint8Array[] = Array.from(sizes, () => new Uint8Array(0));
    let blockAt = 2 + CLASS_BYTES * classes;
    for (let i = 0; i < classes; i++) {
      const at = 2 + CLASS_BYTES * i;
      const e = view.getUint8(at);
      const complement = view.getUint8(at + 1);
      const m = view.getUint32(at + 2, true);
      const end = blockAt + view.getUint32(at + 6, true);
      const flag = new Uint8Array(sizes[e]!).fill(complement);
      if (m > 0) for (const rank of decodeRice(bytes.subarray(blockAt, end), m)) flag[rank] = 1 - complement;
      flags[e] = flag;
      blockAt = end;
    }
    const seen = new Uint32Array(EXPONENTS);
    const positions = new Uint32Array(count);
    for (let i = 0, at = 0; at < count; i++) {
      const e = exponent(base[i]!);
      if (flags[e]![seen[e]!++] === 1) positions[at++] = i;
    }
    return positions;
  },
};
