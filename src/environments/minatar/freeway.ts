import { type Draws, HALF } from './draws.ts';
import type { Game, GameDefinition } from './game.ts';
import { gameEnvironment } from './game.ts';
import { GRID } from './picture.ts';

/**
 * Freeway: a chicken crosses eight lanes, a step every third frame; a car throws it back to the start. Each crossing
 * gives the cars new speeds and directions. An episode lasts 2,501 frames.
 */

const UP = 1;
const DOWN = 2;

const LAST = GRID - 1;
const LANES = 8;
const COLUMN = 4;
/** Frames from one step of the chicken to the next. */
const STRIDE = 3;
const FRAMES = 2_500;
const SPEEDS = 5;

/** Places in an episode's scalars. */
const CHICKEN = 0;
const STEP_TIMER = 1;
/** Frames that are left; below 0 when the episode is over. */
const LEFT = 2;
const CROSSINGS = 3;
const SCALARS = 4;

/** Places of a lane's car. */
const X = 0;
/** Frames until it moves. */
const TIMER = 1;
/** Frames that it waits between moves: 1 to 5, negative when it drives to the left. */
const WAIT = 2;
const CAR = 3;

const CHANNELS = 7;

class Freeway implements Game {
  /** `[batch, SCALARS]`. */
  readonly #scalars: Int16Array;
  /** `[batch, 8, CAR]`; lane i is row i + 1. */
  readonly #cars: Int8Array;

  constructor(batch: number) {
    this.#scalars = new Int16Array(batch * SCALARS);
    this.#cars = new Int8Array(batch * LANES * CAR);
  }

  start(index: number, draws: Draws): void {
    const s = this.#scalars;
    const at = index * SCALARS;
    s[at + CHICKEN] = LAST;
    s[at + STEP_TIMER] = STRIDE;
    s[at + LEFT] = FRAMES;
    s[at + CROSSINGS] = 0;
    for (let lane = 0; lane < LANES; lane++) this.#cars[(index * LANES + lane) * CAR + X] = 0;
    this.#vary(index, draws);
  }

  frame(index: number, action: number, draws: Draws): number {
    const s = this.#scalars;
    const c = this.#cars;
    const at = index * SCALARS;
    let chicken = s[at + CHICKEN]!;
    if (s[at + STEP_TIMER] === 0 && (action === UP || action === DOWN)) {
      s[at + STEP_TIMER] = STRIDE;
      chicken = action === UP ? Math.max(0, chicken - 1) : Math.min(LAST, chicken + 1);
    }
    let reward = 0;
    if (chicken === 0) {
      reward = 1;
      s[at + CROSSINGS]! += 1;
      this.#vary(index, draws);
      chicken = LAST;
    }
    for (let lane = 0; lane < LANES; lane++) {
      const car = (index * LANES + lane) * CAR;
      const row = lane + 1;
      if (c[car + X] === COLUMN && chicken === row) chicken = LAST;
      if (c[car + TIMER] !== 0) {
        c[car + TIMER]! -= 1;
        continue;
      }
      const wait = c[car + WAIT]!;
      c[car + TIMER] = Math.abs(wait);
      c[car + X] = (c[car + X]! + (wait > 0 ? 1 : LAST)) % GRID;
      if (c[car + X] === COLUMN && chicken === row) chicken = LAST;
    }
    s[at + CHICKEN] = chicken;
    if (s[at + STEP_TIMER]! > 0) s[at + STEP_TIMER]! -= 1;
    s[at + LEFT]! -= 1;
    return reward;
  }

  ended(index: number): boolean {
    return this.#scalars[index * SCALARS + LEFT]! < 0;
  }

  observe(index: number, out: Int8Array, at: number): void {
    out[at + (this.#scalars[index * SCALARS + CHICKEN]! * GRID + COLUMN) * CHANNELS] = 1;
    for (let lane = 0; lane < LANES; lane++) {
      const car = (index * LANES + lane) * CAR;
      const row = at + (lane + 1) * GRID * CHANNELS;
      const x = this.#cars[car + X]!;
      const wait = this.#cars[car + WAIT]!;
      out[row + x * CHANNELS + 1] = 1;
      const behind = (x + (wait > 0 ? LAST : 1)) % GRID;
      out[row + behind * CHANNELS + 1 + Math.abs(wait)] = 1;
    }
  }

  status(index: number): string {
    const at = index * SCALARS;
    return `crossings ${this.#scalars[at + CROSSINGS]}, frames left ${this.#scalars[at + LEFT]! + 1}`;
  }

  /** New speeds, then new directions, of all cars; they stay where they are. */
  #vary(index: number, draws: Draws): void {
    const c = this.#cars;
    const first = index * LANES * CAR;
    for (let lane = 0; lane < LANES; lane++) c[first + lane * CAR + TIMER] = 1 + draws.below(SPEEDS);
    for (let lane = 0; lane < LANES; lane++) {
      const car = first + lane * CAR;
      c[car + WAIT] = draws.chance(HALF) ? -c[car + TIMER]! : c[car + TIMER]!;
    }
  }
}

export const freewayGame: GameDefinition = {
  name: 'Freeway',
  summary: 'Cross a road of eight lanes: 1 for each crossing, 2,501 frames an episode.',
  channels: [
    'chicken',
    'car',
    'trail of a car that moves every 2nd frame',
    'every 3rd',
    'every 4th',
    'every 5th',
    'every 6th',
  ],
  glyphs: ['◖◗', '██', '11', '22', '33', '44', '55'],
  actionNames: ['nothing', 'up', 'down'],
  // The package counts one frame more than its 2,500.
  maxEpisodeSteps: FRAMES + 1,
  create: (batch) => new Freeway(batch),
};

export const freeway = gameEnvironment(freewayGame);
