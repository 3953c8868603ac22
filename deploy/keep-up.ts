import { setTimeout as sleep } from 'node:timers/promises';

/** First wait before something is started again; it doubles, up to the longest, until one start has lasted. */
const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const LASTED_MS = 60_000;

/** Something that runs until it ends, and can be started again. */
export interface Kept {
  readonly name: string;
  /** Resolves with the reason when it has ended. */
  ended(): Promise<string>;
  start(): Promise<unknown>;
}

/**
 * Starts something again whenever it ends, until the signal is aborted.
 * @param log hears of every end
 */
export async function keepUp(
  kept: Kept,
  { signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<void> {
  const stopped = new Promise<null>((resolve) =>
    signal.addEventListener('abort', () => resolve(null), { once: true }),
  );
  for (let waitMs = FIRST_MS; !signal.aborted; waitMs = Math.min(LONGEST_MS, 2 * waitMs)) {
    const began = performance.now();
    let reason = await Promise.race([kept.ended(), stopped]);
    if (performance.now() - began > LASTED_MS) waitMs = FIRST_MS;
    while (reason !== null && !signal.aborted) {
      log(`${kept.name} ended (${reason}): it is started again in ${waitMs / 1000} s`);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        await kept.start();
        reason = null;
      } catch (error) {
        reason = (error as Error).message;
        waitMs = Math.min(LONGEST_MS, 2 * waitMs);
      }
    }
  }
}
