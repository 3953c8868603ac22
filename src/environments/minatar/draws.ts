import { seedBlock, seedWords } from '../../policy/philox.ts';

/**
 * Where a game's random choices come from. A game asks in an order that its state decides; each question takes one
 * 32-bit word, so every threshold is an exact integer.
 */
export interface Draws {
  /** Keeps the seed of slot `index`'s own randomness; 16 bytes. */
  seed(index: number, environmentSeed: Uint8Array): void;
  /** Before the draws of a start state. */
  beginStart(taskSeed: Uint8Array): void;
  /** Before the draws of step `slotStep` of slot `index`. */
  beginStep(index: number, slotStep: number): void;
  /** True when the next word is below `threshold`: with probability threshold / 2^32. */
  chance(threshold: number): boolean;
  /** floor(word · n / 2^32) of the next word: 0 to n − 1. */
  below(n: number): number;
}

/** ceil(2^32 / 10): a word below it, seen as word / 2^32, is below 0.1. The last action is taken again. */
export const STICKY = 429_496_730;
/** 2^32 / 2. */
export const HALF = 2_147_483_648;
/** ceil(2^32 / 3). */
export const THIRD = 1_431_655_766;

const WORDS = 2 ** 32;

/**
 * Draws of Philox: words 0 to 3 of block 0, then of block 1, and so on, at counter (slotStep, block) of the slot's
 * environment seed, or at counter (0, block) of the task seed for a start state. A block is made when its first word is asked for.
 */
export class PhiloxDraws implements Draws {
  /** `[batch, 4]`. */
  readonly #seeds: Uint32Array;
  readonly #task = new Uint32Array(4);
  readonly #block = new Uint32Array(4);
  #source: Uint32Array;
  #at = 0;
  #step = 0;
  /** Words taken since the last `begin`. */
  #taken = 0;

  constructor(batch: number) {
    this.#seeds = new Uint32Array(batch * 4);
    this.#source = this.#task;
  }

  seed(index: number, environmentSeed: Uint8Array): void {
    seedWords(environmentSeed, this.#seeds, index * 4);
  }

  beginStart(taskSeed: Uint8Array): void {
    seedWords(taskSeed, this.#task);
    this.#source = this.#task;
    this.#at = 0;
    this.#step = 0;
    this.#taken = 0;
  }

  beginStep(index: number, slotStep: number): void {
    this.#source = this.#seeds;
    this.#at = index * 4;
    this.#step = slotStep;
    this.#taken = 0;
  }

  chance(threshold: number): boolean {
    return this.#word() < threshold;
  }

  below(n: number): number {
    return Math.floor((this.#word() * n) / WORDS);
  }

  #word(): number {
    const lane = this.#taken & 3;
    if (lane === 0) seedBlock(this.#source, this.#at, this.#step, this.#taken >>> 2, this.#block);
    this.#taken += 1;
    return this.#block[lane]!;
  }
}
