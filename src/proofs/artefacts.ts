import { accessSync, constants, mkdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import { toHex } from '../protocol/bytes.ts';
import { canonicalText } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { packageRoot } from '../storage/package-root.ts';
import { generateCircuit } from './circuit.ts';
import { compileCircuit } from './compile.ts';
import { makeInsecureDevKeys } from './development-keys.ts';
import { isAlive, withLock } from './lock.ts';
import type { CircuitSpec } from './types.ts';
import { parseVerificationKey, type VerificationKey, verificationKeyHash } from './verification-key.ts';

/** What proving and verifying with one circuit needs. */
export interface CircuitArtefacts {
  /** The circuit's name: it contains a hash of everything that the circuit is made of. */
  readonly name: string;
  /** Paths. */
  readonly r1cs: string;
  readonly wasm: string;
  readonly zkey: string;
  readonly verificationKey: VerificationKey;
  /** SHA-256 of the canonical verification key: what genesis pins. */
  readonly verificationKeyHash: string;
}

export interface Artefacts extends CircuitArtefacts {
  readonly spec: CircuitSpec;
}

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

/** Changes whenever the same circuit would get other files. */
const FORMAT = 1;
const FILES = {
  r1cs: 'circuit.r1cs',
  wasm: 'circuit.wasm',
  zkey: 'insecure-dev.zkey',
  verificationKey: 'insecure-dev.verification-key.json',
} as const;

interface Manifest {
  readonly format: number;
  readonly name: string;
  readonly source: string;
  readonly tools: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
}

const require = createRequire(import.meta.url);
const version = (tool: string) => (require(`${tool}/package.json`) as { version: string }).version;
const digest = (bytes: Uint8Array) => toHex(sha256(bytes));

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
 * The artefacts of a specification: from the cache, or compiled and keyed with development keys. Several processes may
 * ask at once; one makes them.
 * @throws GrailError CIRCUIT_UNSOUND, CHILD_FAILED, STOPPED
 */
export async function loadArtefacts(spec: CircuitSpec, options: ArtefactOptions = {}): Promise<Artefacts> {
  return { spec, ...(await loadCircuitArtefacts(generateCircuit(spec), options)) };
}

/** The same for any circuit by its name and source; the name identifies the cached files. */
export async function loadCircuitArtefacts(
  circuit: { readonly name: string; readonly source: string },
  options: ArtefactOptions = {},
): Promise<CircuitArtefacts> {
  const parent = join(options.cacheDirectory ?? defaultCacheDirectory(), 'circuits');
  const directory = join(parent, circuit.name);
  const cached = await readCached(directory, circuit);
  if (cached) return cached;
  await mkdir(parent, { recursive: true });
  const onWait = () =>
    options.onProgress?.({ stage: 'wait', message: 'another process is making the proving key' });
  return withLock(
    `${directory}.lock`,
    { onWait, ...(options.signal && { signal: options.signal }) },
    async () => {
      const made = await readCached(directory, circuit);
      if (made) return made;
      await removeAbandoned(parent);
      const temporary = await mkdtemp(join(parent, `tmp-${process.pid}-`));
      try {
        await build(temporary, circuit, options);
        // Should another process have done the same work at once, its result is as good.
        if (!(await readCached(directory, circuit))) {
          await rm(directory, { recursive: true, force: true });
          await rename(temporary, directory).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
          });
        }
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
      const result = await readCached(directory, circuit);
      if (!result) throw new GrailError('INTERNAL', `the artefacts in ${directory} changed while being made`);
      return result;
    },
  );
}

/**
 * Only the verification key of a specification: from circuits/keys when it is committed there, from the cache, or by
 * making all artefacts.
 * @throws GrailError as `loadArtefacts`, and KEY_MISMATCH when the committed key is not the one that its file names
 */
export async function loadVerificationKey(
  spec: CircuitSpec,
  options: ArtefactOptions & { readonly committedKeys?: string } = {},
): Promise<{ readonly verificationKey: VerificationKey; readonly verificationKeyHash: string }> {
  const { name } = generateCircuit(spec);
  const path = join(options.committedKeys ?? committedKeys(), `${name}.json`);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return loadArtefacts(spec, options);
  const committed = JSON.parse(text) as CommittedKey;
  const verificationKey = parseVerificationKey(committed.verificationKey);
  const hash = verificationKeyHash(verificationKey);
  if (hash !== committed.verificationKeyHash) {
    throw new GrailError('KEY_MISMATCH', `the key in ${path} was altered: restore the file`, {
      expected: committed.verificationKeyHash,
      got: hash,
    });
  }
  return { verificationKey, verificationKeyHash: hash };
}

