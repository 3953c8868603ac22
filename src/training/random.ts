import { seedBlock, seedWords } from '../policy/philox.ts';

/** Gives the next uniform u32 word of its stream. */
export type NextWord = () => number;

/** The Philox words of a 16-byte seed in order: word i is word i mod 4 of block (step 0, block ⌊i/4⌋). */
export function wordStream(seed: Uint8Array): NextWord {
  const words = seedWords(seed);
  const block = new Uint32Array(4);
  let drawn = 0;
  return () => {
    if (drawn % 4 === 0) seedBlock(words, 0, 0, drawn / 4, block);
    return block[drawn++ % 4]!;
  };
}
