export interface KeptBounds {
  readonly keepMs: number;
  readonly count: number;
  /** Sum of what `bytesOf` gives. */
  readonly bytes: number;
}

interface Item<T> {
  readonly value: T;
  readonly untilMs: number;
}

/** The newest values by key, for some time and in bounds: the oldest go first. */
export class Kept<T> {
  readonly #bounds: KeptBounds;
  readonly #bytesOf: (value: T) => number;
  readonly #now: () => number;
  readonly #items = new Map<string, Item<T>>();
  #bytes = 0;

  /** @param now a clock in milliseconds that does not go back */
  constructor(
    bounds: KeptBounds,
    bytesOf: (value: T) => number,
    now: () => number = () => performance.now(),
  ) {
    this.#bounds = bounds;
    this.#bytesOf = bytesOf;
    this.#now = now;
  }

  set(key: string, value: T): void {
    this.delete(key);
    this.#items.set(key, { value, untilMs: this.#now() + this.#bounds.keepMs });
    this.#bytes += this.#bytesOf(value);
    this.#prune();
  }

  get(key: string): T | undefined {
    this.#prune();
    return this.#items.get(key)?.value;
  }

  delete(key: string): void {
    const item = this.#items.get(key);
    if (item === undefined) return;
    this.#items.delete(key);
    this.#bytes -= this.#bytesOf(item.value);
  }

  /** Oldest first. */
  values(): T[] {
    this.#prune();
    return Array.from(this.#items.values(), ({ value }) => value);
  }

  #prune(): void {
    const { count, bytes } = this.#bounds;
    const now = this.#now();
    // Keys stand in the order in which they were set, so the first is both the oldest and the next to expire.
    for (const [key, { untilMs }] of this.#items) {
      if (untilMs > now && this.#items.size <= count && this.#bytes <= bytes) return;
      this.delete(key);
    }
  }
}
