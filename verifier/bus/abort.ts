import { GrailError } from '../../src/protocol/errors.ts';

export const stopped = () => new GrailError('STOPPED', 'the bus was closed, or what waited was aborted');

/** What the promise gives, or the error as soon as the signal is aborted. */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  error: () => Error = stopped,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(error());
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Resolves after `ms`, or as soon as one of the signals is aborted. */
export function pause(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const signal of signals) {
      if (signal.aborted) done();
      else signal.addEventListener('abort', done, { once: true });
    }
  });
}

/** Resolves when the promise has settled, or after `ms` where that is given. */
export async function settledWithin(promise: Promise<unknown>, ms: number | undefined): Promise<void> {
  const settled = new AbortController();
  const done = promise.then(
    () => settled.abort(),
    () => settled.abort(),
  );
  await (ms === undefined ? done : pause(ms, settled.signal));
}
