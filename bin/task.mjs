/**
 * The project's own tasks: `build` (dist/ for the package), `check` (Biome and tsc), `kernels` (assembly/ to
 * src/backends/simd/binaries.ts; `--check` only compares), `bench NAME` (bench/NAME.ts).
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { become, binOf, ensureInstalled, fail, NODE_FLAGS, nodePath, root, runTo } from './runtime.mjs';

const SHIPPED = ['src', 'rollouts', 'verifier'];

const [task, ...rest] = process.argv.slice(2);
const tasks = { build, check, kernels, bench };
if (!Object.hasOwn(tasks, task ?? '')) fail('USAGE', 'the task is build, check, kernels or bench NAME');
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
  bundle();
}

/** The verification of proofs as one module for a page. */
function bundle() {
  const out = join(root, 'dist', 'browser', 'verification.js');
  const flags = [
    '--bundle',
    '--minify',
    '--format=esm',
    '--platform=browser',
    '--target=es2023',
    '--log-level=warning',
  ];
  const entry = join(root, 'src', 'proofs', 'verification.ts');
  const code = runTo(node, [binOf('esbuild', 'esbuild'), entry, ...flags, `--outfile=${out}`], {
    stdio: ['ignore', 2, 2],
  });
  if (code !== 0) process.exit(code);
}

function check() {
  const biome = runTo(node, [binOf('@biomejs/biome', 'biome'), 'check', '.']);
  process.exit(Math.max(biome, tsc('tsconfig.json')));
}

function kernels() {
  const file = join(root, 'src', 'backends', 'simd', 'binaries.ts');
  const text = `${[
    '/** assembly/policy.ts, compiled: base64. Made by `npm run build:kernels`; a test compiles it again and compares. */',
    `export const PLAIN =\n  '${kernel([])}';`,
    `export const RELAXED =\n  '${kernel(['--enable', 'relaxed-simd'])}';`,
  ].join('\n')}\n`;
  if (!rest.includes('--check')) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    fail('KERNEL_STALE', 'src/backends/simd/binaries.ts is not what assembly/ gives: npm run build:kernels');
  }
}

/** One binary of the policy kernel, as base64. */
function kernel(features) {
  const folder = mkdtempSync(join(tmpdir(), 'grail-kernel-'));
  try {
    const file = join(folder, 'policy.wasm');
    const flags = ['--enable', 'simd', ...features, '--runtime', 'stub', '--noAssert', '-O3', '--converge'];
    const source = join('assembly', 'policy.ts');
    const args = [binOf('assemblyscript', 'asc'), source, ...flags, '--importMemory', '-o', file];
    const code = runTo(node, args, { cwd: root, stdio: ['ignore', 2, 2] });
    if (code !== 0) process.exit(code);
    return readFileSync(file).toString('base64');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function bench() {
  const [name, ...args] = rest;
  const file = join(root, 'bench', `${name}.ts`);
  if (name === undefined || !existsSync(file)) {
    const names = readdirSync(join(root, 'bench')).filter((entry) => entry.endsWith('.ts'));
    const all = [...names.map((entry) => entry.slice(0, -3)), 'gpu/pack'];
    fail('USAGE', `npm run bench -- NAME, with NAME one of: ${all.join(', ')}`);
  }
  become(node, [...NODE_FLAGS, file, ...args]);
}
