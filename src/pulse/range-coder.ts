import { GrailError } from '../protocol/errors.ts';

/**
 * An adaptive binary range coder on 32-bit integers: after G. N. N. Martin, "Range encoding: an algorithm for removing
 * redundancy from a digitised message" (1979), with binary decisions. No float decides anything: every product below
 * is an integer under 2^53. The layout is in docs/PROTOCOL.md, PULSE.
 */

/** Below this the range is widened by a byte. */
const RANGE_MIN = 2 ** 24;
const RANGE_START = 2 ** 32 - 1;
/** A code word is four bytes, so a decoder may look at most this far past the last byte. */
const CODE_BYTES = 4;

/** Decisions after which a context stops slowing down: it then moves by 1/(SEEN_MAX + 1.5) a decision. */
export const SEEN_MAX = 253;
/** 2^15/(n + 1.5) rounded down: with these steps a context is the Krichevsky–Trofimov mean of what it has seen. */
const RATE = Uint16Array.from({ length: SEEN_MAX + 1 }, (_, n) => Math.floor(65_536 / (2 * n + 3)));

/** A row of adaptive contexts. */
export class BitModel {
  /** `[size]` uint16: the probability that the next bit is 0, in units of 2^-16; never 0. */
  readonly zero: Uint16Array;
  /** `[size]` uint8: decisions seen, at most SEEN_MAX. */
  readonly seen: Uint8Array;

  constructor(size: number) {
    this.zero = new Uint16Array(size).fill(32_768);
    this.seen = new Uint8Array(size);
  }

  /** Starts a context at a probability (2^-16 units, of a 0), trusted as if `seen` decisions had led to it. */
  prime(context: number, zero: number, seen: number): void {
    this.zero[context] = zero;
    this.seen[context] = seen;
  }

  /** Moves a context towards the bit that came. */
  adapt(context: number, bit: number): void {
    const zero = this.zero[context]!;
    const seen = this.seen[context]!;
    const rate = RATE[seen]!;
    this.zero[context] = bit === 0 ? zero + (((65_536 - zero) * rate) >>> 15) : zero - ((zero * rate) >>> 15);
    if (seen < SEEN_MAX) this.seen[context] = seen + 1;
  }
}

/**
 * One direction of the coder. A format is described once, by a function that calls `bit` with the value it knows; an
 * encoder writes that value and returns it, a decoder ignores it and returns what it read.
 */
export interface BitCoder {
  /** Codes one bit in an adaptive context. */
  bit(model: BitModel, context: number, value: number): number;
  /** Codes `count` ≤ 31 equiprobable bits, most significant first. */
  direct(count: number, value: number): number;
}

export class RangeEncoder implements BitCoder {
  #low = 0;
  #range = RANGE_START;
  #bytes = new Uint8Array(256);
  #length = 0;

  bit(model: BitModel, context: number, value: number): number {
    const bound = (this.#range >>> 16) * model.zero[context]!;
    if (value === 0) {
      this.#range = bound;
    } else {
      this.#add(bound);
      this.#range -= bound;
    }
    model.adapt(context, value);
    this.#normalise();
    return value;
  }

  direct(count: number, value: number): number {
    for (let i = count - 1; i >= 0; i--) {
      const half = this.#range >>> 1;
      if ((value >>> i) & 1) {
        this.#add(half);
        this.#range -= half;
      } else {
        this.#range = half;
      }
      this.#normalise();
    }
    return value;
  }

  /** Ends the code with the fewest bytes that, followed by zeros without end, lie in the last interval. */
  finish(): Uint8Array {
    for (let keep = 0; keep <= CODE_BYTES; keep++) {
      const unit = 2 ** (32 - 8 * keep);
      const value = Math.ceil(this.#low / unit) * unit;
      if (value >= this.#low + this.#range) continue;
      this.#add(value - this.#low);
      for (let i = 0; i < keep; i++) this.#shift();
      break;
    }
    return this.#bytes.slice(0, this.#length);
  }

  #add(amount: number): void {
    this.#low += amount;
    if (this.#low < 2 ** 32) return;
    this.#low -= 2 ** 32;
    let at = this.#length - 1;
    while (this.#bytes[at] === 255) this.#bytes[at--] = 0;
    this.#bytes[at]! += 1;
  }

  #normalise(): void {
    while (this.#range < RANGE_MIN) {
      this.#shift();
      this.#range = (this.#range << 8) >>> 0;
    }
  }

  #shift(): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#length);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = this.#low >>> 24;
    this.#low = (this.#low << 8) >>> 0;
  }
}

export class RangeDecoder implements BitCoder {
  readonly #bytes: Uint8Array;
  #at = 0;
  #code = 0;
  #range = RANGE_START;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < CODE_BYTES; i++) this.#shift();
  }

  /** @throws GrailError PATCH_FORMAT when the bytes end before the code does. */
  bit(model: BitModel, context: number, _value?: number): number {
    const bound = (this.#range >>> 16) * model.zero[context]!;
    let value = 0;
    if (this.#code < bound) {
      this.#range = bound;
    } else {
      value = 1;
      this.#code -= bound;
      this.#range -= bound;
    }
    model.adapt(context, value);
    this.#normalise();
    return value;
  }

  /** @throws GrailError PATCH_FORMAT when the bytes end before the code does. */
  direct(count: number, _value?: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const half = this.#range >>> 1;
      const bit = this.#code < half ? 0 : 1;
      if (bit === 1) this.#code -= half;
      this.#range = bit === 1 ? this.#range - half : half;
      value = value * 2 + bit;
      this.#normalise();
    }
    return value;
  }

  /** @throws GrailError PATCH_FORMAT when bytes are left that the code did not need. */
  finish(): void {
    if (this.#at < this.#bytes.length) {
      throw new GrailError('PATCH_FORMAT', 'bytes follow the end of the code', {
        expected: `${this.#at} bytes`,
        got: `${this.#bytes.length} bytes`,
      });
    }
  }

  #normalise(): void {
    while (this.#range < RANGE_MIN) {
      this.#shift();
      this.#range = (this.#range << 8) >>> 0;
    }
  }

  #shift(): void {
    if (this.#at >= this.#bytes.length + CODE_BYTES) {
      throw new GrailError('PATCH_FORMAT', 'the bytes end before the code does', {
        got: `${this.#bytes.length} bytes`,
      });
    }
    const byte = this.#bytes[this.#at++] ?? 0;
    this.#code = ((this.#code << 8) | byte) >>> 0;
  }
}

/**
 * Runs a format over bytes and accepts them only when they are the one encoding of what they hold: the values are
 * encoded again and compared.
 * @throws GrailError PATCH_FORMAT when the bytes are cut, extended, out of range or not canonical.
 */
export function decodeCanonical<T>(bytes: Uint8Array, code: (coder: BitCoder, value: T | null) => T): T {
  const decoder = new RangeDecoder(bytes);
  const value = code(decoder, null);
  decoder.finish();
  const again = encodeCanonical(value, code);
  if (again.length !== bytes.length || again.some((byte, i) => byte !== bytes[i])) {
    throw new GrailError('PATCH_FORMAT', 'the bytes are not the canonical encoding of what they hold');
  }
  return value;
}

/** The one encoding of a value in a format. */
export function encodeCanonical<T>(value: T, code: (coder: BitCoder, value: T | null) => T): Uint8Array {
  const encoder = new RangeEncoder();
  code(encoder, value);
  return encoder.finish();
}
