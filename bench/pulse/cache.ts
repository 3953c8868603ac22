import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Hexadecimal digest of everything that a recording depends on: files of the repository, and what else is given. */
export function recordingKey(files: readonly string[], ...more: readonly (string | Uint8Array)[]): string {
  const sum = createHash('sha256');
  for (const part of [...files.map((file) => readFileSync(ROOT + file)), ...more]) {
    sum.update(`${part.length}:`).update(part);
  }
  return sum.digest('hex').slice(0, 16);
}

/** The TypeScript files of a folder of the repository, sorted. */
export function sourcesOf(folder: string): string[] {
  return readdirSync(ROOT + folder)
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/**
 * The folder below .cache/pulse/ that holds a recording; `record` fills it when it is missing. It appears whole or not at
 * all.
 */
export async function recorded(name: string, record: (folder: string) => Promise<void>): Promise<string> {
  const folder = `${ROOT}.cache/pulse/${name}`;
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial-${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    await record(partial);
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return folder;
}
