import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a server keeps its data. */
export interface ServerFolder {
  readonly path: string;
  /** Removes it, unless it is to last. */
  remove(): void;
}

/** A folder that lasts, or one of its own for as long as the server runs. */
export function serverFolder(name: string, lasting: string | null): ServerFolder {
  if (lasting === null) {
    const path = mkdtempSync(join(tmpdir(), `grail-${name}-`));
    return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
  }
  mkdirSync(lasting, { recursive: true });
  return { path: lasting, remove: () => {} };
}
