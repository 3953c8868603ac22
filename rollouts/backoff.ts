import { GrailError } from '../src/protocol/errors.ts';

/** Waits between attempts: doubling from `baseMs` to `maxMs`, each shortened by up to half so that crowds spread. */
export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1). It decides nothing but when something is tried again. */
  readonly random: () => number;
}

/** Longest wait that a verifier's Retry-After is obeyed for: it must not send a miner to sleep. */
const MAX_RETRY_AFTER_MS = 60_000;

const DEFAULTS: BackoffOptions = {
  baseMs: 250,
  maxMs: 10_000,
  random: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
};

export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: Partial<BackoffOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Attempts since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /**
   * Milliseconds to wait before the next attempt.
   * @param error what the last one failed with; where it says `retryAfterSeconds`, these and up to a quarter more are waited
   */
  next(error?: unknown): number {
    const { baseMs, maxMs, random } = this.#options;
    const full = Math.min(maxMs, baseMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    return Math.max(full * (1 - random() / 2), retryAfterMs(error) * (1 + random() / 4));
  }

  reset(): void {
    this.#attempts = 0;
  }
}

function retryAfterMs(error: unknown): number {
  const seconds = error instanceof GrailError ? error.details.retryAfterSeconds : undefined;
  if (typeof seconds !== 'number' || !(seconds > 0)) return 0;
  return Math.min(1000 * seconds, MAX_RETRY_AFTER_MS);
}

/** Resolves after `ms`, or at once when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
