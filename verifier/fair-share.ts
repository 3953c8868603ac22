/** A part of something that is shared. */
export interface Place {
  /** Takes more, or gives back where `weight` is negative. False when there is not so much. */
  add(weight: number): boolean;
  /** From now on it does not give way. */
  settle(): void;
  /** Gives everything back; once. */
  leave(): void;
}

interface Holder {
  used: number;
  open: number;
  /** What has its places give way, the oldest first. */
  readonly yielding: Set<() => void>;
}

/**
 * Something bounded that many share by name: connections, bytes in memory. When it is full, whoever holds most of it gives
 * way to whoever holds less, so that nobody is locked out by few that take all they can get.
 */
export class FairShare {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #holders = new Map<string, Holder>();
  #used = 0;

  constructor(most: number, mostOfOne = Number.POSITIVE_INFINITY) {
    this.#most = most;
    this.#mostOfOne = mostOfOne;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Takes a place, or gives null when there is none.
   * @param giveWay called when the place was taken away again; a place without it stays
   */
  enter(name: string, weight: number, giveWay: (() => void) | null = null): Place | null {
    const holder = this.#holders.get(name) ?? { used: 0, open: 0, yielding: new Set() };
    if (!this.#makeRoom(holder, weight)) return null;
    this.#holders.set(name, holder);
    holder.open += 1;
    let own = 0;
    let left = false;
    const add = (more: number) => {
      own += more;
      holder.used += more;
      this.#used += more;
    };
    const leave = () => {
      if (left) return;
      left = true;
      add(-own);
      settle();
      holder.open -= 1;
      if (holder.open === 0) this.#holders.delete(name);
    };
    const yields = () => {
      leave();
      giveWay?.();
    };
    const settle = () => {
      holder.yielding.delete(yields);
    };
    add(weight);
    if (giveWay !== null) holder.yielding.add(yields);
    return {
      add: (more) => {
        if (left || (more > 0 && !this.#makeRoom(holder, more))) return false;
        add(more);
        return true;
      },
      settle,
      leave,
    };
  }

  #makeRoom(holder: Holder, weight: number): boolean {
    if (holder.used + weight > this.#mostOfOne) return false;
    // What is alone always fits.
    while (this.#used > 0 && this.#used + weight > this.#most) {
      let largest = holder;
      for (const other of this.#holders.values()) {
        if (other.yielding.size > 0 && other.used > largest.used) largest = other;
      }
      if (largest === holder || largest.used <= holder.used + weight) return false;
      const [oldest] = largest.yielding;
      oldest!();
    }
    return true;
  }
}
