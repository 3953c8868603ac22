/**
 * Fixed-width byte encodings. Every integer that enters a hash is big-endian; every byte string on the wire is
 * lower-case hex with a 0x prefix.
 */

/** A lower-case, 0x-prefixed hex string. */
export type Hex = `0x${string}`;

/** Two digits for each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Bytes to lower-case 0x-prefixed hex. */
export function toHex(bytes: Uint8Array): Hex {
  let out = '0x';
  for (let i = 0; i < bytes.length; i++) out += HEX[bytes[i]!]!;
  return out as Hex;
}

/** Hex to bytes. @throws RangeError when the text is not 0x-prefixed hex of even length. */
export function fromHex(hex: string): Uint8Array {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new RangeError('expected 0x-prefixed hex of even length');
  const out = new Uint8Array((hex.length - 2) / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = (nibble(hex.charCodeAt(2 + 2 * i)) << 4) | nibble(hex.charCodeAt(3 + 2 * i));
  }
  return out;
}

/** The value of a hex digit, by the code of its character: letters have bit 6 set, and `a` and `A` end in 1. */
function nibble(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}

export function u8(value: number): Uint8Array {
  return unsigned(value, 1);
}

export function u32(value: number): Uint8Array {
  return unsigned(value, 4);
}

/** A u64 from a safe integer. */
export function u64(value: number): Uint8Array {
  return unsigned(value, 8);
}

function unsigned(value: number, width: number): Uint8Array {
  const out = new Uint8Array(width);
  let rest = Number.isSafeInteger(value) && value >= 0 ? value : -1;
  for (let i = width - 1; i >= 0 && rest >= 0; i--) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  if (rest !== 0) throw new RangeError(`${value} is not a u${8 * width}`);
  return out;
}

/** A non-negative bigint as `width` big-endian bytes. @throws RangeError when it does not fit. */
export function bigToBytes(value: bigint, width: number): Uint8Array {
  const out = new Uint8Array(width);
  let rest = value;
  for (let i = width - 1; i >= 0; i--) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  if (value < 0n || rest !== 0n) throw new RangeError(`value does not fit ${width} bytes`);
  return out;
}

/** Big-endian bytes as a bigint. */
export function bytesToBig(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(toHex(bytes));
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Lexicographic order of equal-width byte strings; the order of addresses everywhere. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
