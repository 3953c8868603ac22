import { GRID } from './picture.ts';

/** Places of an entity's values. */
export const X = 0;
export const Y = 1;
/** −1 or 1 a move. */
export const WAY = 2;
/** Frames until it moves. */
export const MOVE = 3;
/** Frames until it shoots. */
export const SHOOT = 4;
const WIDTH = 5;

/** For each of `batch` episodes a list of entities in the order in which they came, `[batch, capacity, 5]` int8. */
export class EntityLists {
  readonly values: Int8Array;
  /** `[batch]`. */
  readonly counts: Uint8Array;
  readonly #capacity: number;

  constructor(batch: number, capacity: number) {
    this.values = new Int8Array(batch * capacity * WIDTH);
    this.counts = new Uint8Array(batch);
    this.#capacity = capacity;
  }

  /** Where the values of entity `i` of episode `index` begin. */
  at(index: number, i: number): number {
    return (index * this.#capacity + i) * WIDTH;
  }

  /** @throws RangeError when the list is full, which no game's rules allow */
  add(index: number, x: number, y: number, way: number, move: number, shoot: number): void {
    const count = this.counts[index]!;
    if (count === this.#capacity)
      throw new RangeError(`episode ${index} has ${count} entities of a kind already`);
    const at = this.at(index, count);
    this.values[at + X] = x;
    this.values[at + Y] = y;
    this.values[at + WAY] = way;
    this.values[at + MOVE] = move;
    this.values[at + SHOOT] = shoot;
    this.counts[index] = count + 1;
  }

  /** Removes the first entity at (x, y); false when there is none. */
  removeAt(index: number, x: number, y: number): boolean {
    const count = this.counts[index]!;
    for (let i = 0; i < count; i++) {
      const at = this.at(index, i);
      if (this.values[at + X] !== x || this.values[at + Y] !== y) continue;
      this.remove(index, i);
      return true;
    }
    return false;
  }

  /** Whether row y has an entity that goes the other way. */
  opposes(index: number, y: number, way: number): boolean {
    const count = this.counts[index]!;
    for (let i = 0; i < count; i++) {
      const at = this.at(index, i);
      if (this.values[at + Y] === y && this.values[at + WAY] !== way) return true;
    }
    return false;
  }

  /**
   * Sets `out[at..]`, `[10, 10, channels]`, in `channel` where an entity is and in `trail` behind it.
   *
   * @param trail −1: none
   */
  show(index: number, out: Int8Array, at: number, channels: number, channel: number, trail: number): void {
    const count = this.counts[index]!;
    for (let i = 0; i < count; i++) {
      const entity = this.at(index, i);
      const x = this.values[entity + X]!;
      const row = at + this.values[entity + Y]! * GRID * channels;
      out[row + x * channels + channel] = 1;
      const behind = x - this.values[entity + WAY]!;
      if (trail >= 0 && behind >= 0 && behind < GRID) out[row + behind * channels + trail] = 1;
    }
  }

  /** Removes entity `i`; those after it move up. */
  remove(index: number, i: number): void {
    const count = this.counts[index]!;
    this.values.copyWithin(this.at(index, i), this.at(index, i + 1), this.at(index, count));
    this.counts[index] = count - 1;
  }
}
