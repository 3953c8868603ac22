import type { Draws } from './draws.ts';
import type { Game, GameDefinition } from './game.ts';
import { gameEnvironment } from './game.ts';
import { GRID } from './picture.ts';

/**
 * Breakout: a ball travels along diagonals and breaks one brick of three rows at each strike; a paddle keeps it in
 * play. The ball leaves the paddle the way it came when it meets the paddle's side. A new wall stands when the last one is gone
 * and the ball is down at the paddle.
 */

const LEFT = 1;
const RIGHT = 2;

const FIRST_ROW = 1;
const ROWS = 3;
const BRICKS = ROWS * GRID;
const PADDLE_ROW = 9;
const LAST = GRID - 1;

/** Places in an episode's scalars. */
const BALL_X = 0;
const BALL_Y = 1;
/** −1 or 1 a frame. */
const SPEED_X = 2;
const SPEED_Y = 3;
const TRAIL_X = 4;
const TRAIL_Y = 5;
const PADDLE = 6;
/** 1 when the last frame struck a brick: the ball then passes through the next one. */
const STRUCK = 7;
const ENDED = 8;
/** Bricks that stand. */
const STANDING = 9;
const SCALARS = 10;

const CHANNELS = 4;
const BRICK_CHANNEL = 3;

class Breakout implements Game {
  /** `[batch, SCALARS]`. */
  readonly #scalars: Int8Array;
  /** `[batch, 3, 10]`: 1 where a brick stands. */
  readonly #bricks: Uint8Array;

  constructor(batch: number) {
    this.#scalars = new Int8Array(batch * SCALARS);
    this.#bricks = new Uint8Array(batch * BRICKS);
  }

  start(index: number, draws: Draws): void {
    const s = this.#scalars;
    const at = index * SCALARS;
    const side = draws.below(2);
    s[at + BALL_X] = side === 0 ? 0 : LAST;
    s[at + BALL_Y] = 3;
    s[at + SPEED_X] = side === 0 ? 1 : -1;
    s[at + SPEED_Y] = 1;
    s[at + TRAIL_X] = s[at + BALL_X]!;
    s[at + TRAIL_Y] = 3;
    s[at + PADDLE] = 4;
    s[at + STRUCK] = 0;
    s[at + ENDED] = 0;
    this.#build(index);
  }

  frame(index: number, action: number): number {
    const s = this.#scalars;
    const at = index * SCALARS;
    if (action === LEFT) s[at + PADDLE] = Math.max(0, s[at + PADDLE]! - 1);
    else if (action === RIGHT) s[at + PADDLE] = Math.min(LAST, s[at + PADDLE]! + 1);

    const oldX = s[at + BALL_X]!;
    const oldY = s[at + BALL_Y]!;
    let speedX = s[at + SPEED_X]!;
    let speedY = s[at + SPEED_Y]!;
    let x = oldX + speedX;
    let y = oldY + speedY;
    let reward = 0;
    let struck = 0;
    if (x < 0 || x > LAST) {
      x = oldX;
      speedX = -speedX;
    }
    if (y < 0) {
      y = 0;
      speedY = -speedY;
    } else if (this.#stands(index, x, y)) {
      struck = 1;
      if (s[at + STRUCK] === 0) {
        reward = 1;
        this.#bricks[index * BRICKS + (y - FIRST_ROW) * GRID + x] = 0;
        s[at + STANDING]! -= 1;
        y = oldY;
        speedY = -speedY;
      }
    } else if (y === PADDLE_ROW) {
      if (s[at + STANDING] === 0) this.#build(index);
      if (oldX === s[at + PADDLE]) {
        speedY = -speedY;
        y = oldY;
      } else if (x === s[at + PADDLE]) {
        speedX = -speedX;
        speedY = -speedY;
        y = oldY;
      } else {
        s[at + ENDED] = 1;
      }
    }
    s[at + TRAIL_X] = oldX;
    s[at + TRAIL_Y] = oldY;
    s[at + BALL_X] = x;
    s[at + BALL_Y] = y;
    s[at + SPEED_X] = speedX;
    s[at + SPEED_Y] = speedY;
    s[at + STRUCK] = struck;
    return reward;
  }

  ended(index: number): boolean {
    return this.#scalars[index * SCALARS + ENDED] === 1;
  }

  observe(index: number, out: Int8Array, at: number): void {
    const s = this.#scalars;
    const own = index * SCALARS;
    out[at + (PADDLE_ROW * GRID + s[own + PADDLE]!) * CHANNELS] = 1;
    out[at + (s[own + BALL_Y]! * GRID + s[own + BALL_X]!) * CHANNELS + 1] = 1;
    out[at + (s[own + TRAIL_Y]! * GRID + s[own + TRAIL_X]!) * CHANNELS + 2] = 1;
    const first = at + FIRST_ROW * GRID * CHANNELS + BRICK_CHANNEL;
    for (let i = 0; i < BRICKS; i++) out[first + i * CHANNELS] = this.#bricks[index * BRICKS + i]!;
  }

  status(index: number): string {
    return `bricks ${this.#scalars[index * SCALARS + STANDING]}`;
  }

  #build(index: number): void {
    this.#bricks.fill(1, index * BRICKS, (index + 1) * BRICKS);
    this.#scalars[index * SCALARS + STANDING] = BRICKS;
  }

  #stands(index: number, x: number, y: number): boolean {
    const row = y - FIRST_ROW;
    return row >= 0 && row < ROWS && this.#bricks[index * BRICKS + row * GRID + x] === 1;
  }
}

export const breakoutGame: GameDefinition = {
  name: 'Breakout',
  summary:
    'Break bricks with a ball that a paddle keeps in play: 1 for each brick, over when the ball is lost.',
  channels: ['paddle', 'ball', 'trail', 'brick'],
  glyphs: ['▀▀', '●●', '··', '▒▒'],
  actionNames: ['nothing', 'left', 'right'],
  create: (batch) => new Breakout(batch),
};

export const breakout = gameEnvironment(breakoutGame);
