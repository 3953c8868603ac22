import { concat } from '../../../src/protocol/bytes.ts';
import { BitReader, BitWriter } from './bits.ts';
import { bytesOf } from './rival.ts';

/** A quotient from here on is written as so many ones, and the value as a u32 behind the block. */
const ESCAPE = 32;
const HEAD_BYTES = 5;

/** Ascending positions as a Rice block: `u8 k ‖ u32 U ‖ U bytes of unary quotients ‖ k-bit remainders ‖ u32 escapes`. */
export function encodeRice(positions: Uint32Array): Uint8Array {
  const values = new Uint32Array(positions.length);
  for (let i = 0, next = 0; i < values.length; i++) {
    values[i] = positions[i]! - next;
    next = positions[i]! + 1;
  }
  const { k, unaryBits, escapes } = bestParameter(values);
  const unary = new BitWriter(unaryBits);
  const remainders = new BitWriter(k * (values.length - escapes));
  const escaped = new Uint32Array(escapes);
  let at = 0;
  for (const value of values) {
    const quotient = value >>> k;
    for (let i = 0; i < Math.min(quotient, ESCAPE); i++) unary.bit(true);
    if (quotient >= ESCAPE) escaped[at++] = value;
    else {
      unary.bit(false);
      remainders.bits(value, k);
    }
  }
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = k;
  new DataView(head.buffer).setUint32(1, unary.bytes.length, true);
  return concat(head, unary.bytes, remainders.bytes, bytesOf(escaped));
}

/** The `count` positions of a Rice block. */
export function decodeRice(block: Uint8Array, count: number): Uint32Array {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const k = block[0]!;
  const unaryEnd = HEAD_BYTES + view.getUint32(1, true);
  const unary = new BitReader(block.subarray(HEAD_BYTES, unaryEnd));
  const quotients = new Uint8Array(count);
  let plain = 0;
  for (let i = 0; i < count; i++) {
    let quotient = 0;
    while (quotient < ESCAPE && unary.bit() === 1) quotient++;
    quotients[i] = quotient;
    if (quotient < ESCAPE) plain++;
  }
  const remainders = new BitReader(block.subarray(unaryEnd));
  let escapeAt = unaryEnd + Math.ceil((k * plain) / 8);
  const positions = new Uint32Array(count);
  for (let i = 0, next = 0; i < count; i++) {
    let value: number;
    if (quotients[i] === ESCAPE) {
      value = view.getUint32(escapeAt, true);
      escapeAt += 4;
    } else value = quotients[i]! * 2 ** k + remainders.bits(k);
    positions[i] = next + value;
    next = positions[i]! + 1;
  }
  return positions;
}

/** The cheapest of the four parameters around the one that a geometric distribution of this mean would ask for. */
function bestParameter(values: Uint32Array): { k: number; unaryBits: number; escapes: number } {
  let sum = 0;
  for (const value of values) sum += value;
  const guess = Math.max(0, Math.floor(Math.log2((sum / values.length) * Math.LN2)));
  const tried = [guess - 1, guess, guess + 1, guess + 2]
    .filter((k) => k >= 0 && k < 32)
    .map((k) => {
      let [unaryBits, escapes] = [0, 0];
      for (let i = 0; i < values.length; i++) {
        const quotient = values[i]! >>> k;
        if (quotient < ESCAPE) unaryBits += quotient + 1;
        else {
          unaryBits += ESCAPE;
          escapes++;
        }
      }
      return { k, unaryBits, escapes, bits: unaryBits + k * (values.length - escapes) + 32 * escapes };
    });
  return tried.reduce((best, next) => (next.bits < best.bits ? next : best));
}
