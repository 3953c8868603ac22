/**
 * The time that phases give to miners that say nothing. It starts anew with the process and whenever the storage has
 * taken nothing for a while: nobody could have delivered meanwhile.
 */
export class PhaseTimers {
  readonly #onExpired: () => void;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #expired = new Set<string>();

  constructor(onExpired: () => void) {
    this.#onExpired = onExpired;
  }

  /** Starts the time of a phase, unless it runs or has run out. */
  start(key: string, delayMs: number): void {
    if (this.#timers.has(key) || this.#expired.has(key)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.#expired.add(key);
      this.#onExpired();
    }, delayMs);
    this.#timers.set(key, timer);
  }

  expired(key: string): boolean {
    return this.#expired.has(key);
  }

  forget(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#expired.delete(key);
  }

  /** Forgets all of them. */
  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#expired.clear();
  }
}
