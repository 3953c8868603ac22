import { type Draws, HALF, THIRD } from './draws.ts';
import type { Game, GameDefinition } from './game.ts';
import { gameEnvironment } from './game.ts';
import { GRID } from './picture.ts';

/**
 * Asterix: enemies and gold enter from the sides, at most one a lane; the player takes gold and keeps away from
 * enemies. Every 102 frames they come more often, and every other time they move faster too.
 */

const LEFT = 1;
const UP = 2;
const RIGHT = 3;
const DOWN = 4;

const LAST = GRID - 1;
const LANES = 8;
const RAMP_INTERVAL = 100;
const SLOWEST_SPAWN = 10;
const SLOWEST_MOVE = 5;

/** Places in an episode's scalars. */
const PLAYER_X = 0;
const PLAYER_Y = 1;
/** Frames from one entity to the next. */
const SPAWN_INTERVAL = 2;
const SPAWN_TIMER = 3;
/** Frames from one move to the next. */
const MOVE_INTERVAL = 4;
const MOVE_TIMER = 5;
const RAMP_TIMER = 6;
const RAMP = 7;
const ENDED = 8;
const SCALARS = 9;

/** Places of a lane's entity. */
const KIND = 0;
const X = 1;
/** −1 or 1 a move. */
const WAY = 2;
const ENTITY = 3;

const NONE = 0;
const ENEMY = 1;
const GOLD = 2;

const CHANNELS = 4;

class Asterix implements Game {
  /** `[batch, SCALARS]`. */
  readonly #scalars: Int16Array;
  /** `[batch, 8, ENTITY]`; lane i is row i + 1. */
  readonly #entities: Int8Array;

  constructor(batch: number) {
    this.#scalars = new Int16Array(batch * SCALARS);
    this.#entities = new Int8Array(batch * LANES * ENTITY);
  }

  start(index: number): void {
    const s = this.#scalars;
    const at = index * SCALARS;
    s[at + PLAYER_X] = 5;
    s[at + PLAYER_Y] = 5;
    s[at + SPAWN_INTERVAL] = SLOWEST_SPAWN;
    s[at + SPAWN_TIMER] = SLOWEST_SPAWN;
    s[at + MOVE_INTERVAL] = SLOWEST_MOVE;
    s[at + MOVE_TIMER] = SLOWEST_MOVE;
    s[at + RAMP_TIMER] = RAMP_INTERVAL;
    s[at + RAMP] = 0;
    s[at + ENDED] = 0;
    this.#entities.fill(0, index * LANES * ENTITY, (index + 1) * LANES * ENTITY);
  }

  frame(index: number, action: number, draws: Draws): number {
    const s = this.#scalars;
    const at = index * SCALARS;
    if (s[at + SPAWN_TIMER] === 0) {
      this.#spawn(index, draws);
      s[at + SPAWN_TIMER] = s[at + SPAWN_INTERVAL]!;
    }
    if (action === LEFT) s[at + PLAYER_X] = Math.max(0, s[at + PLAYER_X]! - 1);
    else if (action === RIGHT) s[at + PLAYER_X] = Math.min(LAST, s[at + PLAYER_X]! + 1);
    else if (action === UP) s[at + PLAYER_Y] = Math.max(1, s[at + PLAYER_Y]! - 1);
    else if (action === DOWN) s[at + PLAYER_Y] = Math.min(LANES, s[at + PLAYER_Y]! + 1);

    let reward = this.#touch(index);
    if (s[at + MOVE_TIMER] === 0) {
      s[at + MOVE_TIMER] = s[at + MOVE_INTERVAL]!;
      this.#move(index);
      reward += this.#touch(index);
    }
    s[at + SPAWN_TIMER]! -= 1;
    s[at + MOVE_TIMER]! -= 1;
    this.#ramp(at);
    return reward;
  }

  ended(index: number): boolean {
    return this.#scalars[index * SCALARS + ENDED] === 1;
  }

