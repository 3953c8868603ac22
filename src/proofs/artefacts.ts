import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalText } from '../protocol/canonical.ts';
import {
  type ArtefactOptions,
  type ArtefactSet,
  compilerVersions,
  digest,
  loadCached,
  type NamedCircuit,
  readCached,
} from './artefact-cache.ts';
import { generateCircuit } from './circuit.ts';
import { compileCircuit } from './compile.ts';
import { makeInsecureDevKeys } from './development-keys.ts';
import { committedKeys, type KeyFile, keyFilesOf, writeKeyFile } from './key-file.ts';
import type { CircuitSpec } from './types.ts';
import { parseVerificationKey, type VerificationKey, verificationKeyHash } from './verification-key.ts';

export { type ArtefactOptions, type ArtefactProgress, defaultCacheDirectory } from './artefact-cache.ts';

/** Paths of a circuit's constraint system and witness generator. */
export interface CompiledArtefacts {
  readonly r1cs: string;
  readonly wasm: string;
}

/** What proving and verifying with one circuit needs. */
export interface CircuitArtefacts extends CompiledArtefacts {
  /** The circuit's name: it contains a hash of everything that the circuit is made of. */
  readonly name: string;
  /** Path of the development proving key. */
  readonly zkey: string;
  readonly verificationKey: VerificationKey;
  /** SHA-256 of the canonical verification key: what genesis pins. */
  readonly verificationKeyHash: string;
}

export interface Artefacts extends CircuitArtefacts {
  readonly spec: CircuitSpec;
}

const COMPILED: ArtefactSet<'r1cs' | 'wasm'> = {
  suffix: '-compiled',
  what: 'the circuit',
  files: { r1cs: 'circuit.r1cs', wasm: 'circuit.wasm' },
  build: compile,
};

const KEYED: ArtefactSet<'r1cs' | 'wasm' | 'zkey' | 'verificationKey'> = {
  suffix: '',
  what: 'the proving key',
  files: {
    ...COMPILED.files,
    zkey: 'insecure-dev.zkey',
    verificationKey: 'insecure-dev.verification-key.json',
  },
  async build(directory, circuit, options) {
    const { onProgress, signal } = options;
    const compiled = await compile(directory, circuit, options);
    const message = 'making the development proving key (insecure: for development only)';
    onProgress?.({ stage: 'keys', message, fraction: 0 });
    const keys = await makeInsecureDevKeys(compiled.r1cs, {
      ...(signal && { signal }),
      onProgress: (fraction) => onProgress?.({ stage: 'keys', message, fraction }),
    });
    return {
      ...compiled,
      zkey: keys.zkey,
      verificationKey: Buffer.from(`${canonicalText(keys.verificationKey)}\n`),
    };
  },
};

async function compile(
  directory: string,
  circuit: NamedCircuit,
  { onProgress, signal }: ArtefactOptions,
): Promise<{ r1cs: Uint8Array; wasm: Uint8Array }> {
  onProgress?.({ stage: 'compile', message: `compiling circuit ${circuit.name}` });
  const compiled = await compileCircuit({
    ...circuit,
    directory,
    ...(signal && { signal }),
    onProgress: (message) => onProgress?.({ stage: 'compile', message }),
  });
  return { r1cs: await readFile(compiled.r1cs), wasm: await readFile(compiled.wasm) };
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
  circuit: NamedCircuit,
  options: ArtefactOptions = {},
): Promise<CircuitArtefacts> {
  const paths = await loadCached(KEYED, circuit, options);
  const verificationKey = parseVerificationKey(JSON.parse(await readFile(paths.verificationKey, 'utf8')));
  return {
    ...paths,
    name: circuit.name,
    verificationKey,
    verificationKeyHash: verificationKeyHash(verificationKey),
  };
}

/** A compiled circuit without keys: what is needed beside the key of a ceremony. @throws GrailError as `loadArtefacts` */
export async function loadCompiledCircuit(
  circuit: NamedCircuit,
  options: ArtefactOptions = {},
): Promise<CompiledArtefacts> {
  return (await readCached(KEYED, circuit, options)) ?? loadCached(COMPILED, circuit, options);
}

/**
 * Only the development verification key of a specification: from circuits/keys when it is committed there, from the cache,
 * or by making all artefacts.
 * @throws GrailError as `loadArtefacts`, and KEY_MISMATCH when the committed key is not the one that its file names
 */
export async function loadVerificationKey(
  spec: CircuitSpec,
  options: ArtefactOptions & { readonly committedKeys?: string } = {},
): Promise<{ readonly verificationKey: VerificationKey; readonly verificationKeyHash: string }> {
  const files = await keyFilesOf(generateCircuit(spec).name, options.committedKeys ?? committedKeys());
  const committed = files.find(({ provenance }) => provenance.kind === 'insecure-dev');
  if (committed === undefined) return loadArtefacts(spec, options);
  const { verificationKey, verificationKeyHash } = committed;
  return { verificationKey, verificationKeyHash };
}

/** Writes the key of an artefact set to circuits/keys (or `folder`), for committing. Returns the path. */
export async function writeCommittedKey(artefacts: Artefacts, folder = committedKeys()): Promise<string> {
  const committed: KeyFile = {
    circuit: artefacts.name,
    spec: artefacts.spec,
    verificationKeyHash: verificationKeyHash(artefacts.verificationKey),
    provenance: {
      kind: 'insecure-dev',
      note: 'Made by the development setup, whose secrets are public: anyone can forge proofs for this key.',
      tools: compilerVersions(),
      r1csSha256: digest(await readFile(artefacts.r1cs)),
      zkeySha256: digest(await readFile(artefacts.zkey)),
    },
    verificationKey: artefacts.verificationKey,
  };
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${artefacts.name}.json`);
  await writeKeyFile(path, committed);
  return path;
}
