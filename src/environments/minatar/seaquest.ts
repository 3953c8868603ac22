import { type Draws, HALF, THIRD } from './draws.ts';
import { EntityLists, MOVE, SHOOT, WAY, X, Y } from './entities.ts';
import type { Game, GameDefinition } from './game.ts';
import { gameEnvironment } from './game.ts';
import { GRID } from './picture.ts';

/**
 * Seaquest: a submarine shoots fish and enemy submarines, collects divers and surfaces for air before it runs out. Each
 * surfacing costs a diver and makes the game harder; with six divers it pays for the air that is left.
 *
 * The order of the entities decides later frames, so lists are walked from their end, as in the Python package. There an
 * entity leaves by its values, here by its place: no two equal ones are in a list when one of them leaves, except bombs
 * beyond the edge, which all leave in the same frame.
 */

const LEFT = 1;
const UP = 2;
const RIGHT = 3;
const DOWN = 4;
const FIRE = 5;

const LAST = GRID - 1;
const DEEPEST = 8;
const GAUGE_ROW = 9;
const AIR = 200;
const DIVERS = 6;
const COOL_DOWN = 5;
const DIVER_SPAWN = 30;
const DIVER_MOVE = 5;
const ENEMY_SHOT = 10;
const SLOWEST_SPAWN = 20;
const SLOWEST_MOVE = 5;
const FASTEST_MOVE = 2;

/** Places in an episode's scalars. */
const SUB_X = 0;
const SUB_Y = 1;
/** −1 or 1. */
const FACING = 2;
const OXYGEN = 3;
/** Divers on board; −1 after a surfacing with six. */
const ABOARD = 4;
const SPAWN_INTERVAL = 5;
const SPAWN_TIMER = 6;
const DIVER_TIMER = 7;
const MOVE_INTERVAL = 8;
const RAMP = 9;
const SHOT_TIMER = 10;
const SURFACED = 11;
const ENDED = 12;
const SCALARS = 13;

const CHANNELS = 10;
const TRAIL = 3;
const AIR_GAUGE = 7;
const DIVER_GAUGE = 8;

/** An enemy comes at most every frame and crosses in 60; a submarine shoots every eleventh frame, a bomb lasts ten at most. */
const ENEMIES = 64;
const BOMBS = 128;
/** A shot comes every fifth frame and lasts ten, a diver comes every thirtieth and lasts sixty. */
const FEW = 8;

class Seaquest implements Game {
  /** `[batch, SCALARS]`. */
  /** Divers may fall by one for every surfacing of a long episode. */
  readonly #scalars: Int32Array;
  readonly #shots: EntityLists;
  readonly #bombs: EntityLists;
  readonly #fish: EntityLists;
  readonly #subs: EntityLists;
  readonly #divers: EntityLists;

  constructor(batch: number) {
    this.#scalars = new Int32Array(batch * SCALARS);
    this.#shots = new EntityLists(batch, FEW);
    this.#bombs = new EntityLists(batch, BOMBS);
    this.#fish = new EntityLists(batch, ENEMIES);
    this.#subs = new EntityLists(batch, ENEMIES);
    this.#divers = new EntityLists(batch, FEW);
  }

  start(index: number): void {
    const s = this.#scalars;
    const at = index * SCALARS;
    s.fill(0, at, at + SCALARS);
    s[at + SUB_X] = 5;
    s[at + FACING] = -1;
    s[at + OXYGEN] = AIR;
    s[at + SPAWN_INTERVAL] = SLOWEST_SPAWN;
    s[at + SPAWN_TIMER] = SLOWEST_SPAWN;
    s[at + DIVER_TIMER] = DIVER_SPAWN;
    s[at + MOVE_INTERVAL] = SLOWEST_MOVE;
    s[at + SURFACED] = 1;
    this.#shots.counts[index] = 0;
    this.#bombs.counts[index] = 0;
    this.#fish.counts[index] = 0;
    this.#subs.counts[index] = 0;
    this.#divers.counts[index] = 0;
  }

