import { accessSync, constants, mkdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import { toHex } from '../protocol/bytes.ts';
import { canonicalText } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { packageRoot } from '../storage/package-root.ts';
import { isAlive, withLock } from './lock.ts';
import { toolVersions } from './tools.ts';

export interface ArtefactProgress {
  readonly stage: 'compile' | 'keys' | 'wait';
  /** For people: what is being done. */
  readonly message: string;
  /** Of the stage, in [0, 1], where it is known. */
  readonly fraction?: number;
}

export interface ArtefactOptions {
  /** Default: GRAIL_CACHE, else .cache in a checkout, else ~/.cache/grail. */
  readonly cacheDirectory?: string;
  readonly onProgress?: (progress: ArtefactProgress) => void;
  readonly signal?: AbortSignal;
}

/** A circuit by its name and source; the name identifies the cached files. */
export interface NamedCircuit {
  readonly name: string;
  readonly source: string;
}

/** Files that belong together, and how they are made. */
export interface ArtefactSet<Kind extends string> {
  /** Of the folder, after the circuit's name. */
  readonly suffix: string;
  /** For people: what is made. */
  readonly what: string;
  readonly files: Readonly<Record<Kind, string>>;
  /** @param directory for files of its own; they are removed */
  build(
    directory: string,
    circuit: NamedCircuit,
    options: ArtefactOptions,
  ): Promise<Readonly<Record<Kind, Uint8Array>>>;
}

/** Changes whenever the same circuit would get other files. */
const FORMAT = 1;

interface Manifest {
  readonly format: number;
  readonly name: string;
  readonly source: string;
  readonly tools: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
}

export const digest = (bytes: Uint8Array) => toHex(sha256(bytes));

/** What compiles circuits. */
export const compilerVersions = () => toolVersions('circom2', 'circomlib');

/** Where artefacts are kept unless the caller says otherwise. */
export function defaultCacheDirectory(): string {
  const { GRAIL_CACHE } = process.env;
  if (GRAIL_CACHE) return GRAIL_CACHE;
  const root = packageRoot();
  if (!root.split(sep).includes('node_modules')) {
    try {
      const cache = join(root, '.cache');
      mkdirSync(cache, { recursive: true });
      accessSync(cache, constants.W_OK);
      return cache;
    } catch {
      // A checkout that cannot be written to: use the home folder.
    }
  }
  return join(homedir(), '.cache', 'grail');
}

/**
 * Paths of a set's files: from the cache, or made. Several processes may ask at once; one makes them.
 * @throws GrailError STOPPED, and what `build` throws
 */
export async function loadCached<Kind extends string>(
  set: ArtefactSet<Kind>,
  circuit: NamedCircuit,
  options: ArtefactOptions = {},
): Promise<Record<Kind, string>> {
  const parent = join(options.cacheDirectory ?? defaultCacheDirectory(), 'circuits');
  const directory = join(parent, `${circuit.name}${set.suffix}`);
  const cached = await readCached(set, circuit, options);
  if (cached) return cached;
  await mkdir(parent, { recursive: true });
  const onWait = () =>
    options.onProgress?.({ stage: 'wait', message: `another process is making ${set.what}` });
  return withLock(
    `${directory}.lock`,
    { onWait, ...(options.signal && { signal: options.signal }) },
    async () => {
      const made = await readCached(set, circuit, options);
      if (made) return made;
      await removeAbandoned(parent);
      const temporary = await mkdtemp(join(parent, `tmp-${process.pid}-`));
      try {
        await write(set, temporary, circuit, options);
        // Should another process have done the same work at once, its result is as good.
        if (!(await readCached(set, circuit, options))) {
          await rm(directory, { recursive: true, force: true });
          await rename(temporary, directory).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
          });
        }
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
      const result = await readCached(set, circuit, options);
      if (!result) throw new GrailError('INTERNAL', `the artefacts in ${directory} changed while being made`);
      return result;
    },
  );
}

async function write<Kind extends string>(
  set: ArtefactSet<Kind>,
  directory: string,
  circuit: NamedCircuit,
  options: ArtefactOptions,
): Promise<void> {
  const own = join(directory, 'build');
  const contents = await set.build(own, circuit, options);
  const files: Record<string, string> = {};
  for (const [kind, bytes] of Object.entries<Uint8Array>(contents)) {
    const file = set.files[kind as Kind];
    await writeFile(join(directory, file), bytes);
    files[file] = digest(bytes);
  }
  await rm(own, { recursive: true });
  const manifest: Manifest = {
    format: FORMAT,
    name: circuit.name,
    source: digest(Buffer.from(circuit.source)),
    tools: compilerVersions(),
    files,
  };
  await writeFile(join(directory, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Removes what builders left behind that were killed. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const entry of await readdir(parent)) {
    const pid = /^tmp-(\d+)-/.exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) {
      await rm(join(parent, entry), { recursive: true, force: true });
    }
  }
}

/** The cached paths, or undefined when files are absent, of other sources or tools, or damaged. */
export async function readCached<Kind extends string>(
  set: ArtefactSet<Kind>,
  circuit: NamedCircuit,
  options: ArtefactOptions,
): Promise<Record<Kind, string> | undefined> {
  const directory = join(
    options.cacheDirectory ?? defaultCacheDirectory(),
    'circuits',
    `${circuit.name}${set.suffix}`,
  );
  try {
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as Manifest;
    const fresh =
      manifest.format === FORMAT &&
      manifest.name === circuit.name &&
      manifest.source === digest(Buffer.from(circuit.source)) &&
      canonicalText(manifest.tools) === canonicalText(compilerVersions());
    if (!fresh) return undefined;
    const entries = Object.entries<string>(set.files);
    for (const [, file] of entries) {
      if (digest(await readFile(join(directory, file))) !== manifest.files[file]) return undefined;
    }
    return Object.fromEntries(entries.map(([kind, file]) => [kind, join(directory, file)])) as Record<
      Kind,
      string
    >;
  } catch {
    return undefined;
  }
}
