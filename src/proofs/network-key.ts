import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Genesis } from '../params/genesis.ts';
import { GrailError } from '../protocol/errors.ts';
import { hashFile } from '../storage/node-hash.ts';
import { digest } from './artefact-cache.ts';
import {
  type ArtefactOptions,
  defaultCacheDirectory,
  loadArtefacts,
  loadCompiledCircuit,
  loadVerificationKey,
} from './artefacts.ts';
import { generateCircuit } from './circuit.ts';
import {
  type CeremonyProvenance,
  checkProvenance,
  committedKeys,
  type KeyFile,
  keyFilesOf,
  readKeyFile,
} from './key-file.ts';
import type { ProverFiles } from './prove.ts';
import { circuitSpec } from './spec.ts';
import { checkVerificationKey, type VerificationKey } from './verification-key.ts';

/** Where to look for a network's keys besides the cache and circuits/keys. */
export interface KeySources extends ArtefactOptions {
  /** A key file; nothing else is looked at. */
  readonly keyFile?: string;
  /** A folder of key files that is looked at first, such as a network's own. */
  readonly keyFolder?: string;
}

export interface NetworkKey {
  readonly verificationKey: VerificationKey;
  readonly verificationKeyHash: string;
  /** Where it comes from; null for a development key of which there is no file. */
  readonly file: KeyFile | null;
}

/**
 * The verification key that genesis pins: from a key file, or, on an insecure-dev network, made. It may be used on this network.
 * @throws GrailError KEY_MISMATCH when no key with that hash is found, or a file was altered; KEY_INSECURE when γ = δ, and for a
 *   development key, one without a contribution, or with an unchecked phase 1, unless genesis says `insecureDev`; and as `checkProvenance`
 */
export async function loadNetworkKey(genesis: Genesis, sources: KeySources = {}): Promise<NetworkKey> {
  const spec = circuitSpec(genesis);
  const { name } = generateCircuit(spec);
  const pinned = genesis.proof.verificationKeys[spec.variant] ?? '(none)';
  const { insecureDev } = genesis;
  const file = await findKeyFile(name, pinned, sources);
  const key = file ?? (insecureDev ? await loadVerificationKey(spec, sources) : null);
  if (key === null || (file === null && key.verificationKeyHash !== pinned)) {
    throw missing(name, pinned, sources);
  }
  checkVerificationKey(key.verificationKey, pinned, insecureDev);
  if (file !== null) await checkProvenance(file, insecureDev);
  return { verificationKey: key.verificationKey, verificationKeyHash: key.verificationKeyHash, file };
}

/**
 * What proving for a network takes: the development artefacts, or the compiled circuit with the proving key of the ceremony whose
 * verification key genesis pins.
 * @param sources `provingKey`: the .zkey file, unless it lies in the cache as keys/SHA256.zkey
 * @throws GrailError as `loadNetworkKey`; NOT_FOUND when there is no proving key; KEY_MISMATCH when it is another one, or the
 *   circuit compiles to another constraint system than the ceremony's
 */
export async function loadNetworkProver(
  genesis: Genesis,
  sources: KeySources & { readonly provingKey?: string } = {},
): Promise<ProverFiles & { readonly verificationKey: VerificationKey }> {
  const { file, verificationKey } = await loadNetworkKey(genesis, sources);
  const spec = circuitSpec(genesis);
  if (file?.provenance.kind !== 'ceremony') {
    const artefacts = await loadArtefacts(spec, sources);
    checkVerificationKey(
      artefacts.verificationKey,
      genesis.proof.verificationKeys[spec.variant]!,
      genesis.insecureDev,
    );
    return artefacts;
  }
  const zkey = await findProvingKey(file.provenance, sources);
  const { r1cs, wasm } = await loadCompiledCircuit(generateCircuit(spec), sources);
  checkSame('the constraint system', file.provenance.r1csSha256, digest(await readFile(r1cs)));
  return { wasm, zkey, verificationKey };
}

/** The key file with this hash. An explicit one must have it. */
async function findKeyFile(circuit: string, pinned: string, sources: KeySources): Promise<KeyFile | null> {
  if (sources.keyFile !== undefined) {
    const file = await readKeyFile(sources.keyFile);
    if (file.circuit === circuit) return file;
    throw new GrailError('KEY_MISMATCH', `${sources.keyFile} is the key of another circuit`, {
      expected: circuit,
      got: file.circuit,
    });
  }
  for (const folder of keyFolders(sources)) {
    const found = (await keyFilesOf(circuit, folder)).find(
      ({ verificationKeyHash }) => verificationKeyHash === pinned,
    );
    if (found !== undefined) return found;
  }
  return null;
}

function keyFolders({ keyFolder, cacheDirectory }: KeySources): string[] {
  const cache = join(cacheDirectory ?? defaultCacheDirectory(), 'keys');
  return [...(keyFolder === undefined ? [] : [keyFolder]), cache, committedKeys()];
}

function missing(circuit: string, pinned: string, sources: KeySources): GrailError {
  const folders = keyFolders(sources).join(', ');
  return new GrailError(
    'KEY_MISMATCH',
    `no key file of ${circuit} has the hash that genesis pins, ${pinned}: get it from who runs the network, and put it into one of ${folders}, or give --key`,
    { expected: pinned },
  );
}

async function findProvingKey(
  { zkeySha256 }: CeremonyProvenance,
  sources: KeySources & { readonly provingKey?: string },
): Promise<string> {
  const cached = join(
    sources.cacheDirectory ?? defaultCacheDirectory(),
    'keys',
    `${zkeySha256.slice(2)}.zkey`,
  );
  const path = sources.provingKey ?? cached;
  const hash = await hashFile(path).catch((cause: unknown) => {
    const message =
      sources.provingKey === undefined
        ? `this network's proving key is not here: get the .zkey of its ceremony and give --proving-key FILE, or keep it as ${cached}`
        : `the proving key ${path} cannot be read`;
    throw new GrailError('NOT_FOUND', message, { path }, { cause });
  });
  checkSame(`the proving key ${path}`, zkeySha256, hash);
  return path;
}

function checkSame(what: string, expected: string, got: string): void {
  if (got === expected) return;
  throw new GrailError(
    'KEY_MISMATCH',
    `${what} is not the one of the ceremony that made this network's key`,
    {
      expected,
      got,
    },
  );
}
