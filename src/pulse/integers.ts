import { GrailError } from '../protocol/errors.ts';
import { type BitCoder, BitModel } from './range-coder.ts';

/** How many decisions a prior computed from counts is worth. */
const PRIOR_SEEN = 24;

/**
 * Adaptive Elias-gamma: an integer from 1 to `maximum` as the length of its mantissa in unary, then the mantissa, most
 * significant bit first. Each unary place and each (length, place) of a mantissa has a context.
 */
export class IntegerModel {
  readonly maximum: number;
  readonly #maxLength: number;
  readonly #prefix: BitModel;
  readonly #mantissa: BitModel;

  /** @param maximum the largest value, 1 ≤ maximum < 2^31 */
  constructor(maximum: number) {
    this.maximum = maximum;
    this.#maxLength = 31 - Math.clz32(maximum);
    this.#prefix = new BitModel(this.#maxLength);
    this.#mantissa = new BitModel((this.#maxLength + 1) * this.#maxLength);
  }

  /**
   * Expects values that are geometric with P(next is larger) = 1 − hits/trials, as gaps between `hits` random
   * positions among `trials` are: then P(v ≥ 2^(j+1) | v ≥ 2^j) = c^(2^j), and mantissa bit b is 1 with
   * c^(2^b)/(1 + c^(2^b)).
   */
  expectGeometric(hits: number, trials: number): void {
    let c = Math.floor((65_536 * (trials - hits)) / trials);
    for (let place = 0; place < this.#maxLength; place++) {
      c = Math.min(65_504, Math.max(32, c));
      this.#prefix.prime(place, 65_536 - c, PRIOR_SEEN);
      const zero = Math.floor(2 ** 32 / (65_536 + c));
      for (let length = place + 1; length <= this.#maxLength; length++) {
        this.#mantissa.prime(length * this.#maxLength + place, zero, PRIOR_SEEN);
      }
      c = Math.floor((c * c) / 65_536);
    }
  }

  /**
   * Codes one value; `value` is what an encoder writes.
   * @throws GrailError PATCH_FORMAT when the value, given or decoded, exceeds the maximum.
   */
  code(coder: BitCoder, value: number): number {
    this.#requireInRange(value);
    const wanted = 31 - Math.clz32(value);
    let length = 0;
    while (length < this.#maxLength && coder.bit(this.#prefix, length, length < wanted ? 1 : 0) === 1)
      length++;
    let out = 1;
    for (let place = length - 1; place >= 0; place--) {
      out = 2 * out + coder.bit(this.#mantissa, length * this.#maxLength + place, (value >>> place) & 1);
    }
    this.#requireInRange(out);
    return out;
  }

  #requireInRange(value: number): void {
    if (value <= this.maximum) return;
    throw new GrailError('PATCH_FORMAT', 'a coded integer exceeds its maximum', {
      expected: this.maximum,
      got: value,
    });
  }
}
