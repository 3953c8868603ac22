import { readFile, writeFile } from 'node:fs/promises';
import { blake2b } from '@noble/hashes/blake2.js';
import { ChaCha, type Group } from 'ffjavascript';
import {
  beginTranscript,
  extendTranscript,
  stepKeyPath,
  type Transcript,
  type TranscriptStep,
  writeTranscript,
} from '../../src/proofs/ceremony/transcript.ts';
import { readCeremonyKey } from '../../src/proofs/ceremony/zkey.ts';
import { bn254 } from '../../src/proofs/curve.ts';
import { inverse } from '../../src/proofs/fields.ts';
import { concat, toHex, u32 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';

/** The parts of a contribution as they lie in a .zkey file. */
export interface RawContribution {
  deltaAfter: Uint8Array;
  s: Uint8Array;
  sx: Uint8Array;
  spx: Uint8Array;
  transcript: Uint8Array;
  /** Type, length, parameters. */
  rest: Uint8Array;
}

const PARTS = { deltaAfter: 64, s: 64, sx: 64, spx: 128, transcript: 64 } as const;

const littleEndian = (value: number) => u32(value).reverse();

/** Alters a transcript, names the files that are there now, and chains its steps again: what a careful forger does. */
export async function forgeTranscript(
  directory: string,
  edit: (transcript: { -readonly [Key in keyof Transcript]: Transcript[Key] }) => void,
): Promise<void> {
  const transcript = JSON.parse(await readFile(`${directory}/transcript.json`, 'utf8')) as Transcript;
  edit(transcript);
  const { steps, ...header } = transcript;
  const hashes = await Promise.all(
    steps.map(async (_, index) => toHex(sha256(await readFile(stepKeyPath(directory, index))))),
  );
  let forged = beginTranscript(header, hashes[0]!);
  for (const [index, step] of steps.slice(1).entries()) {
    forged = extendTranscript(forged, { ...step, zkeySha256: hashes[index + 1]! } as TranscriptStep);
  }
  await writeTranscript(directory, forged);
}

/** Where a section of a snarkjs file lies. */
function sectionAt(bytes: Uint8Array, wanted: number): { start: number; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; ; ) {
    const end = at + 12 + Number(view.getBigUint64(at + 4, true));
    if (view.getUint32(at, true) === wanted) return { start: at + 12, end };
    at = end;
  }
}

/** Alters the bytes of a section of a snarkjs file. */
export async function forgeSection(
  path: string,
  id: number,
  edit: (section: Uint8Array) => void,
): Promise<void> {
  const bytes = new Uint8Array(await readFile(path));
  const { start, end } = sectionAt(bytes, id);
  edit(bytes.subarray(start, end));
  await writeFile(path, bytes);
}

/** Alters the list of contributions of a .zkey file. */
export async function forgeContributions(
  path: string,
  edit: (contributions: RawContribution[]) => void,
): Promise<void> {
  const bytes = new Uint8Array(await readFile(path));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { start, end } = sectionAt(bytes, 10);
  const contributions: RawContribution[] = [];
  for (let at = start + 68; at < end; ) {
    const raw: Partial<RawContribution> = {};
    for (const [part, length] of Object.entries(PARTS)) {
      raw[part as keyof typeof PARTS] = bytes.slice(at, at + length);
      at += length;
    }
    const length = 8 + view.getUint32(at + 4, true);
    contributions.push({ ...raw, rest: bytes.slice(at, at + length) } as RawContribution);
    at += length;
  }
  edit(contributions);
  const body = concat(
    bytes.subarray(start, start + 64),
    littleEndian(contributions.length),
    ...contributions.flatMap(({ deltaAfter, s, sx, spx, transcript, rest }) => [
      deltaAfter,
      s,
      sx,
      spx,
      transcript,
      rest,
    ]),
  );
  const head = concat(littleEndian(10), littleEndian(body.length), littleEndian(0));
  await writeFile(path, concat(bytes.subarray(0, start - 12), head, body, bytes.subarray(end)));
}

/** What whoever makes a contribution may lie about. Scalars are known to it. */
export interface ForgedShare {
  /** The .zkey file whose points are multiplied. */
  readonly base: string;
  /** By what they are multiplied. */
  readonly share: bigint;
  /** x of s·x and of sp·x, honestly the share. */
  readonly s: bigint;
  readonly sp: bigint;
  /** What sp is drawn from, instead of the hash that it must be. */
  readonly transcript?: Uint8Array;
}

/**
 * Replaces the last contribution of a .zkey file by one with known numbers: δ and the points that it divides are those of
 * `base` times the share, and the record is made as snarkjs makes it.
 */
export async function forgeShare(path: string, forged: ForgedShare): Promise<void> {
  const { base, share, s, sp } = forged;
  const curve = await bn254();
  const { G1, G2 } = curve;
  const previous = await readCeremonyKey(path);
  const key = new Uint8Array(await readFile(base));
  const multiply = (group: Group, size: number, at: number, scalar: bigint) => {
    const point = group.toAffine(group.timesScalar(key.slice(at, at + size), scalar));
    key.set(point, at);
    return point;
  };
  const header = sectionAt(key, 2).start + 84;
  const deltaAfter = multiply(G1, 64, header + 384, share);
  multiply(G2, 128, header + 448, share);
  for (const id of [8, 9]) {
    const { start, end } = sectionAt(key, id);
    for (let at = start; at < end; at += 64) multiply(G1, 64, at, inverse(share));
  }
  const base1 = G1.toAffine(G1.timesScalar(G1.g, 3n));
  const sx = G1.toAffine(G1.timesScalar(base1, s));
  const before = previous.contributions.slice(0, -1).map(({ record }) => record);
  const due = concat(previous.circuitHash, ...before, G1.toUncompressed(base1), G1.toUncompressed(sx));
  const transcript = forged.transcript ?? blake2b(due, { dkLen: 64 });
  const view = new DataView(transcript.buffer, transcript.byteOffset);
  const drawn = G2.fromRng(new ChaCha(Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i))));
  const spx = G2.toAffine(G2.timesScalar(drawn, sp));
  await forgeContributions(path, (list) => {
    Object.assign(list.at(-1)!, { deltaAfter, s: base1, sx, spx, transcript });
  });
  // The list of contributions of the one, everything else of the other.
  const listed = new Uint8Array(await readFile(path));
  const from = sectionAt(listed, 10);
  const to = sectionAt(key, 10);
  await writeFile(
    path,
    concat(key.subarray(0, to.start - 12), listed.subarray(from.start - 12, from.end), key.subarray(to.end)),
  );
}
