import { type FileHandle, open } from 'node:fs/promises';
import { equalBytes, type Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { hashFile } from '../../storage/node-hash.ts';
import { bn254 } from '../curve.ts';
import { insecureDevSecrets } from '../development-keys.ts';
import { BASE_FIELD, readField } from '../fields.ts';
import { type CeremonyOptions, snarkjs } from './snarkjs.ts';

/** What the transcript says of a phase 1 file. */
export interface PhaseOne {
  readonly sha256: Hex;
  /** Circuits of up to 2^power constraints fit. */
  readonly power: number;
  readonly contributions: number;
}

/** Sections that `snarkjs powersoftau prepare phase2` adds. */
const PREPARED = [12, 13, 14, 15];

/**
 * Checks a phase 1 file (powers of τ, snarkjs' .ptau) from beginning to end: all its contributions and all its powers. Seconds for
 * 2^8, minutes for the sizes of real circuits.
 * @throws GrailError CEREMONY_PHASE1 when it cannot be used, with what to do; KEY_INSECURE when its secrets are those of
 *   the development setup; CHILD_FAILED, STOPPED
 */
export async function checkPhaseOne(path: string, options: CeremonyOptions = {}): Promise<PhaseOne> {
  const header = await readHeader(path);
  options.onProgress?.('verifying the phase 1 file');
  const { ok, reason } = await snarkjs({ type: 'check-phase-one', phaseOne: path }, options);
  if (!ok) throw unusable(path, reason);
  return { sha256: await hashPhaseOne(path), ...header };
}

/** The file's hash. @throws GrailError CEREMONY_PHASE1 when it cannot be read */
export function hashPhaseOne(path: string): Promise<Hex> {
  return hashFile(path).catch((cause: unknown) => {
    throw unusable(path, 'it cannot be read', cause);
  });
}

async function readHeader(path: string): Promise<{ power: number; contributions: number }> {
  const file = await open(path).catch((cause: unknown) => {
    throw unusable(path, 'it cannot be read', cause);
  });
  try {
    const sections = await sectionsOf(file, path);
    const header = await read(file, sections.get(1) ?? 0, 44);
    if (header.getUint32(0, true) !== 32 || readField(header, 4) !== BASE_FIELD) {
      throw unusable(path, 'it is not over BN254');
    }
    await refuseDevelopment(file, sections);
    if (!PREPARED.every((id) => sections.has(id))) {
      throw new GrailError(
        'CEREMONY_PHASE1',
        `${path} is not prepared for phase 2: run npx snarkjs powersoftau prepare phase2 ${path} prepared.ptau, and take prepared.ptau`,
        { path },
      );
    }
    return {
      power: header.getUint32(36, true),
      contributions: (await read(file, sections.get(7)!, 4)).getUint32(0, true),
    };
  } catch (error) {
    if (error instanceof GrailError) throw error;
    throw unusable(path, 'it is truncated or no .ptau file', error);
  } finally {
    await file.close();
  }
}

/** Where the sections of a .ptau file begin. */
async function sectionsOf(file: FileHandle, path: string): Promise<Map<number, number>> {
  const { size } = await file.stat();
  const head = await read(file, 0, 12);
  if (head.getUint32(0, false) !== 0x70746175) throw unusable(path, 'it is no .ptau file');
  const sections = new Map<number, number>();
  let at = 12;
  for (let count = head.getUint32(8, true); count > 0; count--) {
    const section = await read(file, at, 12);
    const id = section.getUint32(0, true);
    if (sections.has(id)) throw unusable(path, 'it has a section twice');
    sections.set(id, at + 12);
    at += 12 + Number(section.getBigUint64(4, true));
    if (at > size) throw unusable(path, 'it is truncated');
  }
  for (let id = 1; id <= 7; id++) if (!sections.has(id)) throw unusable(path, `section ${id} is missing`);
  return sections;
}

/** @throws GrailError KEY_INSECURE when τ, α or β is the development setup's: everybody knows it. */
async function refuseDevelopment(file: FileHandle, sections: Map<number, number>): Promise<void> {
  const { G1 } = await bn254();
  const { tau, alpha, beta } = insecureDevSecrets();
  for (const [name, secret, at] of [
    ['τ', tau, sections.get(2)! + 64],
    ['α', alpha, sections.get(4)!],
    ['β', beta, sections.get(5)!],
  ] as const) {
    const { buffer } = await read(file, at, 64);
    if (equalBytes(new Uint8Array(buffer), G1.toAffine(G1.timesScalar(G1.g, secret)))) {
      throw new GrailError(
        'KEY_INSECURE',
        `${name} of this phase 1 is that of the development setup, which everybody knows`,
      );
    }
  }
}

async function read(file: FileHandle, position: number, length: number): Promise<DataView<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  const { bytesRead } = await file.read(bytes, 0, length, position);
  if (bytesRead !== length) throw new RangeError('the file is truncated');
  return new DataView(bytes.buffer);
}

function unusable(path: string, reason: string, cause?: unknown): GrailError {
  return new GrailError(
    'CEREMONY_PHASE1',
    `the phase 1 file ${path} cannot be used: ${reason}`,
    { path },
    { cause },
  );
}
