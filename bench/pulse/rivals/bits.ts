/** Writes bits, the most significant of each byte first, and pads the last byte with ones. */
export class BitWriter {
  readonly bytes: Uint8Array;
  #at = 0;

  /** @param bits how many will be written */
  constructor(bits: number) {
    this.bytes = new Uint8Array(Math.ceil(bits / 8));
    if (bits % 8 !== 0) this.bytes[this.bytes.length - 1] = 0xff >>> (bits % 8);
  }

  bit(one: boolean): void {
    if (one) this.bytes[this.#at >>> 3]! |= 0x80 >>> (this.#at & 7);
    this.#at++;
  }

  bits(value: number, width: number): void {
    for (let bit = width - 1; bit >= 0; bit--) this.bit(((value >>> bit) & 1) === 1);
  }
}

export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  bit(): number {
    const bit = (this.#bytes[this.#at >>> 3]! >>> (7 - (this.#at & 7))) & 1;
    this.#at++;
    return bit;
  }

  bits(width: number): number {
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 2 + this.bit();
    return value;
  }
}
