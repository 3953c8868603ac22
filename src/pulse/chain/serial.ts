/** Runs tasks one after another, in the order in which they came. The first begins before `run` returns. */
export class Serial {
  #last: Promise<unknown> | null = null;

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last === null ? task() : this.#last.then(task);
    const settled: Promise<unknown> = result
      .catch(() => undefined)
      .then(() => {
        if (this.#last === settled) this.#last = null;
      });
    this.#last = settled;
    return result;
  }
}
