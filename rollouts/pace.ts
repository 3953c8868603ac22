/** How fast something goes on that is told now and then how far it is. */
export class Pace {
  readonly #now: () => number;
  #first: { readonly done: number; readonly atMs: number } | null = null;
  #last = { done: 0, atMs: 0 };

  /** @param now milliseconds of a clock that only moves forward */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes how much is done; less than before begins anew. */
  update(done: number): void {
    this.#last = { done, atMs: this.#now() };
    if (this.#first === null || done < this.#first.done) this.#first = this.#last;
  }

  /** Since the first update; null before a second one with more done. */
  get perSecond(): number | null {
    const first = this.#first;
    if (first === null || this.#last.done === first.done || this.#last.atMs === first.atMs) return null;
    return (1000 * (this.#last.done - first.done)) / (this.#last.atMs - first.atMs);
  }

  /** Seconds until `total` is done at this pace. */
  etaSeconds(total: number): number | null {
    const { perSecond } = this;
    return perSecond === null ? null : Math.max(0, total - this.#last.done) / perSecond;
  }
}
