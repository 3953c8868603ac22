/**
 * Philox4x32-10, a counter-based generator: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. Known answers: Random123.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** The upper 32 bits of a 32×32-bit product, as a signed word. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = Math.imul(aHigh, bLow) >>> 0;
  const middle = (Math.imul(aLow, bLow) >>> 16) + (cross & 0xffff) + (Math.imul(aLow, bHigh) >>> 0);
  // `middle` stays below 2^33, beyond what >>> keeps: divide instead.
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + Math.floor(middle / 65_536)) | 0;
}

/** One block: four counter words and two key words to four words, written to `out[0..3]`. */
export function philox4x32(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let c0 = counter0 | 0;
  let c1 = counter1 | 0;
  let c2 = counter2 | 0;
  let c3 = counter3 | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** The four big-endian words w0..w3 of a 16-byte seed, at `out[at..at+3]`. */
export function seedWords(seed: Uint8Array, out: Uint32Array = new Uint32Array(4), at = 0): Uint32Array {
  if (seed.length !== 16) throw new RangeError(`a seed has 16 bytes, not ${seed.length}`);
  for (let word = 0; word < 4; word++) {
    const byte = 4 * word;
    out[at + word] = (seed[byte]! << 24) | (seed[byte + 1]! << 16) | (seed[byte + 2]! << 8) | seed[byte + 3]!;
  }
  return out;
}

/**
 * Block `block` of step `step` of a seed: key (w0, w1), counter (step, block, w2, w3). `words` holds w0..w3 at `at`;
 * the block's four words are written to `out[0..3]`.
 */
export function seedBlock(
  words: Uint32Array,
  at: number,
  step: number,
  block: number,
  out: Uint32Array,
): void {
  philox4x32(step, block, words[at + 2]!, words[at + 3]!, words[at]!, words[at + 1]!, out);
}
