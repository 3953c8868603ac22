import type { Curve } from 'ffjavascript';
import { writeField } from './fields.ts';

const WINDOWS = 32;
const DIGITS = 255;
/** Points turned to affine at once: the inversion is shared among them, the memory bounded. */
const BATCH = 2048;

/**
 * Multiples of a group's generator, many of them: a table of digit · 2^(8·window) · G, so that a multiplication is
 * at most 32 mixed additions (35 µs in G1, 100 µs in G2). It lives in the curve's own memory, which grows and never
 * shrinks: give it a curve that is dropped afterwards.
 */
export class FixedBase {
  readonly #curve: Curve;
  readonly #prefix: 'g1m' | 'g2m';
  readonly #jacobianBytes: number;
  readonly #table: number;
  readonly #batch: number;
  /** Bytes of one affine point: 64 in G1, 128 in G2. */
  readonly pointBytes: number;

  constructor(curve: Curve, group: 'G1' | 'G2') {
    this.#curve = curve;
    this.#prefix = group === 'G1' ? 'g1m' : 'g2m';
    this.pointBytes = group === 'G1' ? 64 : 128;
    this.#jacobianBytes = (this.pointBytes * 3) / 2;
    this.#table = this.#allocate(WINDOWS * DIGITS * this.pointBytes);
    this.#batch = this.#allocate(BATCH * this.#jacobianBytes);
    const base = this.#allocate(this.#jacobianBytes);
    curve.tm.u8.copyWithin(
      base,
      group === 'G1' ? curve.tm.pG1gen : curve.tm.pG2gen,
      (group === 'G1' ? curve.tm.pG1gen : curve.tm.pG2gen) + this.#jacobianBytes,
    );
    for (let window = 0; window < WINDOWS; window++) {
      const at = (digit: number) => this.#batch + (digit - 1) * this.#jacobianBytes;
      this.#call('copy', base, at(1));
      for (let digit = 2; digit <= DIGITS; digit++) this.#call('add', at(digit - 1), base, at(digit));
      this.#call('add', at(DIGITS), base, base);
      this.#call('batchToAffine', this.#batch, DIGITS, this.#table + window * DIGITS * this.pointBytes);
    }
  }

  /**
   * `scalars[i] · G` for scalars below 2^256, as affine little-endian Montgomery bytes, `[scalars, pointBytes]`; zero
   * gives zeros. Lets other work run between batches.
   * @param onBatch called with the number of points that are done
   */
  async multiply(
    scalars: readonly bigint[],
    onBatch: (done: number) => void = () => {},
  ): Promise<Uint8Array> {
    const out = new Uint8Array(scalars.length * this.pointBytes);
    const digits = new Uint8Array(32);
    const digitsView = new DataView(digits.buffer);
    for (let start = 0; start < scalars.length; start += BATCH) {
      const count = Math.min(BATCH, scalars.length - start);
      for (let i = 0; i < count; i++) {
        const sum = this.#batch + i * this.#jacobianBytes;
        this.#call('zero', sum);
        writeField(digitsView, 0, scalars[start + i]!);
        for (let window = 0; window < WINDOWS; window++) {
          const digit = digits[window]!;
          if (digit === 0) continue;
          this.#call('addMixed', sum, this.#table + (window * DIGITS + digit - 1) * this.pointBytes, sum);
        }
      }
      this.#call('batchToAffine', this.#batch, count, this.#batch);
      const { u8 } = this.#curve.tm;
      out.set(u8.subarray(this.#batch, this.#batch + count * this.pointBytes), start * this.pointBytes);
      onBatch(start + count);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return out;
  }

  #call(name: string, ...args: number[]): void {
    this.#curve.tm.instance.exports[`${this.#prefix}_${name}`]!(...args);
  }

  /** Takes memory from the curve's free end, leaving it as much again for the scratch of its own functions. */
  #allocate(bytes: number): number {
    const { tm } = this.#curve;
    const start = (tm.u32[0]! + 7) & ~7;
    const missing = start + 2 * bytes + 65_536 - tm.memory.buffer.byteLength;
    if (missing > 0) {
      tm.memory.grow(Math.ceil(missing / 65_536));
      tm.u8 = new Uint8Array(tm.memory.buffer);
      tm.u32 = new Uint32Array(tm.memory.buffer);
    }
    tm.u32[0] = start + bytes;
    return start;
  }
}
