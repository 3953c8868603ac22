import { GrailError } from '../protocol/errors.ts';

/** What a disk may be at fault for, and what a person does about it. */
const TROUBLES = {
  full: 'the disk is full: free space',
  readOnly: 'it cannot be written: mount its file system writable',
  forbidden: 'permission is denied: give this user the right to it',
  broken: 'the disk gave an error: check it, and the kernel’s log',
  unopened: 'it cannot be opened: see that its folder is there and may be used',
  busy: 'another process holds it: end that one',
  tooMany: 'too many files are open: raise the limit (ulimit -n)',
  tooLarge: 'it would be larger than this process may write: raise the limit (ulimit -f)',
} as const;

type DiskTrouble = keyof typeof TROUBLES;

/** Codes of node:fs. */
const SYSTEM_CODES: Readonly<Record<string, DiskTrouble>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'readOnly',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
  EIO: 'broken',
  EMFILE: 'tooMany',
  ENFILE: 'tooMany',
  EFBIG: 'tooLarge',
};

/** SQLite's primary result codes (sqlite.org/rescode.html) that say the disk or another process is at fault, not the bytes. */
const SQLITE_CODES: Readonly<Record<number, DiskTrouble>> = {
  5: 'busy',
  6: 'busy',
  8: 'readOnly',
  10: 'broken',
  13: 'full',
  14: 'unopened',
};

/**
 * STORAGE_UNAVAILABLE for an error of node:fs or node:sqlite that the disk is at fault for; anything else as it is.
 * @param path the file or folder that was used; without it, the one that the error names
 */
export function diskError(error: unknown, path?: string): unknown {
  if (!(error instanceof Error) || error instanceof GrailError) return error;
  const { code, errcode, path: own } = error as NodeJS.ErrnoException & { errcode?: number };
  const trouble = errcode === undefined ? SYSTEM_CODES[code ?? ''] : SQLITE_CODES[errcode & 255];
  if (trouble === undefined) return error;
  const file = path ?? own ?? 'the disk';
  const details = { file, reason: error.message };
  return new GrailError('STORAGE_UNAVAILABLE', `${file}: ${TROUBLES[trouble]}`, details, { cause: error });
}

/** Runs what uses a file, and gives a disk's failure its code. @throws GrailError STORAGE_UNAVAILABLE */
export function onDisk<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw diskError(error, path);
  }
}

/** The same for what answers later. @throws GrailError STORAGE_UNAVAILABLE */
export async function onDiskLater<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw diskError(error, path);
  }
}