  observe(index: number, out: Int8Array, at: number): void {
    const s = this.#scalars;
    const e = this.#entities;
    const own = index * SCALARS;
    out[at + (s[own + PLAYER_Y]! * GRID + s[own + PLAYER_X]!) * CHANNELS] = 1;
    for (let lane = 0; lane < LANES; lane++) {
      const entity = (index * LANES + lane) * ENTITY;
      const kind = e[entity + KIND];
      if (kind === NONE) continue;
      const row = at + (lane + 1) * GRID * CHANNELS;
      const x = e[entity + X]!;
      out[row + x * CHANNELS + (kind === GOLD ? 3 : 1)] = 1;
      const behind = x - e[entity + WAY]!;
      if (behind >= 0 && behind <= LAST) out[row + behind * CHANNELS + 2] = 1;
    }
  }

  status(index: number): string {
    const at = index * SCALARS;
    const s = this.#scalars;
    return `level ${s[at + RAMP]}, spawn interval ${s[at + SPAWN_INTERVAL]}, move interval ${s[at + MOVE_INTERVAL]}`;
  }

  /** What stands where the player does: gold is taken, an enemy ends the episode. */
  #touch(index: number): number {
    const s = this.#scalars;
    const e = this.#entities;
    const at = index * SCALARS;
    const entity = (index * LANES + s[at + PLAYER_Y]! - 1) * ENTITY;
    if (e[entity + KIND] === NONE || e[entity + X] !== s[at + PLAYER_X]) return 0;
    if (e[entity + KIND] === GOLD) {
      e[entity + KIND] = NONE;
      return 1;
    }
    s[at + ENDED] = 1;
    return 0;
  }

  #move(index: number): void {
    const e = this.#entities;
    for (let lane = 0; lane < LANES; lane++) {
      const entity = (index * LANES + lane) * ENTITY;
      if (e[entity + KIND] === NONE) continue;
      const x = e[entity + X]! + e[entity + WAY]!;
      e[entity + X] = x;
      if (x < 0 || x > LAST) e[entity + KIND] = NONE;
    }
  }

  /** An entity in one of the free lanes; side and kind are drawn even when there is none. */
  #spawn(index: number, draws: Draws): void {
    const e = this.#entities;
    const fromLeft = draws.chance(HALF);
    const gold = draws.chance(THIRD);
    let free = 0;
    for (let lane = 0; lane < LANES; lane++) {
      if (e[(index * LANES + lane) * ENTITY + KIND] === NONE) free += 1;
    }
    if (free === 0) return;
    let skip = draws.below(free);
    for (let lane = 0; lane < LANES; lane++) {
      const entity = (index * LANES + lane) * ENTITY;
      if (e[entity + KIND] !== NONE) continue;
      if (skip-- > 0) continue;
      e[entity + KIND] = gold ? GOLD : ENEMY;
      e[entity + X] = fromLeft ? 0 : LAST;
      e[entity + WAY] = fromLeft ? 1 : -1;
      return;
    }
  }

  #ramp(at: number): void {
    const s = this.#scalars;
    if (s[at + SPAWN_INTERVAL] === 1 && s[at + MOVE_INTERVAL] === 1) return;
    if (s[at + RAMP_TIMER]! >= 0) {
      s[at + RAMP_TIMER]! -= 1;
      return;
    }
    if (s[at + MOVE_INTERVAL]! > 1 && s[at + RAMP]! % 2 === 1) s[at + MOVE_INTERVAL]! -= 1;
    if (s[at + SPAWN_INTERVAL]! > 1) s[at + SPAWN_INTERVAL]! -= 1;
    s[at + RAMP]! += 1;
    s[at + RAMP_TIMER] = RAMP_INTERVAL;
  }
}

export const asterixGame: GameDefinition = {
  name: 'Asterix',
  summary:
    'Take gold and keep away from enemies that cross the grid: 1 for each gold, over at the first enemy.',
  channels: ['player', 'enemy', 'trail', 'gold'],
  glyphs: ['◖◗', '▓▓', '··', '◆◆'],
  actionNames: ['nothing', 'left', 'up', 'right', 'down'],
  create: (batch) => new Asterix(batch),
};

export const asterix = gameEnvironment(asterixGame);
