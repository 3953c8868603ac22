import type { Game, GameDefinition } from './game.ts';
import { gameEnvironment } from './game.ts';
import { GRID } from './picture.ts';

/**
 * Space Invaders: a cannon at the bottom shoots at a block of aliens, which walk from side to side, step down at each edge and
 * shoot back. Fewer aliens walk faster, and each new wave starts faster than the one before it.
 */

const LEFT = 1;
const RIGHT = 2;
const FIRE = 3;

const LAST = GRID - 1;
const COOL_DOWN = 5;
const ALIEN_SHOT_INTERVAL = 10;
const SLOWEST = 12;
/** Frames between moves of a full wave, at least; reached at the seventh wave. */
const FASTEST = 6;
/** Rows 0 to 3, columns 2 to 7. */
const WAVE_ROWS = 4;
const WAVE = 0b0011111100;
const ALL = 0b1111111111;

/** Places in an episode's scalars. */
const CANNON = 0;
/** −1 or 1. */
const WAY = 1;
const INTERVAL = 2;
const MOVE_TIMER = 3;
const ALIEN_SHOT_TIMER = 4;
const SHOT_TIMER = 5;
const ENDED = 6;
const WAVES = 7;
const SCALARS = 8;

/** Places in an episode's rows, ten each; bit x of a row is its column x. */
const ALIENS = 0;
const SHOTS = GRID;
const BOMBS = 2 * GRID;
const ROWS = 3 * GRID;

const CHANNELS = 6;

class SpaceInvaders implements Game {
  /** `[batch, SCALARS]`. */
  readonly #scalars: Int16Array;
  /** `[batch, 3, 10]`: aliens, the cannon's shots, the aliens' bombs. */
  readonly #rows: Uint16Array;

  constructor(batch: number) {
    this.#scalars = new Int16Array(batch * SCALARS);
    this.#rows = new Uint16Array(batch * ROWS);
  }

  start(index: number): void {
    const s = this.#scalars;
    const at = index * SCALARS;
    const rows = index * ROWS;
    s[at + CANNON] = 5;
    s[at + WAY] = -1;
    s[at + INTERVAL] = SLOWEST;
    s[at + MOVE_TIMER] = SLOWEST;
    s[at + ALIEN_SHOT_TIMER] = ALIEN_SHOT_INTERVAL;
    s[at + SHOT_TIMER] = 0;
    s[at + ENDED] = 0;
    s[at + WAVES] = 1;
    this.#rows.fill(0, rows, rows + ROWS);
    this.#rows.fill(WAVE, rows, rows + WAVE_ROWS);
  }

