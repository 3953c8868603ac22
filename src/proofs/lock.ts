import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { GrailError } from '../protocol/errors.ts';

const POLL_MS = 200;
const TOUCH_MS = 5_000;
/** A holder that has not touched its lock for this long is gone, whoever has its process id now. */
const STALE_MS = 120_000;

/**
 * Runs `work` while this process holds a lock file, which contains its process id. A lock whose process is gone is
 * taken over; should two processes take it over at once, both work, so `work` must tolerate that (write elsewhere, then
 * rename).
 * @param path the lock file; its folder exists
 * @throws GrailError STOPPED when `signal` is aborted while waiting.
 */
export async function withLock<T>(
  path: string,
  options: { readonly signal?: AbortSignal; readonly onWait?: () => void },
  work: () => Promise<T>,
): Promise<T> {
  let waiting = false;
  while (!(await acquire(path))) {
    if (options.signal?.aborted) throw new GrailError('STOPPED', 'waiting for another process was stopped');
    if (!waiting) options.onWait?.();
    waiting = true;
    await sleep(POLL_MS);
  }
  const touch = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    await rm(path, { force: true });
  }
}

async function acquire(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  try {
    const holder = Number.parseInt(await readFile(path, 'utf8'), 10);
    const idleMs = Date.now() - (await stat(path)).mtimeMs;
    // A file without a number is still being written, or its writer died before that: then its age tells.
    if ((Number.isInteger(holder) && !isAlive(holder)) || idleMs > STALE_MS) await rm(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return false;
}

/** Whether a process of this id runs on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
