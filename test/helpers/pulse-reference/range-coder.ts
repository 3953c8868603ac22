/** PULSE's range coder as docs/PROTOCOL.md states it, with BigInt for u64. */

export class Refused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

export interface Contexts {
  zero: Uint16Array;
  seen: Uint8Array;
}

export const contexts = (count: number): Contexts => ({
  zero: new Uint16Array(count).fill(32_768),
  seen: new Uint8Array(count),
});

/** What the encoder and the decoder have in common: `value` is what an encoder codes, and nothing to a decoder. */
export interface Coder {
  readonly decoding: boolean;
  /** Where the code lies among 2^k parts; an encoder does not know. */
  at(k: number): number;
  part(k: number, a: number, b: number): void;
  bit(of: Contexts, index: number, value: number): number;
}

const MASK = (1n << 64n) - 1n;
const FULL = 1n << 48n;

function learn(of: Contexts, index: number, bit: number): void {
  const seen = of.seen[index]!;
  const rate = Math.floor(131_072 / (2 * seen + 3));
  let zero = of.zero[index]!;
  if (bit === 0) zero += Math.floor(((65_536 - zero) * rate) / 65_536);
  else zero -= Math.floor((zero * rate) / 65_536);
  of.zero[index] = Math.max(32, Math.min(zero, 65_504));
  of.seen[index] = Math.min(seen + 1, 254);
}

/** The end of a code: how many bytes of `low` are kept, and how far the code lies above it. */
function end(low: bigint, range: bigint): { keep: number; distance: bigint } {
  for (let keep = 0; ; keep++) {
    const distance = -low & MASK & ((1n << BigInt(64 - 8 * keep)) - 1n);
    if (distance < range) return { keep, distance };
  }
}

export class Encoder implements Coder {
  readonly decoding = false;
  readonly #bytes: number[] = [];
  #low = 0n;
  #range = MASK;

  at(): number {
    throw new Error('an encoder does not read');
  }

  part(k: number, a: number, b: number): void {
    const unit = this.#range >> BigInt(k);
    const below = unit * BigInt(a);
    this.#range = b === 2 ** k ? this.#range - below : unit * BigInt(b - a);
    this.#add(below);
    this.#normalise();
  }

  bit(of: Contexts, index: number, value: number): number {
    const bound = (this.#range >> 16n) * BigInt(of.zero[index]!);
    if (value === 0) this.#range = bound;
    else {
      this.#range -= bound;
      this.#add(bound);
    }
    this.#normalise();
    learn(of, index, value);
    return value;
  }

  finish(): Uint8Array {
    const { keep, distance } = end(this.#low, this.#range);
    this.#add(distance);
    for (let i = 0; i < keep; i++) this.#bytes.push(Number((this.#low >> BigInt(56 - 8 * i)) & 255n));
    return Uint8Array.from(this.#bytes);
  }

  #add(what: bigint): void {
    this.#low += what;
    if (this.#low <= MASK) return;
    this.#low &= MASK;
    let i = this.#bytes.length - 1;
    while (this.#bytes[i] === 255) this.#bytes[i--] = 0;
    this.#bytes[i]!++;
  }

  #normalise(): void {
    while (this.#range < FULL) {
      this.#bytes.push(Number(this.#low >> 56n), Number((this.#low >> 48n) & 255n));
      this.#low = (this.#low << 16n) & MASK;
      this.#range <<= 16n;
    }
  }
}

export class Decoder implements Coder {
  readonly decoding = true;
  readonly #bytes: Uint8Array;
  #position = 0;
  #last = 0n;
  #code = 0n;
  #range = MASK;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 8; i++) this.#read();
  }

  at(k: number): number {
    const found = this.#code / (this.#range >> BigInt(k));
    return found < 1n << BigInt(k) ? Number(found) : 2 ** k - 1;
  }

  part(k: number, a: number, b: number): void {
    const unit = this.#range >> BigInt(k);
    const below = unit * BigInt(a);
    this.#code -= below;
    this.#range = b === 2 ** k ? this.#range - below : unit * BigInt(b - a);
    this.#normalise();
  }

  bit(of: Contexts, index: number): number {
    const bound = (this.#range >> 16n) * BigInt(of.zero[index]!);
    const value = this.#code < bound ? 0 : 1;
    if (value === 0) this.#range = bound;
    else {
      this.#range -= bound;
      this.#code -= bound;
    }
    this.#normalise();
    learn(of, index, value);
    return value;
  }

  finish(): void {
    const { keep, distance } = end((this.#last - this.#code) & MASK, this.#range);
    if (this.#position < this.#bytes.length) throw new Refused('PATCH_FORMAT', 'bytes are left');
    if (this.#code !== distance || this.#position - this.#bytes.length !== 8 - keep) {
      throw new Refused('PATCH_FORMAT', 'the code is not canonical');
    }
  }

  #read(): void {
    if (this.#position >= this.#bytes.length + 8) throw new Refused('PATCH_FORMAT', 'the code ends early');
    const byte = BigInt(this.#bytes[this.#position++] ?? 0);
    this.#code = (this.#code << 8n) | byte;
    this.#last = ((this.#last << 8n) & MASK) | byte;
  }

  #normalise(): void {
    while (this.#range < FULL) {
      this.#read();
      this.#read();
      this.#range <<= 16n;
    }
  }
}

export function raw(coder: Coder, k: number, value: number): number {
  const v = coder.decoding ? coder.at(k) : value;
  coder.part(k, v, v + 1);
  return v;
}

export function tree(coder: Coder, of: Contexts, n: number, value: number): number {
  let node = 1;
  for (let i = n - 1; i >= 0; i--) node = 2 * node + coder.bit(of, node, Math.floor(value / 2 ** i) % 2);
  return node - 2 ** n;
}
