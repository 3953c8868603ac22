import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** The installed versions of tools that keys are made with. */
export function toolVersions(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, version(name)]));
}

/** Found from the tool's own folder upwards: a package need not export its package.json. */
function version(tool: string): string {
  for (let folder = dirname(require.resolve(tool)); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const found = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
    if (found.name === tool && found.version !== undefined) return found.version;
  }
  throw new Error(`no package.json of ${tool}`);
}
