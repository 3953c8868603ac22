import { setTimeout as sleep } from 'node:timers/promises';
import { GrailError } from '../protocol/errors.ts';

/** First wait after the storage took nothing; it doubles up to the longest. */
const RETRY_MS = 50;
const LONGEST_RETRY_MS = 2_000;

/**
 * Tries until the storage takes it: a full disk is freed, a database comes back.
 * @param options.onTrouble hears why, at every attempt, and null when it went well after all
 * @throws GrailError STOPPED when aborted; what the action threw, unless that is STORAGE_UNAVAILABLE
 */
export async function untilStored<T>(
  action: () => T | Promise<T>,
  options: { readonly signal: AbortSignal; readonly onTrouble: (trouble: GrailError | null) => void },
): Promise<T> {
  const { signal, onTrouble } = options;
  let troubled = false;
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(LONGEST_RETRY_MS, 2 * waitMs)) {
    try {
      const result = await action();
      if (troubled) onTrouble(null);
      return result;
    } catch (error) {
      if (!(error instanceof GrailError) || error.code !== 'STORAGE_UNAVAILABLE') throw error;
      // A password that is refused is not accepted later.
      if (error.details.lasting === true) throw error;
      troubled = true;
      onTrouble(error);
    }
    await sleep(waitMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) throw new GrailError('STOPPED', 'stopped while the storage took nothing');
  }
}