  frame(index: number, action: number): number {
    const s = this.#scalars;
    const r = this.#rows;
    const at = index * SCALARS;
    const aliens = index * ROWS + ALIENS;
    const shots = index * ROWS + SHOTS;
    const bombs = index * ROWS + BOMBS;

    if (action === FIRE && s[at + SHOT_TIMER] === 0) {
      r[shots + LAST]! |= 1 << s[at + CANNON]!;
      s[at + SHOT_TIMER] = COOL_DOWN;
    } else if (action === LEFT) s[at + CANNON] = Math.max(0, s[at + CANNON]! - 1);
    else if (action === RIGHT) s[at + CANNON] = Math.min(LAST, s[at + CANNON]! + 1);
    const cannon = 1 << s[at + CANNON]!;

    r.copyWithin(shots, shots + 1, shots + GRID);
    r[shots + LAST] = 0;
    r.copyWithin(bombs + 1, bombs, bombs + LAST);
    r[bombs] = 0;
    if (((r[bombs + LAST]! | r[aliens + LAST]!) & cannon) !== 0) s[at + ENDED] = 1;

    if (s[at + MOVE_TIMER] === 0) {
      s[at + MOVE_TIMER] = Math.min(this.#count(aliens), s[at + INTERVAL]!);
      this.#march(at, aliens);
      if ((r[aliens + LAST]! & cannon) !== 0) s[at + ENDED] = 1;
    }
    if (s[at + ALIEN_SHOT_TIMER] === 0) {
      s[at + ALIEN_SHOT_TIMER] = ALIEN_SHOT_INTERVAL;
      this.#bomb(aliens, bombs, s[at + CANNON]!);
    }

    let reward = 0;
    for (let row = 0; row < GRID; row++) {
      const hit = r[aliens + row]! & r[shots + row]!;
      if (hit === 0) continue;
      reward += bits(hit);
      r[aliens + row]! ^= hit;
      r[shots + row]! ^= hit;
    }

    if (s[at + SHOT_TIMER]! > 0) s[at + SHOT_TIMER]! -= 1;
    s[at + MOVE_TIMER]! -= 1;
    s[at + ALIEN_SHOT_TIMER]! -= 1;
    if (reward > 0 && this.#count(aliens) === 0) {
      if (s[at + INTERVAL]! > FASTEST) s[at + INTERVAL]! -= 1;
      s[at + WAVES]! += 1;
      r.fill(WAVE, aliens, aliens + WAVE_ROWS);
    }
    return reward;
  }

  ended(index: number): boolean {
    return this.#scalars[index * SCALARS + ENDED] === 1;
  }

  observe(index: number, out: Int8Array, at: number): void {
    const own = index * SCALARS;
    out[at + (LAST * GRID + this.#scalars[own + CANNON]!) * CHANNELS] = 1;
    const way = this.#scalars[own + WAY]! < 0 ? 2 : 3;
    for (let row = 0; row < GRID; row++) {
      const aliens = this.#rows[index * ROWS + ALIENS + row]!;
      const shots = this.#rows[index * ROWS + SHOTS + row]!;
      const bombs = this.#rows[index * ROWS + BOMBS + row]!;
      if ((aliens | shots | bombs) === 0) continue;
      for (let column = 0; column < GRID; column++) {
        const cell = at + (row * GRID + column) * CHANNELS;
        const alien = (aliens >>> column) & 1;
        out[cell + 1] = alien;
        out[cell + way] = alien;
        out[cell + 4] = (shots >>> column) & 1;
        out[cell + 5] = (bombs >>> column) & 1;
      }
    }
  }

  status(index: number): string {
    return `wave ${this.#scalars[index * SCALARS + WAVES]}, aliens ${this.#count(index * ROWS + ALIENS)}`;
  }

  /** One step of all aliens: sideways, or at an edge down and about. */
  #march(at: number, aliens: number): void {
    const s = this.#scalars;
    const r = this.#rows;
    let columns = 0;
    for (let row = 0; row < GRID; row++) columns |= r[aliens + row]!;
    const left = s[at + WAY]! < 0;
    if ((columns & (left ? 1 : 1 << LAST)) === 0) {
      for (let row = 0; row < GRID; row++) {
        r[aliens + row] = left ? r[aliens + row]! >>> 1 : (r[aliens + row]! << 1) & ALL;
      }
      return;
    }
    s[at + WAY] = left ? 1 : -1;
    const lowest = r[aliens + LAST]!;
    if (lowest !== 0) s[at + ENDED] = 1;
    r.copyWithin(aliens + 1, aliens, aliens + LAST);
    // The package's roll brings the lowest row to the top; it is seen in the terminal state only.
    r[aliens] = lowest;
  }

  /** The lowest alien of the column nearest to the cannon drops a bomb; of two such columns, the left one's. */
  #bomb(aliens: number, bombs: number, cannon: number): void {
    const r = this.#rows;
    for (let distance = 0; distance < GRID; distance++) {
      for (let side = -1; side <= 1; side += 2) {
        const column = cannon + side * distance;
        if (column < 0 || column > LAST) continue;
        for (let row = LAST; row >= 0; row--) {
          if (((r[aliens + row]! >>> column) & 1) === 0) continue;
          r[bombs + row]! |= 1 << column;
          return;
        }
      }
    }
  }

  #count(aliens: number): number {
    let count = 0;
    for (let row = 0; row < GRID; row++) count += bits(this.#rows[aliens + row]!);
    return count;
  }
}

/** How many bits of a row are set. */
function bits(row: number): number {
  let count = 0;
  for (let left = row; left !== 0; left &= left - 1) count += 1;
  return count;
}

export const spaceInvadersGame: GameDefinition = {
  name: 'SpaceInvaders',
  summary:
    'Shoot aliens that walk down and shoot back: 1 for each alien, over when one or its bomb hits the cannon.',
  channels: ['cannon', 'alien', 'alien walking left', 'alien walking right', 'shot', 'bomb'],
  glyphs: ['▟▙', '', '◀▓', '▓▶', '╵╵', '╷╷'],
  actionNames: ['nothing', 'left', 'right', 'fire'],
  create: (batch) => new SpaceInvaders(batch),
};

export const spaceInvaders = gameEnvironment(spaceInvadersGame);
