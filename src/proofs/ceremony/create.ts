import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/hash.ts';
import { toolVersions } from '../tools.ts';
import { type CeremonyCircuit, compileConstraints, sourceHash } from './circuit.ts';
import { checkPhaseOne } from './phase-one.ts';
import { type CeremonyOptions, snarkjs } from './snarkjs.ts';
import { constraintsPath } from './steps.ts';
import { beginTranscript, stepKeyPath, type Transcript, writeTranscript } from './transcript.ts';
import { readCeremonyKey } from './zkey.ts';

/**
 * Begins a ceremony: compiles the circuit, verifies the phase 1 file, and makes the key that has no contribution yet.
 * @param directory a folder that is not there, or empty
 * @param phaseOne a public .ptau file, prepared for phase 2, of 2^power ≥ constraints + public signals + 1
 * @throws GrailError USAGE when the folder holds something; what `checkPhaseOne` and `compileConstraints` throw
 */
export async function createCeremony(
  directory: string,
  circuit: CeremonyCircuit,
  phaseOne: string,
  options: CeremonyOptions = {},
): Promise<Transcript> {
  const target = resolve(directory);
  if ((await readdir(target).catch(() => [])).length > 0) {
    throw new GrailError('USAGE', `${directory} is not empty: a ceremony begins in a folder of its own`);
  }
  const temporary = `${target}.new-${process.pid}`;
  try {
    const phase1 = await checkPhaseOne(phaseOne, options);
    const r1cs = await compileConstraints(circuit, options);
    await mkdir(dirname(target), { recursive: true });
    await mkdir(temporary);
    await writeFile(constraintsPath(temporary), r1cs);
    options.onProgress?.('making the first key');
    const to = stepKeyPath(temporary, 0);
    const { ok, reason } = await snarkjs(
      { type: 'new', r1cs: constraintsPath(temporary), phaseOne, to },
      options,
    );
    if (!ok) {
      const message = `the phase 1 file ${phaseOne} does not fit the circuit: ${reason}`;
      throw new GrailError('CEREMONY_PHASE1', message, { path: phaseOne, power: phase1.power });
    }
    const key = await readCeremonyKey(to);
    const transcript = beginTranscript(
      {
        format: 1,
        circuit: circuit.name,
        spec: circuit.spec,
        sourceSha256: sourceHash(circuit),
        r1csSha256: toHex(sha256(r1cs)),
        circuitHash: toHex(key.circuitHash),
        phase1: { ...phase1, verified: true },
        tools: toolVersions('circom2', 'circomlib', 'snarkjs'),
      },
      key.sha256,
    );
    await writeTranscript(temporary, transcript);
    await rename(temporary, target);
    return transcript;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
