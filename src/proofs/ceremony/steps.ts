import { join } from 'node:path';
import { type Hex, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { checkContributions, contributionHash } from './contributions.ts';
import { stepKeyPath, type Transcript } from './transcript.ts';
import { type CeremonyKey, readCeremonyKey } from './zkey.ts';

export const constraintsPath = (directory: string) => join(directory, 'circuit.r1cs');

/**
 * The proving key of a ceremony's last step, checked against its transcript: the file's hash, then each contribution that is in
 * the key, its place and what it proves. What the key's points are is `verifyCeremony`'s to check.
 * @returns the key, and δ·G1 that its contributions lead to
 * @throws GrailError CEREMONY_TRANSCRIPT when a file is missing; CEREMONY_KEY, CEREMONY_CIRCUIT, CEREMONY_CONTRIBUTION, CEREMONY_BEACON
 */
export async function readLastKey(
  directory: string,
  transcript: Transcript,
): Promise<{ readonly key: CeremonyKey; readonly delta: Uint8Array }> {
  const path = stepKeyPath(directory, transcript.steps.length - 1);
  const key = await readCeremonyKey(path);
  checkKeyHash(path, transcript.steps.at(-1)!.zkeySha256, key.sha256);
  return { key, delta: await checkSteps(transcript, key) };
}

export function checkKeyHash(path: string, expected: Hex, got: Hex): void {
  if (expected === got) return;
  throw new GrailError('CEREMONY_KEY', `${path} is not the file of the transcript: get it again`, {
    expected,
    got,
  });
}

/** @returns δ·G1 */
async function checkSteps(transcript: Transcript, key: CeremonyKey): Promise<Uint8Array> {
  const circuitHash = toHex(key.circuitHash);
  if (circuitHash !== transcript.circuitHash) {
    throw new GrailError(
      'CEREMONY_CIRCUIT',
      'the proving key is of another circuit or phase 1 than the transcript',
      {
        expected: transcript.circuitHash,
        got: circuitHash,
      },
    );
  }
  const [, ...steps] = transcript.steps;
  const { contributions } = key;
  if (steps.length !== contributions.length) {
    throw new GrailError(
      'CEREMONY_CONTRIBUTION',
      `the transcript has ${steps.length} contributions, the proving key ${contributions.length}`,
      { expected: steps.length, got: contributions.length },
    );
  }
  for (const [index, step] of steps.entries()) {
    const contribution = contributions[index]!;
    const differs = (what: string, expected: string | number | null, got: string | number | null) =>
      new GrailError(
        step.kind === 'beacon' && contribution.beacon !== null ? 'CEREMONY_BEACON' : 'CEREMONY_CONTRIBUTION',
        `contribution ${index + 1}: its ${what} is not that of the transcript`,
        { contribution: index + 1, expected, got },
      );
    const check = (what: string, expected: string | number | null, got: string | number | null) => {
      if (expected !== got) throw differs(what, expected, got);
    };
    if (step.kind === 'new') throw differs('kind', 'contribution', step.kind);
    check('kind', step.kind, contribution.beacon === null ? 'contribution' : 'beacon');
    check('name', step.kind === 'beacon' ? BEACON_NAME : step.name, contribution.name);
    if (step.kind === 'beacon') {
      check('value', step.value, contribution.beacon!.value);
      check('iterations', step.iterationsExp, contribution.beacon!.iterationsExp);
    }
    check('hash', step.contributionHash, contributionHash(contribution));
  }
  return checkContributions(key.circuitHash, contributions);
}

/** What a beacon is called in a proving key. */
export const BEACON_NAME = 'beacon';
