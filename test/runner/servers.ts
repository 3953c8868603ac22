import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A program that a suite needs. */
export interface Server {
  readonly name: string;
  /** Its path, or null when it is not on this machine. */
  find(): string | null;
  /** The Debian package that brings it, unless npm does. */
  readonly debianPackage?: string;
}

const firstOf = (paths: readonly (string | undefined)[]) =>
  paths.find((path) => path !== undefined && existsSync(path)) ?? null;

export const chromium: Server = {
  name: 'chromium',
  debianPackage: 'chromium',
  find: () =>
    firstOf([
      process.env.CHROMIUM_PATH,
      '/usr/bin/chromium',
      '/usr/bin/chromium-browser',
      '/usr/bin/google-chrome',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    ]),
};

/** A Vulkan driver that computes on the processor; Debian's Chromium brings it. `find` gives its manifest. */
export const swiftShader: Server = {
  name: 'SwiftShader',
  debianPackage: 'chromium',
  find: () => firstOf([process.env.SWIFTSHADER_ICD, '/usr/lib/chromium/vk_swiftshader_icd.json']),
};

/** Vulkan's loader, through which Dawn finds drivers. */
export const vulkan: Server = {
  name: 'libvulkan',
  debianPackage: 'libvulkan1',
  find: () =>
    firstOf([
      '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
      '/usr/lib/aarch64-linux-gnu/libvulkan.so.1',
      '/usr/lib64/libvulkan.so.1',
      '/usr/lib/libvulkan.so.1',
    ]),
};

/** Differs of files that PULSE is measured beside. */
export const xdelta3: Server = {
  name: 'xdelta3',
  debianPackage: 'xdelta3',
  find: () => firstOf(['/usr/bin/xdelta3', '/usr/local/bin/xdelta3', '/opt/homebrew/bin/xdelta3']),
};
export const zstd: Server = {
  name: 'zstd',
  debianPackage: 'zstd',
  find: () => firstOf(['/usr/bin/zstd', '/usr/local/bin/zstd', '/opt/homebrew/bin/zstd']),
};

const require = createRequire(import.meta.url);

/** An Ethereum node. npm brings it, as one package a platform. */
export const anvil: Server = {
  name: 'anvil',
  find: () => {
    const { platform, arch } = process;
    const file = platform === 'win32' ? 'anvil.exe' : 'anvil';
    const name = `@foundry-rs/anvil-${platform}-${arch === 'x64' ? 'amd64' : arch}/bin/${file}`;
    try {
      return require.resolve(name);
    } catch {
      return null;
    }
  },
};

/** Installs what is missing where that needs no questions: as root, with apt. */
export function installMissing(servers: readonly Server[], log: (line: string) => void): void {
  const packages = servers.flatMap((server) =>
    server.debianPackage !== undefined && server.find() === null ? [server.debianPackage] : [],
  );
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  log(`Installing ${packages.join(', ')} with apt …`);
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  if (!apt('update') || !apt('install', '-y', '--no-install-recommends', ...packages)) {
    log('apt failed, see above; the suites that need these are not run');
  }
}
