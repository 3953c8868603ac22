/**
 * The project's own tasks: `build` (dist/ for the package), `check` (Biome and tsc), `kernels` (assembly/ to binaries in
 * src/; `--check` only compares), `bench NAME` (bench/NAME.ts), `cluster` (deploy/local.ts), `chaos` (test/chaos/).
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { become, binOf, ensureInstalled, fail, NODE_FLAGS, nodePath, root, runTo } from './runtime.mjs';

const SHIPPED = ['src', 'rollouts', 'verifier'];

const [task, ...rest] = process.argv.slice(2);
const tasks = { build, check, kernels, bench, cluster, chaos };
if (!Object.hasOwn(tasks, task ?? ''))
  fail('USAGE', 'the task is build, check, kernels, cluster, chaos or bench NAME');
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
  const entry = join(root, 'src', 'proofs', 'browser.ts');
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
  const simd = ['--enable', 'simd'];
  const relaxed = [...simd, '--enable', 'relaxed-simd'];
  const policy = join('assembly', 'policy.ts');
  compareOrWrite(join('src', 'backends', 'simd', 'binaries.ts'), [
    '/** assembly/policy.ts, compiled: base64. Made by `npm run build:kernels`; a test compiles it again and compares. */',
    `export const PLAIN =\n  '${kernel(policy, [...simd, '-O3', '--converge'])}';`,
    `export const RELAXED =\n  '${kernel(policy, [...relaxed, '-O3', '--converge'])}';`,
  ]);
  // -O1: further passes reorder the products so that more vectors are alive at a time than there are registers.
  const shared = [
    '--enable',
    'threads',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '32768',
  ];
  const prover = kernel(join('assembly', 'bn254', 'index.ts'), [...relaxed, ...shared, '-O1']);
  compareOrWrite(join('src', 'proofs', 'groth16', 'binary.ts'), [
    '/** assembly/bn254/, compiled: base64. Made by `npm run build:kernels`; a test compiles it again and compares. */',
    `export const BINARY =\n  '${prover}';`,
  ]);
  const pulse = kernel(join('assembly', 'pulse', 'index.ts'), [...simd, '-O2']);
  compareOrWrite(join('src', 'pulse', 'binary.ts'), [
    '/** assembly/pulse/, compiled: base64. Made by `npm run build:kernels`; a test compiles it again and compares. */',
    `export const BINARY =\n  '${pulse}';`,
  ]);
}

function compareOrWrite(name, lines) {
  const file = join(root, name);
  const text = `${lines.join('\n')}\n`;
  if (!rest.includes('--check')) writeFileSync(file, text);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    fail('KERNEL_STALE', `${name} is not what assembly/ gives: npm run build:kernels`);
  }
}

/** One binary, as base64. */
function kernel(source, flags) {
  const folder = mkdtempSync(join(tmpdir(), 'grail-kernel-'));
  try {
    const file = join(folder, 'kernel.wasm');
    const common = ['--runtime', 'stub', '--noAssert', '--importMemory'];
    const args = [binOf('assemblyscript', 'asc'), source, ...flags, ...common, '-o', file];
    const code = runTo(node, args, { cwd: root, stdio: ['ignore', 2, 2] });
    if (code !== 0) process.exit(code);
    return readFileSync(file).toString('base64');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function cluster() {
  become(node, [...NODE_FLAGS, join(root, 'deploy', 'local.ts'), ...rest]);
}

function chaos() {
  become(node, [...NODE_FLAGS, join(root, 'test', 'chaos', 'main.ts'), ...rest]);
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
