import { GrailError } from '../src/protocol/errors.ts';

/** Failures of one address after which another one of the same network may answer. */
const AWAY = new Set(['UNREACHABLE', 'STOPPED', 'STORAGE_UNAVAILABLE', 'LEASE_LOST']);

/** Whether a failure says that whoever was asked is away, and not that the question was wrong. */
export function isAway(error: unknown): error is GrailError {
  return error instanceof GrailError && AWAY.has(error.code);
}

/** The addresses of one network's verifier, of which one is used at a time. */
export class Endpoints {
  readonly #urls: readonly URL[];
  #current = 0;

  /** @param urls at least one */
  constructor(urls: readonly URL[]) {
    this.#urls = urls;
  }

  get current(): URL {
    return this.#urls[this.#current]!;
  }

  /** Takes the next address, unless that was done since `url` was the current one. */
  leave(url: URL): void {
    if (url === this.current) this.#current = (this.#current + 1) % this.#urls.length;
  }

  /**
   * Tries the current address, and while that is away the next, each once.
   * @throws the failure of the last one tried
   */
  async run<T>(attempt: (url: URL) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let left = this.#urls.length; ; left--) {
      const url = this.current;
      try {
        return await attempt(url);
      } catch (error) {
        if (!isAway(error) || signal?.aborted) throw error;
        this.leave(url);
        if (left === 1) throw error;
      }
    }
  }
}
