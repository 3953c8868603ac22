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

  /** The first entity at (x, y); −1 when there is none. */
  find(index: number, x: number, y: number): number {
    const values = this.values;
    const count = this.counts[index]!;
    for (let i = 0; i < count; i++) {
      const at = this.at(index, i);
      if (values[at + X] === x && values[at + Y] === y) return i;
    }
    return -1;
  }

  /**
   * Removes the first entity that equals entity `i` in all values, which may be a twin before it, as Python's
   * `list.remove` does: the rest of the list moves up. Returns the place that it had.
   */
  removeLike(index: number, i: number): number {
    const values = this.values;
    const like = this.at(index, i);
    let first = 0;
    while (first < i && !this.#same(this.at(index, first), like)) first += 1;
    const count = this.counts[index]!;
    values.copyWithin(this.at(index, first), this.at(index, first + 1), this.at(index, count));
    this.counts[index] = count - 1;
    return first;
  }

  #same(a: number, b: number): boolean {
    for (let i = 0; i < WIDTH; i++) if (this.values[a + i] !== this.values[b + i]) return false;
    return true;
  }
}
