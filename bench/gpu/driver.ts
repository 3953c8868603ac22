import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What WebGPU says of the adapter that it takes. */
export interface Adapter {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly emulated: boolean;
}

export interface Probe {
  readonly adapter: Adapter | null;
  /** What the loader and the driver had to say. */
  readonly log: string;
}

/** One way to find a Vulkan driver. */
export interface Way {
  readonly how: string;
  /** For VK_DRIVER_FILES; null leaves the search to the loader. */
  readonly manifest: string | null;
}

export interface Driver extends Way {
  readonly adapter: Adapter;
}

export interface Search {
  readonly driver: Driver | null;
  /** Every way that was tried, in words, with what came of it. */
  readonly tried: readonly string[];
}

/** Where containers get their drivers mounted, and where Vulkan's loader does not look. */
const MANIFEST_FOLDERS = [
  '/usr/local/nvidia/share/vulkan/icd.d',
  '/usr/local/nvidia/vulkan/icd.d',
  '/run/opengl-driver/share/vulkan/icd.d',
];

const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/lib/x86_64-linux-gnu/nvidia/current',
  '/usr/local/nvidia/lib64',
  '/usr/local/nvidia/lib',
  '/run/opengl-driver/lib',
];

/** NVIDIA's driver has the same Vulkan behind both; the first needs X11's libraries, the second a version for headless use. */
const LIBRARIES = ['libGLX_nvidia.so.0', 'libEGL_nvidia.so.0'];

/**
 * The first Vulkan driver with a real GPU, or else one that is emulated. A driver that the environment names is the only
 * one tried.
 */
export function findDriver(ways: Iterable<Way>, probe: (way: Way) => Probe): Search {
  const tried: string[] = [];
  let emulated: Driver | null = null;
  for (const way of ways) {
    const { adapter, log } = probe(way);
    const what = adapter === null ? 'no adapter' : describe(adapter);
    tried.push([`${way.how}: ${what}`, ...log.split('\n').filter(Boolean)].join('\n    '));
    if (adapter === null) continue;
    if (!adapter.emulated) return { driver: { ...way, adapter }, tried };
    emulated ??= { ...way, adapter };
  }
  return { driver: emulated, tried };
}

const describe = ({ vendor, description, device, emulated }: Adapter) =>
  `${[vendor, description || device].filter(Boolean).join(' ')}${emulated ? ' (emulated: not a GPU)' : ''}`;

/** What there is to try on this machine, the likeliest first. */
export function* waysHere(env: NodeJS.ProcessEnv): Generator<Way> {
  for (const name of ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']) {
    if (env[name] === undefined || env[name] === '') continue;
    yield { how: `${name}=${env[name]}`, manifest: null };
    return;
  }
  yield { how: 'the manifests that Vulkan’s loader finds', manifest: null };
  for (const folder of MANIFEST_FOLDERS) {
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder).sort()) {
      if (file.endsWith('.json')) yield { how: join(folder, file), manifest: join(folder, file) };
    }
  }
  const folders = [...(env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean), ...LIBRARY_FOLDERS];
  for (const library of LIBRARIES) {
    const path = folders.map((folder) => join(folder, library)).find(existsSync);
    if (path !== undefined) yield { how: `a manifest of our own for ${path}`, manifest: manifestFor(path) };
  }
}

/** Writes a manifest that is there until the process ends. */
function manifestFor(library: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'grail-vulkan-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'icd.json');
  const ICD = { library_path: library, api_version: '1.3.0' };
  writeFileSync(file, JSON.stringify({ file_format_version: '1.0.0', ICD }));
  return file;
}

/** The variables that make the loader take this driver and no other. */
export function driverVariables({ manifest }: Way): Record<string, string> {
  return manifest === null ? {} : { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest };
}

const PROBE_MS = 60_000;

/** Asks Dawn in a process of its own: a broken driver may take its process with it. */
export function probeWith(script: string): (way: Way) => Probe {
  return (way) => {
    const { stdout, stderr, status, signal, error } = spawnSync(process.execPath, [script], {
      encoding: 'utf8',
      timeout: PROBE_MS,
      env: { VK_LOADER_DEBUG: 'error', ...process.env, ...driverVariables(way) },
    });
    if (status === 0) return { adapter: JSON.parse(stdout), log: stderr };
    const end = error?.message ?? (signal === null ? `exit code ${status}` : signal);
    return { adapter: null, log: `${stderr}\nthe probe ended: ${end}` };
  };
}

/** What is missing on a machine where no GPU was found, in sentences. */
export function advice(): string[] {
  const lines: string[] = [];
  if (!existsSync('/dev/nvidiactl') && !existsSync('/dev/dxg')) {
    lines.push(
      'There is no /dev/nvidiactl: no NVIDIA GPU, no driver, or a container that was started without --gpus all.',
    );
  }
  if (!LIBRARY_FOLDERS.some((folder) => LIBRARIES.some((library) => existsSync(join(folder, library))))) {
    lines.push(
      `NVIDIA’s ${LIBRARIES.join(' and ')} are not here: start the container with NVIDIA_DRIVER_CAPABILITIES=all (or compute,utility,graphics).`,
    );
  }
  lines.push('To name a driver’s manifest yourself, set VK_DRIVER_FILES.');
  return lines;
}
