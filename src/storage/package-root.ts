import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAME = 'grail-network';

let found: { root: string; version: string } | undefined;

function find(): { root: string; version: string } {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const { name, version } = JSON.parse(readFileSync(file, 'utf8'));
      if (name === NAME) return { root: folder, version };
    }
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json of ${NAME} above ${import.meta.url}`);
    folder = parent;
  }
}

/** The folder of this package: of the checkout, or of the installed package. `circuits/` and `docs/` lie in it. */
export function packageRoot(): string {
  found ??= find();
  return found.root;
}

/** The version of this package, as package.json says it. */
export function packageVersion(): string {
  found ??= find();
  return found.version;
}
