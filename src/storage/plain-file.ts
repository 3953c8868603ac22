import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { diskError } from './disk-errors.ts';

/**
 * Opens a plain file; null when there is none. Links and folders are not followed: what is stored is neither.
 * @throws GrailError STORAGE_UNAVAILABLE
 */
export async function openPlainFile(path: string): Promise<FileHandle | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) return null;
    throw diskError(error, path);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return null;
}

/** Whether an error of the file system has one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
