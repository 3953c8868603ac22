import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Hex, toHex, utf8 } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/hash.ts';
import { generateCircuit } from '../circuit.ts';
import { compileCircuit } from '../compile.ts';
import type { CircuitSpec } from '../types.ts';
import type { CeremonyOptions } from './snarkjs.ts';
import type { Transcript } from './transcript.ts';

/** What a ceremony makes keys for. */
export interface CeremonyCircuit {
  readonly name: string;
  readonly source: string;
  /** From which it is generated; null for a circuit that is not. */
  readonly spec: CircuitSpec | null;
}

export function ceremonyCircuit(spec: CircuitSpec): CeremonyCircuit {
  const { name, source } = generateCircuit(spec);
  return { name, source, spec };
}

export const sourceHash = ({ source }: CeremonyCircuit): Hex => toHex(sha256(utf8(source)));

/** The constraint system of a circuit, compiled now. @throws GrailError CIRCUIT_UNSOUND, CHILD_FAILED, STOPPED */
export async function compileConstraints(
  { name, source }: CeremonyCircuit,
  { onProgress, signal }: CeremonyOptions = {},
): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'grail-ceremony-'));
  try {
    onProgress?.(`compiling circuit ${name}`);
    const compiled = await compileCircuit({ name, source, directory, ...(signal && { signal }) });
    return new Uint8Array(await readFile(compiled.r1cs));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The circuit that a transcript names, generated from its specification.
 * @param given the circuit of a transcript that has no specification
 * @throws GrailError CEREMONY_CIRCUIT when these sources give another circuit
 */
export function circuitOf(transcript: Transcript, given?: CeremonyCircuit): CeremonyCircuit {
  const circuit = transcript.spec === null ? given : ceremonyCircuit(transcript.spec);
  if (circuit?.name === transcript.circuit && sourceHash(circuit) === transcript.sourceSha256) return circuit;
  throw new GrailError(
    'CEREMONY_CIRCUIT',
    `these sources do not give the circuit ${transcript.circuit}: take the version of grail with which the ceremony began`,
    { expected: transcript.circuit, got: circuit?.name ?? null },
  );
}