  frame(index: number, action: number, draws: Draws): number {
    const s = this.#scalars;
    const at = index * SCALARS;
    if (s[at + SPAWN_TIMER] === 0) {
      this.#spawnEnemy(index, draws);
      s[at + SPAWN_TIMER] = s[at + SPAWN_INTERVAL]!;
    }
    if (s[at + DIVER_TIMER] === 0) {
      const fromLeft = draws.chance(HALF);
      this.#divers.add(
        index,
        fromLeft ? 0 : LAST,
        1 + draws.below(DEEPEST),
        fromLeft ? 1 : -1,
        DIVER_MOVE,
        0,
      );
      s[at + DIVER_TIMER] = DIVER_SPAWN;
    }
    this.#steer(index, action);
    let reward = this.#moveShots(index);
    this.#moveDivers(index);
    reward += this.#moveEnemies(index, this.#subs, true);
    this.#moveBombs(index);
    reward += this.#moveEnemies(index, this.#fish, false);
    if (s[at + SPAWN_TIMER]! > 0) s[at + SPAWN_TIMER]! -= 1;
    if (s[at + DIVER_TIMER]! > 0) s[at + DIVER_TIMER]! -= 1;
    if (s[at + SHOT_TIMER]! > 0) s[at + SHOT_TIMER]! -= 1;
    return reward + this.#breathe(at);
  }

  ended(index: number): boolean {
    return this.#scalars[index * SCALARS + ENDED] === 1;
  }

  observe(index: number, out: Int8Array, at: number): void {
    const s = this.#scalars;
    const own = index * SCALARS;
    const row = at + s[own + SUB_Y]! * GRID * CHANNELS;
    out[row + s[own + SUB_X]! * CHANNELS] = 1;
    out[row + (s[own + SUB_X]! - s[own + FACING]!) * CHANNELS + 1] = 1;
    this.#shots.show(index, out, at, CHANNELS, 2, -1);
    this.#bombs.show(index, out, at, CHANNELS, 4, -1);
    this.#fish.show(index, out, at, CHANNELS, 5, TRAIL);
    this.#subs.show(index, out, at, CHANNELS, 6, TRAIL);
    this.#divers.show(index, out, at, CHANNELS, 9, TRAIL);
    const gauge = at + GAUGE_ROW * GRID * CHANNELS;
    const air = Math.floor((Math.max(0, s[own + OXYGEN]!) * GRID) / AIR);
    for (let x = 0; x < air; x++) out[gauge + x * CHANNELS + AIR_GAUGE] = 1;
    for (let x = LAST - s[own + ABOARD]!; x < LAST; x++) out[gauge + x * CHANNELS + DIVER_GAUGE] = 1;
  }

  status(index: number): string {
    const s = this.#scalars;
    const at = index * SCALARS;
    return `level ${s[at + RAMP]}, air ${s[at + OXYGEN]}, divers ${s[at + ABOARD]}`;
  }

  #steer(index: number, action: number): void {
    const s = this.#scalars;
    const at = index * SCALARS;
    if (action === FIRE && s[at + SHOT_TIMER] === 0) {
      this.#shots.add(index, s[at + SUB_X]!, s[at + SUB_Y]!, s[at + FACING]!, 0, 0);
      s[at + SHOT_TIMER] = COOL_DOWN;
    } else if (action === LEFT) {
      s[at + SUB_X] = Math.max(0, s[at + SUB_X]! - 1);
      s[at + FACING] = -1;
    } else if (action === RIGHT) {
      s[at + SUB_X] = Math.min(LAST, s[at + SUB_X]! + 1);
      s[at + FACING] = 1;
    } else if (action === UP) s[at + SUB_Y] = Math.max(0, s[at + SUB_Y]! - 1);
    else if (action === DOWN) s[at + SUB_Y] = Math.min(DEEPEST, s[at + SUB_Y]! + 1);
  }

  /** A shot takes the first fish, or else the first submarine, where it arrives. Returns how many were hit. */
  #moveShots(index: number): number {
    const shots = this.#shots;
    const v = shots.values;
    let hits = 0;
    for (let i = shots.counts[index]! - 1; i >= 0; i--) {
      const at = shots.at(index, i);
      const x = v[at + X]! + v[at + WAY]!;
      const y = v[at + Y]!;
      v[at + X] = x;
      if (x >= 0 && x <= LAST) {
        if (!this.#fish.removeAt(index, x, y) && !this.#subs.removeAt(index, x, y)) continue;
        hits += 1;
      }
      shots.remove(index, i);
    }
    return hits;
  }

  #moveDivers(index: number): void {
    const divers = this.#divers;
    const v = divers.values;
    const scalars = index * SCALARS;
    for (let i = divers.counts[index]! - 1; i >= 0; i--) {
      const at = divers.at(index, i);
      let taken = this.#meets(scalars, v[at + X]!, v[at + Y]!) && this.#scalars[scalars + ABOARD]! < DIVERS;
      let gone = false;
      if (!taken) {
        if (v[at + MOVE] !== 0) {
          v[at + MOVE]! -= 1;
          continue;
        }
        v[at + MOVE] = DIVER_MOVE;
        const x = v[at + X]! + v[at + WAY]!;
        v[at + X] = x;
        gone = x < 0 || x > LAST;
        taken = !gone && this.#meets(scalars, x, v[at + Y]!) && this.#scalars[scalars + ABOARD]! < DIVERS;
      }
      if (taken) this.#scalars[scalars + ABOARD]! += 1;
      if (taken || gone) divers.remove(index, i);
    }
  }

  /**
   * Fish or submarines: one that meets the player ends the episode, one that moves into a shot is hit, and a
   * submarine drops a bomb when its timer is up, even in the frame in which it goes. Returns how many were hit.
   */
  #moveEnemies(index: number, enemies: EntityLists, armed: boolean): number {
    const v = enemies.values;
    const scalars = index * SCALARS;
    let hits = 0;
    for (let i = enemies.counts[index]! - 1; i >= 0; i--) {
      const at = enemies.at(index, i);
      const y = v[at + Y]!;
      const way = v[at + WAY]!;
      const shoot = v[at + SHOOT]!;
      let x = v[at + X]!;
      if (this.#meets(scalars, x, y)) this.#scalars[scalars + ENDED] = 1;
      let gone = false;
      if (v[at + MOVE] !== 0) {
        v[at + MOVE]! -= 1;
      } else {
        v[at + MOVE] = this.#scalars[scalars + MOVE_INTERVAL]!;
        x += way;
        v[at + X] = x;
        if (x < 0 || x > LAST) {
          gone = true;
        } else if (this.#meets(scalars, x, y)) {
          this.#scalars[scalars + ENDED] = 1;
        } else if (this.#shots.removeAt(index, x, y)) {
          gone = true;
          hits += 1;
        }
      }
      if (armed) {
        if (shoot === 0) this.#bombs.add(index, x, y, way, 0, 0);
        v[at + SHOOT] = shoot === 0 ? ENEMY_SHOT : shoot - 1;
      }
      if (gone) enemies.remove(index, i);
    }
    return hits;
  }

  #moveBombs(index: number): void {
    const bombs = this.#bombs;
    const v = bombs.values;
    const scalars = index * SCALARS;
    for (let i = bombs.counts[index]! - 1; i >= 0; i--) {
      const at = bombs.at(index, i);
      const y = v[at + Y]!;
      if (this.#meets(scalars, v[at + X]!, y)) this.#scalars[scalars + ENDED] = 1;
      const x = v[at + X]! + v[at + WAY]!;
      v[at + X] = x;
      if (x < 0 || x > LAST) bombs.remove(index, i);
      else if (this.#meets(scalars, x, y)) this.#scalars[scalars + ENDED] = 1;
    }
  }

  /** Air is used below the surface; on arrival at it a diver is let go, or the episode ends when there is none. */
  #breathe(at: number): number {
    const s = this.#scalars;
    if (s[at + OXYGEN]! <= 0) s[at + ENDED] = 1;
    if (s[at + SUB_Y]! > 0) {
      s[at + OXYGEN]! -= 1;
      s[at + SURFACED] = 0;
      return 0;
    }
    if (s[at + SURFACED] === 1) return 0;
    if (s[at + ABOARD] === 0) {
      s[at + ENDED] = 1;
      return 0;
    }
    s[at + SURFACED] = 1;
    let reward = 0;
    if (s[at + ABOARD] === DIVERS) {
      reward = Math.floor((s[at + OXYGEN]! * GRID) / AIR);
      s[at + ABOARD] = 0;
    }
    s[at + ABOARD]! -= 1;
    s[at + OXYGEN] = AIR;
    const faster = s[at + MOVE_INTERVAL]! > FASTEST_MOVE;
    const denser = s[at + SPAWN_INTERVAL]! > 1;
    if (faster && s[at + RAMP]! % 2 === 1) s[at + MOVE_INTERVAL]! -= 1;
    if (denser) s[at + SPAWN_INTERVAL]! -= 1;
    if (faster || denser) s[at + RAMP]! += 1;
    return reward;
  }

  /** A fish or a submarine, unless its row has an enemy of the other direction. */
  #spawnEnemy(index: number, draws: Draws): void {
    const fromLeft = draws.chance(HALF);
    const isSub = draws.chance(THIRD);
    const y = 1 + draws.below(DEEPEST);
    const way = fromLeft ? 1 : -1;
    if (this.#subs.opposes(index, y, way) || this.#fish.opposes(index, y, way)) return;
    const move = this.#scalars[index * SCALARS + MOVE_INTERVAL]!;
    const x = fromLeft ? 0 : LAST;
    if (isSub) this.#subs.add(index, x, y, way, move, ENEMY_SHOT);
    else this.#fish.add(index, x, y, way, move, 0);
  }

  #meets(at: number, x: number, y: number): boolean {
    return this.#scalars[at + SUB_X] === x && this.#scalars[at + SUB_Y] === y;
  }
}

export const seaquestGame: GameDefinition = {
  name: 'Seaquest',
  summary:
    'Shoot fish and submarines and bring divers up: 1 for each hit and up to 10 for six divers; over when hit or out of air.',
  channels: [
    'front of the submarine',
    'back of the submarine',
    'shot',
    'trail',
    'bomb',
    'fish',
    'enemy submarine',
    'air gauge',
    'diver gauge',
    'diver',
  ],
  glyphs: ['██', '▒▒', '──', '', '∙∙', '><', '▓▓', '≈≈', '☺ ', '☺ '],
  actionNames: ['nothing', 'left', 'up', 'right', 'down', 'fire'],
  create: (batch) => new Seaquest(batch),
};

export const seaquest = gameEnvironment(seaquestGame);
