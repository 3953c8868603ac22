/** What must be ended, in the reverse of the order in which it began. */
export class Closers {
  readonly #all: (() => unknown)[] = [];

  add(close: () => unknown): void {
    this.#all.push(close);
  }

  /** Ends everything, whatever fails meanwhile; then fails with the first failure. */
  async close(): Promise<void> {
    let failure: unknown = null;
    for (let close = this.#all.pop(); close !== undefined; close = this.#all.pop()) {
      try {
        await close();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== null) throw failure;
  }
}
