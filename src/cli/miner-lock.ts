import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { lockFile, type ProcessLock } from '../storage/lock.ts';

/**
 * Locks a key for one miner: on this machine by its address, so that a copy of the keystore is no second key, and beside
 * the keystore, for other users of the machine and for folders that machines share.
 * @param file the keystore
 * @throws GrailError ALREADY_RUNNING; STORAGE_UNAVAILABLE when a lock cannot be made
 */
export function lockKey(
  file: string,
  address: Hex,
  env: Readonly<Record<string, string | undefined>>,
): ProcessLock {
  const beside = lock(`${file}.lock`, file, address);
  try {
    const here = lock(join(runtimeFolder(env), `miner-${address}.lock`), file, address);
    return {
      release() {
        here.release();
        beside.release();
      },
    };
  } catch (error) {
    beside.release();
    throw error;
  }
}

function lock(path: string, keystore: string, address: Hex): ProcessLock {
  try {
    return lockFile(path, `the key ${address}`);
  } catch (error) {
    if (!(error instanceof GrailError) || error.code !== 'ALREADY_RUNNING') throw error;
    throw new GrailError(
      'ALREADY_RUNNING',
      `another miner on this machine uses the key ${address}: two would sign different messages and lose the bond. Stop it first, or make another key`,
      { address, keystore, lock: path },
      { cause: error },
    );
  }
}

/**
 * The folder for locks of this user's processes, made where it is missing: GRAIL_RUNTIME, else XDG_RUNTIME_DIR/grail, else
 * one among the temporary files.
 * @throws GrailError STORAGE_UNAVAILABLE when another user has taken its name
 */
export function runtimeFolder(env: Readonly<Record<string, string | undefined>>): string {
  if (env.GRAIL_RUNTIME) return env.GRAIL_RUNTIME;
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, 'grail');
  const user = process.getuid?.();
  const folder = join(tmpdir(), user === undefined ? 'grail' : `grail-${user}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(folder);
  // Whoever else may write there could keep this user's miners from starting.
  if (user !== undefined && (uid !== user || (mode & 0o022) !== 0)) {
    const message = `${folder} belongs to another user, or others may write to it: remove it, or set GRAIL_RUNTIME to a folder of your own`;
    throw new GrailError('STORAGE_UNAVAILABLE', message, { folder });
  }
  return folder;
}
