import { tooMany } from './failures.ts';
import { FairShare } from './fair-share.ts';
import type { GatewayLimits } from './limits.ts';

/**
 * Work that strangers ask for, some at once and the rest in turn: each name's oldest after each other's, one start a turn
 * of the event loop. So a name that asks for much waits for itself, and everybody else for one piece of its work.
 */
export class Turns {
  readonly #atOnce: number;
  readonly #limit: keyof GatewayLimits;
  readonly #places: FairShare;
  readonly #queues = new Map<string, Set<() => void>>();
  #running = 0;
  #scheduled = false;

  /** @param bounds how much runs at once, how much waits, and the name of the limit that says so */
  constructor(bounds: { atOnce: number; waiting: number; limit: keyof GatewayLimits }) {
    this.#atOnce = bounds.atOnce;
    this.#limit = bounds.limit;
    this.#places = new FairShare(bounds.waiting);
  }

  /** @throws GrailError TOO_MANY_REQUESTS when it cannot even wait; what the task throws */
  async run<T>(name: string, task: () => T | Promise<T>): Promise<T> {
    await this.#turn(name);
    try {
      return await task();
    } finally {
      this.#running -= 1;
      this.#schedule();
    }
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#places.used;
  }

  #turn(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = () => {
        this.#remove(name, start);
        reject(tooMany(this.#limit, 'too much is waiting for its turn', 1_000));
      };
      const place = this.#places.enter(name, 1, refuse);
      const start = () => {
        this.#remove(name, start);
        place?.leave();
        resolve();
      };
      if (place === null) {
        refuse();
        return;
      }
      const queue = this.#queues.get(name) ?? new Set();
      this.#queues.set(name, queue.add(start));
      this.#schedule();
    });
  }

  #remove(name: string, start: () => void): void {
    const queue = this.#queues.get(name);
    queue?.delete(start);
    if (queue?.size === 0) this.#queues.delete(name);
  }

  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#atOnce || this.#queues.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#startNext();
      this.#schedule();
    });
  }

  #startNext(): void {
    const next = this.#queues.entries().next().value;
    if (next === undefined) return;
    const [name, queue] = next;
    const start = queue.values().next().value!;
    start();
    this.#running += 1;
    if (queue.size === 0) return;
    // Behind everybody else's.
    this.#queues.delete(name);
    this.#queues.set(name, queue);
  }
}