/** A verification key in circuits/keys, with where it comes from. */
export interface CommittedKey {
  readonly circuit: string;
  readonly spec: CircuitSpec;
  readonly verificationKeyHash: string;
  readonly provenance: {
    readonly kind: 'insecure-dev';
    readonly note: string;
    readonly tools: Readonly<Record<string, string>>;
    readonly r1csSha256: string;
    readonly zkeySha256: string;
  };
  readonly verificationKey: VerificationKey;
}

function committedKeys(): string {
  return join(packageRoot(), 'circuits', 'keys');
}

/** Writes the key of an artefact set to circuits/keys (or `folder`), for committing. Returns the path. */
export async function writeCommittedKey(artefacts: Artefacts, folder = committedKeys()): Promise<string> {
  const committed: CommittedKey = {
    circuit: artefacts.name,
    spec: artefacts.spec,
    verificationKeyHash: artefacts.verificationKeyHash,
    provenance: {
      kind: 'insecure-dev',
      note: 'Made by the development setup, whose secrets are public: anyone can forge proofs for this key.',
      tools: tools(),
      r1csSha256: digest(await readFile(artefacts.r1cs)),
      zkeySha256: digest(await readFile(artefacts.zkey)),
    },
    verificationKey: artefacts.verificationKey,
  };
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${artefacts.name}.json`);
  await writeFile(path, `${JSON.stringify(committed, null, 2)}\n`);
  return path;
}

function tools(): Record<string, string> {
  return { circom2: version('circom2'), circomlib: version('circomlib') };
}

async function build(
  directory: string,
  circuit: { readonly name: string; readonly source: string },
  { onProgress, signal }: ArtefactOptions,
): Promise<void> {
  onProgress?.({ stage: 'compile', message: `compiling circuit ${circuit.name}` });
  const compiled = await compileCircuit({
    ...circuit,
    directory: join(directory, 'compiler'),
    ...(signal && { signal }),
    onProgress: (message) => onProgress?.({ stage: 'compile', message }),
  });
  const r1cs = await readFile(compiled.r1cs);
  const message = 'making the development proving key (insecure: for development only)';
  onProgress?.({ stage: 'keys', message, fraction: 0 });
  const keys = await makeInsecureDevKeys(r1cs, {
    ...(signal && { signal }),
    onProgress: (fraction) => onProgress?.({ stage: 'keys', message, fraction }),
  });
  const contents: Record<keyof typeof FILES, Uint8Array> = {
    r1cs,
    wasm: await readFile(compiled.wasm),
    zkey: keys.zkey,
    verificationKey: Buffer.from(`${canonicalText(keys.verificationKey)}\n`),
  };
  const files: Record<string, string> = {};
  for (const [kind, bytes] of Object.entries(contents)) {
    const file = FILES[kind as keyof typeof FILES];
    await writeFile(join(directory, file), bytes);
    files[file] = digest(bytes);
  }
  await rm(join(directory, 'compiler'), { recursive: true });
  const manifest: Manifest = {
    format: FORMAT,
    name: circuit.name,
    source: digest(Buffer.from(circuit.source)),
    tools: tools(),
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

/** The cached artefacts, or undefined when they are absent, of other sources or tools, or damaged. */
async function readCached(
  directory: string,
  circuit: { readonly name: string; readonly source: string },
): Promise<CircuitArtefacts | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as Manifest;
    const fresh =
      manifest.format === FORMAT &&
      manifest.name === circuit.name &&
      manifest.source === digest(Buffer.from(circuit.source)) &&
      canonicalText(manifest.tools) === canonicalText(tools());
    if (!fresh) return undefined;
    for (const file of Object.values(FILES)) {
      if (digest(await readFile(join(directory, file))) !== manifest.files[file]) return undefined;
    }
    const text = await readFile(join(directory, FILES.verificationKey), 'utf8');
    const verificationKey = parseVerificationKey(JSON.parse(text));
    return {
      name: circuit.name,
      r1cs: join(directory, FILES.r1cs),
      wasm: join(directory, FILES.wasm),
      zkey: join(directory, FILES.zkey),
      verificationKey,
      verificationKeyHash: verificationKeyHash(verificationKey),
    };
  } catch {
    return undefined;
  }
}
