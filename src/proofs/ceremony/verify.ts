import { readFile } from 'node:fs/promises';
import { type Hex, toHex } from '../../protocol/bytes.ts';
import type { Code } from '../../protocol/codes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/hash.ts';
import { checkVerificationKey, verificationKeyHash } from '../verification-key.ts';
import { type CeremonyCircuit, circuitOf, compileConstraints } from './circuit.ts';
import { checkPhaseOne, hashPhaseOne } from './phase-one.ts';
import { type CeremonyOptions, snarkjs } from './snarkjs.ts';
import { checkKeyHash, constraintsPath, readLastKey } from './steps.ts';
import { headHash, readTranscript, stepKeyPath, type Transcript } from './transcript.ts';
import type { CeremonyKey } from './zkey.ts';

export interface VerifyOptions extends CeremonyOptions {
  /** The phase 1 file, which everyone gets for themselves. */
  readonly phaseOne: string;
  /** The circuit of a transcript that has no specification. */
  readonly circuit?: CeremonyCircuit;
  /** Accepts a ceremony to which nobody has contributed yet: for the first contributor. */
  readonly unfinished?: boolean;
}

/** A ceremony of which everything was checked. */
export interface VerifiedCeremony {
  readonly transcript: Transcript;
  /** Names the transcript as a whole. */
  readonly transcriptHash: Hex;
  /** The key after the last step. */
  readonly key: CeremonyKey;
  readonly zkey: string;
  readonly verificationKeyHash: Hex;
}

/**
 * Checks a ceremony from nothing but its folder, the phase 1 file and these sources: the circuit is compiled again, phase 1
 * and the last key are verified by snarkjs, every contribution in the key by our own code as well, and the transcript is held to them.
 * @throws GrailError CEREMONY_TRANSCRIPT, CEREMONY_CIRCUIT, CEREMONY_PHASE1, CEREMONY_CONTRIBUTION, CEREMONY_BEACON, CEREMONY_KEY: what is
 *   wrong; KEY_INSECURE when nobody contributed; CIRCUIT_UNSOUND, CHILD_FAILED, STOPPED
 */
export async function verifyCeremony(directory: string, options: VerifyOptions): Promise<VerifiedCeremony> {
  const { phaseOne, onProgress } = options;
  const transcript = await readTranscript(directory);
  const { key } = await readLastKey(directory, transcript);
  const contributed = transcript.steps.some(({ kind }) => kind === 'contribution');
  if (!contributed && options.unfinished !== true) {
    // A beacon alone is no contribution: everybody knows its share.
    throw new GrailError(
      'KEY_INSECURE',
      'nobody has contributed to this ceremony, so anyone can forge proofs for its key',
    );
  }
  await checkEarlierKeys(directory, transcript);
  await checkConstraints(directory, transcript, options);
  await checkSamePhaseOne(phaseOne, transcript, options);

  const zkey = stepKeyPath(directory, transcript.steps.length - 1);
  onProgress?.('verifying the key');
  const result = await snarkjs({ type: 'check', r1cs: constraintsPath(directory), phaseOne, zkey }, options);
  if (!result.ok) {
    throw new GrailError(reasonCode(result.reason), `snarkjs refuses the proving key: ${result.reason}`, {
      path: zkey,
    });
  }
  const hash = verificationKeyHash(key.verificationKey);
  if (contributed) checkVerificationKey(key.verificationKey, hash, false);
  return { transcript, transcriptHash: headHash(transcript), key, zkey, verificationKeyHash: hash };
}

/** Which of our codes stands for what snarkjs says. */
function reasonCode(reason: string): Code {
  if (/beacon/i.test(reason)) return 'CEREMONY_BEACON';
  if (/INVALID\(\d+\)/.test(reason)) return 'CEREMONY_CONTRIBUTION';
  if (/circuit/i.test(reason)) return 'CEREMONY_CIRCUIT';
  return 'CEREMONY_KEY';
}

/** Keys of earlier steps need not be passed on; those that are there are the transcript's. */
async function checkEarlierKeys(directory: string, { steps }: Transcript): Promise<void> {
  for (const [index, { zkeySha256 }] of steps.slice(0, -1).entries()) {
    const path = stepKeyPath(directory, index);
    const bytes = await readFile(path).catch(() => null);
    if (bytes !== null) checkKeyHash(path, zkeySha256, toHex(sha256(bytes)));
  }
}

async function checkConstraints(
  directory: string,
  transcript: Transcript,
  options: VerifyOptions,
): Promise<void> {
  const path = constraintsPath(directory);
  const given = await readFile(path).catch((cause: unknown) => {
    throw new GrailError(
      'CEREMONY_TRANSCRIPT',
      `${path} is missing: get it with the transcript`,
      { path },
      { cause },
    );
  });
  const compiled = await compileConstraints(circuitOf(transcript, options.circuit), options);
  const expected = toHex(sha256(compiled));
  for (const [what, got] of [
    ['the transcript', transcript.r1csSha256],
    [path, toHex(sha256(given))],
  ] as const) {
    if (got !== expected) {
      const message = `${what} has another constraint system than ${transcript.circuit} compiles to`;
      throw new GrailError('CEREMONY_CIRCUIT', message, { expected, got });
    }
  }
}

async function checkSamePhaseOne(
  path: string,
  { phase1 }: Transcript,
  options: CeremonyOptions,
): Promise<void> {
  const sha256 = await hashPhaseOne(path);
  if (sha256 !== phase1.sha256) {
    throw new GrailError(
      'CEREMONY_PHASE1',
      `${path} is not the phase 1 file of this ceremony, or was altered`,
      {
        expected: phase1.sha256,
        got: sha256,
      },
    );
  }
  const { power, contributions } = await checkPhaseOne(path, options);
  if (power !== phase1.power || contributions !== phase1.contributions) {
    throw new GrailError(
      'CEREMONY_TRANSCRIPT',
      'the transcript says something else of the phase 1 file than the file',
      {
        expected: [power, contributions],
        got: [phase1.power, phase1.contributions],
      },
    );
  }
}
