import { createRequire } from 'node:module';
import { firstOf, type Program } from '../../deploy/servers/programs.ts';

export const chromium: Program = {
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
export const swiftShader: Program = {
  name: 'SwiftShader',
  debianPackage: 'chromium',
  find: () => firstOf([process.env.SWIFTSHADER_ICD, '/usr/lib/chromium/vk_swiftshader_icd.json']),
};

/** Vulkan's loader, through which Dawn finds drivers. */
export const vulkan: Program = {
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
export const xdelta3: Program = {
  name: 'xdelta3',
  debianPackage: 'xdelta3',
  find: () => firstOf(['/usr/bin/xdelta3', '/usr/local/bin/xdelta3', '/opt/homebrew/bin/xdelta3']),
};
export const zstd: Program = {
  name: 'zstd',
  debianPackage: 'zstd',
  find: () => firstOf(['/usr/bin/zstd', '/usr/local/bin/zstd', '/opt/homebrew/bin/zstd']),
};

const require = createRequire(import.meta.url);

/** An Ethereum node. npm brings it, as one package a platform. */
export const anvil: Program = {
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
