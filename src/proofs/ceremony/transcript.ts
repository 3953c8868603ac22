import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hash32Schema } from '../../params/genesis.ts';
import { type Hex, toHex, utf8 } from '../../protocol/bytes.ts';
import { canonicalBytes, canonicalText } from '../../protocol/canonical.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256, tag } from '../../protocol/hash.ts';
import {
  beaconSchema,
  circuitNameSchema,
  circuitSpecSchema,
  contributorSchema,
  hash64Schema,
  toolsSchema,
} from './schemas.ts';

const stepSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('new'), previous: hash32Schema, zkeySha256: hash32Schema }),
  z.strictObject({
    kind: z.literal('contribution'),
    previous: hash32Schema,
    zkeySha256: hash32Schema,
    name: contributorSchema,
    contributionHash: hash64Schema,
  }),
  z.strictObject({
    kind: z.literal('beacon'),
    previous: hash32Schema,
    zkeySha256: hash32Schema,
    contributionHash: hash64Schema,
    ...beaconSchema.shape,
  }),
]);

const headerSchema = z.strictObject({
  format: z.literal(1),
  /** The circuit's name, and the specification that it is generated from; null for a circuit that is not generated. */
  circuit: circuitNameSchema,
  spec: circuitSpecSchema.nullable(),
  /** Of the main file's text, and of the compiled constraint system. */
  sourceSha256: hash32Schema,
  r1csSha256: hash32Schema,
  /** BLAKE2b-512 of the key before any contribution, as snarkjs prints it (Circuit Hash). */
  circuitHash: hash64Schema,
  phase1: z.strictObject({
    sha256: hash32Schema,
    power: z.int().min(1).max(28),
    contributions: z.int().min(1),
    /** Whoever began the ceremony verified it; each `verify` does so again. */
    verified: z.literal(true),
  }),
  tools: toolsSchema,
});

const transcriptSchema = z.strictObject({
  ...headerSchema.shape,
  steps: z.array(stepSchema).min(1).max(1024),
});

export type TranscriptHeader = z.output<typeof headerSchema>;
export type TranscriptStep = z.output<typeof stepSchema>;
export type Transcript = z.output<typeof transcriptSchema>;
/** A step before it has its place in the chain. */
export type NewStep = TranscriptStep extends infer Step
  ? Step extends unknown
    ? Omit<Step, 'previous'>
    : never
  : never;

const FILE = 'transcript.json';
const MAX_BYTES = 4_194_304;

export const transcriptPath = (directory: string) => join(directory, FILE);

/** The proving key after a step: `0000.zkey` has no contribution. */
export const stepKeyPath = (directory: string, step: number) =>
  join(directory, `${String(step).padStart(4, '0')}.zkey`);

/** SHA-256(tag("ceremony") ‖ canonical JSON) of a header or step: what the step after it names. */
function linkHash(value: TranscriptHeader | TranscriptStep): Hex {
  return toHex(sha256(tag('ceremony'), canonicalBytes(value)));
}

function headerOf({ steps: _, ...header }: Transcript): TranscriptHeader {
  return header;
}

/** The hash that the next step names: of the last step, which names all before it. */
export function headHash(transcript: Transcript): Hex {
  return linkHash(transcript.steps.at(-1)!);
}

export function beginTranscript(header: TranscriptHeader, zkeySha256: Hex): Transcript {
  return { ...header, steps: [{ kind: 'new', previous: linkHash(header), zkeySha256 }] };
}

export function extendTranscript(transcript: Transcript, step: NewStep): Transcript {
  return {
    ...transcript,
    steps: [...transcript.steps, { ...step, previous: headHash(transcript) } as TranscriptStep],
  };
}

/**
 * Parses a transcript: canonical JSON (RFC 8785) and a newline, each step naming the one before, a beacon only at the end.
 * @throws GrailError CEREMONY_TRANSCRIPT, or CEREMONY_BEACON for a step after a beacon
 */
export function parseTranscript(text: string): Transcript {
  const altered = (reason: string, step?: number) =>
    new GrailError(
      'CEREMONY_TRANSCRIPT',
      `the transcript is not as it was written: ${reason}; get it again from who had it before you`,
      step === undefined ? {} : { step },
    );
  if (utf8(text).length > MAX_BYTES) throw altered('it is larger than any');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw altered('it is no JSON');
  }
  const result = transcriptSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw altered(`${issue.path.join('.') || 'document'}: ${issue.message}`);
  }
  const transcript = result.data;
  if (!isWrittenAs(transcript, text)) throw altered('it is not canonical JSON');
  let previous = linkHash(headerOf(transcript));
  for (const [index, step] of transcript.steps.entries()) {
    if (step.previous !== previous)
      throw altered(`step ${index} does not follow what stands before it`, index);
    if ((step.kind === 'new') !== (index === 0)) throw altered(`step ${index} is ${step.kind}`, index);
    if (step.kind === 'beacon' && index < transcript.steps.length - 1) {
      throw new GrailError('CEREMONY_BEACON', 'a step follows the beacon, which ends a ceremony', {
        step: index + 1,
      });
    }
    previous = linkHash(step);
  }
  return transcript;
}

function isWrittenAs(transcript: Transcript, text: string): boolean {
  try {
    return `${canonicalText(transcript)}\n` === text;
  } catch {
    // Half a surrogate pair in a name has no canonical form.
    return false;
  }
}

/** @throws GrailError CEREMONY_TRANSCRIPT, CEREMONY_BEACON */
export async function readTranscript(directory: string): Promise<Transcript> {
  const path = transcriptPath(directory);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GrailError(
      'CEREMONY_TRANSCRIPT',
      `${path} is missing: no ceremony is in this folder`,
      { path },
      { cause },
    );
  });
  return parseTranscript(text);
}

export async function writeTranscript(directory: string, transcript: Transcript): Promise<void> {
  const path = transcriptPath(directory);
  await writeFile(`${path}.new`, `${canonicalText(transcript)}\n`, { flush: true });
  await rename(`${path}.new`, path);
}
