import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultCacheDirectory } from '../../src/proofs/artefacts.ts';
import { packageRoot, packageVersion } from '../../src/storage/package-root.ts';

/** The package as a stranger gets it: packed, and installed into an empty folder from the registry. */
let folder: string;
let installed: string;

// The pinned runtime comes first, so that npm and npx run on it; npm's own settings of an outer `npm test` are dropped.
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))),
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
};

function runIn(cwd: string, command: string, args: string[], extra: Record<string, string> = {}) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...env, ...extra } });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

function must(cwd: string, command: string, args: string[]): void {
  const { code, out, err } = runIn(cwd, command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${out}\n${err}`);
}

const grail = (args: string[], extra?: Record<string, string>) =>
  runIn(folder, 'npx', ['--no-install', 'grail', ...args], extra);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-pack-'));
  must(packageRoot(), 'npm', ['pack', '--pack-destination', folder]);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  must(folder, 'npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`]);
  installed = join(folder, 'node_modules', 'grail-network');
}, 600_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed package, installed elsewhere', () => {
  test('carries what runs and what is read, and no sources, tests or caches', () => {
    for (const path of [
      'LICENSE',
      'bin/grail.mjs',
      'dist/browser/verification.js',
      'dist/src/cli/main.js',
      'circuits/spot-check.circom',
      'contracts/ProofVerifier.sol',
      'docs',
    ]) {
      expect(existsSync(join(installed, path)), path).toBe(true);
    }
    for (const path of ['src', 'test', 'node_modules', '.cache', 'dist/test']) {
      expect(existsSync(join(installed, path)), path).toBe(false);
    }
  });

  test('npx grail --version and --help answer', () => {
    expect(grail(['--version'])).toMatchObject({ code: 0, out: `${packageVersion()}\n` });
    const help = grail(['--help']);
    expect(help.code).toBe(0);
    expect(help.out).toContain('grail COMMAND');
  });

  test('a command of its own makes a key there', () => {
    const args = ['keys', 'new', '--keystore', 'key.json', '--insecure-fast'];
    expect(grail(args, { GRAIL_PASSWORD: 'a' })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^0x[0-9a-f]{40}\n$/),
    });
    expect(existsSync(join(folder, 'key.json'))).toBe(true);
  });

  test('programs import PULSE from it, and its files', () => {
    const program = `
      import { applyPatch, byteSource, encodePatch, MemoryTensors } from 'grail-network/pulse';
      import { SafetensorsSource } from 'grail-network/pulse/files';
      const specs = [{ name: 'w', dtype: 'bf16', shape: [1, 2] }];
      const [base, target] = [[1, 2, 3, 4], [1, 2, 5, 4]].map((w) => new MemoryTensors(specs, [Uint8Array.from(w)]));
      const parts = [];
      const { header } = encodePatch({ base, target, write: (chunk) => parts.push(chunk.slice()) });
      const sink = new MemoryTensors(specs);
      applyPatch({ base, patch: byteSource(Buffer.concat([header, ...parts])), sink });
      console.log(typeof SafetensorsSource, sink.arrays[0].join());
    `;
    writeFileSync(join(folder, 'pulse.mjs'), program);
    const { code, out, err } = runIn(folder, process.execPath, ['pulse.mjs']);
    expect([code, out, err]).toEqual([0, 'function 1,2,5,4\n', '']);
  });

  test('its backends are exact', () => {
    const { code, out } = grail(['doctor', '--json'], { GRAIL_CACHE: join(folder, 'cache') });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ready: true });
  });

  test('its demo runs a window, and its audit finds no divergence', () => {
    // The proving key is the checkout's, where another test may have made it: the circuit is the same.
    const cache = { GRAIL_CACHE: defaultCacheDirectory() };
    const demo = grail(['demo', '--windows', '1', '--miners', '1', '--dir', 'network', '--json'], cache);
    expect(demo, demo.err).toMatchObject({ code: 0 });
    expect(JSON.parse(demo.out.trim().split('\n').at(-1)!)).toMatchObject({ windows: 1, rejections: 0 });
    const audit = grail(['audit', 'network'], cache);
    expect(audit, audit.err).toMatchObject({ code: 0, out: expect.stringContaining('no divergence') });
  }, 300_000);

  test('wrong usage keeps its exit code', () => {
    expect(grail(['frobnicate']).code).toBe(2);
  });

  const old = oldNode();
  test.skipIf(old === null)('a Node that is too old gets a sentence', () => {
    const { code, err } = runIn(folder, old!, [join(installed, 'bin', 'grail.mjs'), '--version']);
    expect(code).toBe(1);
    expect(err).toMatch(/^RUNTIME_UNSUPPORTED: GRAIL needs Node 22\.18 or newer/);
  });
});

/** A Node of this machine that is older than 22.18, if there is one. */
function oldNode(): string | null {
  for (const entry of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(entry, 'node');
    if (!existsSync(path)) continue;
    const [major, minor] = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' })
      .stdout.split('.')
      .map(Number);
    if (major! < 22 || (major === 22 && minor! < 18)) return path;
  }
  return null;
}
