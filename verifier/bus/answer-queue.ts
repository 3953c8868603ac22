import { GrailError } from '../../src/protocol/errors.ts';

/** Answers requests in their order, so many at a time, and refuses those that would wait behind too many. */
export class AnswerQueue {
  readonly #concurrency: number;
  readonly #queue: number;
  readonly #waiting: (() => void)[] = [];
  readonly #answers = new Set<Promise<unknown>>();
  #running = 0;

  constructor({ concurrency, queue }: { readonly concurrency: number; readonly queue: number }) {
    this.#concurrency = concurrency;
    this.#queue = queue;
  }

  /** @throws GrailError TOO_MANY_REQUESTS with retryAfterSeconds; what the handler throws */
  async answer(handler: () => Promise<Uint8Array>): Promise<Uint8Array> {
    if (this.#running >= this.#concurrency && this.#waiting.length >= this.#queue) {
      throw new GrailError('TOO_MANY_REQUESTS', 'too many requests wait for an answer: ask again later', {
        retryAfterSeconds: 1,
      });
    }
    const answer = this.#inTurn(handler);
    this.#answers.add(answer);
    try {
      return await answer;
    } finally {
      this.#answers.delete(answer);
    }
  }

  /** Resolves when everything that was taken is answered. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#answers);
  }

  async #inTurn(handler: () => Promise<Uint8Array>): Promise<Uint8Array> {
    if (this.#running < this.#concurrency) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await handler();
    } finally {
      // The place goes on to the next in line.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
