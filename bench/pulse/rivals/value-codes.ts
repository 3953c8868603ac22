import { bytesOf, patternsOf } from './rival.ts';

/** How PULSEPT1 writes the new values of a tensor's changed cells, in order of position. */
export interface ValueCode {
  readonly name: string;
  encode(positions: Uint32Array, base: Uint16Array, target: Uint16Array): Uint8Array;
  decode(bytes: Uint8Array, positions: Uint32Array, base: Uint16Array): Uint16Array;
}

/** v1: bit patterns as they are. */
export const absoluteValues: ValueCode = {
  name: 'absolute',
  encode(positions, _base, target) {
    const values = new Uint16Array(positions.length);
    for (let i = 0; i < values.length; i++) values[i] = target[positions[i]!]!;
    return bytesOf(values);
  },
  decode: (bytes) => patternsOf(bytes),
};

/** Steps between two bit patterns mod 2^16, small numbers for small steps of either sign: 0, −1, 1, −2, … */
export function zigzagSteps(from: number, to: number): number {
  const step = ((to - from) << 16) >> 16;
  return ((step << 1) ^ (step >> 31)) & 0xffff;
}

const ESCAPE = 0xff;

/** v2 and v3: zigzag steps as u8; 0xff says that the step follows as u16. */
export const zigzagValues: ValueCode = {
  name: 'zz-delta-u8esc',
  encode(positions, base, target) {
    const out = new Uint8Array(3 * positions.length);
    let at = 0;
    for (const position of positions) {
      const steps = zigzagSteps(base[position]!, target[position]!);
      out[at++] = Math.min(steps, ESCAPE);
      if (steps < ESCAPE) continue;
      out[at++] = steps & 0xff;
      out[at++] = steps >>> 8;
    }
    return out.slice(0, at);
  },
  decode(bytes, positions, base) {
    const values = new Uint16Array(positions.length);
    for (let i = 0, at = 0; i < values.length; i++) {
      let steps = bytes[at++]!;
      if (steps === ESCAPE) {
        steps = bytes[at]! + 256 * bytes[at + 1]!;
        at += 2;
      }
      values[i] = base[positions[i]!]! + ((steps >>> 1) ^ -(steps & 1));
    }
    return values;
  },
};
