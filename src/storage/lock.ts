import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GrailError } from '../protocol/errors.ts';
import { diskError, onDisk } from './disk-errors.ts';

const SQLITE_BUSY = 5;

/** A lock that this process holds. */
export interface ProcessLock {
  release(): void;
}

/**
 * Locks `file` for this process, and creates it. The kernel holds the lock (SQLite's own, on an empty database file), so
 * that it ends with the process however the process ends: no process numbers, no stale files.
 * @param what the thing in use, for the message
 * @throws GrailError ALREADY_RUNNING when another process, or this one, holds it; STORAGE_UNAVAILABLE
 */
export function lockFile(file: string, what: string): ProcessLock {
  const database = onDisk(file, () => {
    mkdirSync(dirname(file), { recursive: true });
    return new DatabaseSync(file);
  });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 !== SQLITE_BUSY) throw diskError(error, file);
    throw new GrailError(
      'ALREADY_RUNNING',
      `another process uses ${what}; stop it first, or choose another directory`,
      { file },
      { cause: error },
    );
  }
  return { release: () => database.close() };
}
