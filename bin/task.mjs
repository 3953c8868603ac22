/**
 * The project's own tasks: `build` (dist/ for the package), `check` (Biome and tsc), `bench NAME` (bench/NAME.ts).
 */
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { become, binOf, ensureInstalled, fail, NODE_FLAGS, nodePath, root, runTo } from './runtime.mjs';

const SHIPPED = ['src', 'rollouts', 'verifier'];

const [task, ...rest] = process.argv.slice(2);
const tasks = { build, check, bench };
if (!Object.hasOwn(tasks, task ?? '')) fail('USAGE', 'the task is build, check or bench NAME');
ensureInstalled();
const node = nodePath();
tasks[task]();

function tsc(project) {
  return runTo(node, [binOf('typescript', 'tsc'), '-p', join(root, project)], { stdio: ['ignore', 2, 2] });
}

function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const code = tsc('tsconfig.build.json');
  if (code !== 0) process.exit(code);
  // What lies beside the sources and is read by path (a page, a table) belongs beside the output too.
  for (const folder of SHIPPED) {
    if (!existsSync(join(root, folder))) continue;
    cpSync(join(root, folder), join(root, 'dist', folder), {
      recursive: true,
      filter: (path) => !/\.(?:ts|mts|cts)$/.test(path),
    });
  }
}

function check() {
  const biome = runTo(node, [binOf('@biomejs/biome', 'biome'), 'check', '.']);
  process.exit(Math.max(biome, tsc('tsconfig.json')));
}

function bench() {
  const [name, ...args] = rest;
  const file = join(root, 'bench', `${name}.ts`);
  if (name === undefined || !existsSync(file)) {
    const names = readdirSync(join(root, 'bench')).filter((entry) => entry.endsWith('.ts'));
    fail(
      'USAGE',
      `npm run bench -- NAME, with NAME one of: ${names.map((entry) => entry.slice(0, -3)).join(', ')}`,
    );
  }
  become(node, [...NODE_FLAGS, file, ...args]);
}
