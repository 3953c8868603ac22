import { access, link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { lockFile } from '../../storage/lock.ts';
import { contributionHash } from './contributions.ts';
import { beaconSchema, contributorSchema } from './schemas.ts';
import { type CeremonyOptions, snarkjs } from './snarkjs.ts';
import type { SnarkjsRequest } from './snarkjs-worker.ts';
import { BEACON_NAME, readLastKey } from './steps.ts';
import {
  extendTranscript,
  type NewStep,
  readTranscript,
  stepKeyPath,
  writeTranscript,
} from './transcript.ts';
import { readCeremonyKey } from './zkey.ts';

/** A step that was added to a ceremony. */
export interface AddedStep {
  /** Its place: 1 for the first contribution. */
  readonly step: number;
  /** BLAKE2b-512, 64 bytes: what a contributor keeps and compares with the published key. */
  readonly contributionHash: Hex;
}

/**
 * Adds a contribution: a share of δ from this machine's randomness, which exists only in a process that ends with it.
 * @param entropy a file whose bytes are mixed in, or null
 * @throws GrailError USAGE for a name that is none, NOT_FOUND for an entropy file that is not there, ALREADY_RUNNING, what
 *   `readLastKey` finds wrong with what is there, CHILD_FAILED, STOPPED
 */
export async function contribute(
  directory: string,
  { name, entropy }: { readonly name: string; readonly entropy: string | null },
  options: CeremonyOptions = {},
): Promise<AddedStep> {
  check(contributorSchema.safeParse(name), 'the name');
  if (entropy !== null) {
    await access(entropy).catch((cause: unknown) => {
      throw new GrailError('NOT_FOUND', `${entropy} cannot be read`, { path: entropy }, { cause });
    });
  }
  if (name === BEACON_NAME) throw new GrailError('USAGE', `the name ${BEACON_NAME} is for beacons`);
  return extend(
    directory,
    (from, to) => ({ type: 'contribute', from, to, name, entropy }),
    ({ zkeySha256, hash }) => ({ kind: 'contribution', zkeySha256, name, contributionHash: hash }),
    options,
  );
}

/**
 * Ends a ceremony with a share of δ that follows from a public value, which nobody could know before the last contribution.
 * @param value 16 to 64 bytes of hex with 0x
 * @throws GrailError as `contribute`, and USAGE for a value that is none
 */
export async function addBeacon(
  directory: string,
  beacon: { readonly value: string; readonly iterationsExp: number; readonly source: string },
  options: CeremonyOptions = {},
): Promise<AddedStep> {
  const parsed = beaconSchema.safeParse(beacon);
  check(parsed, 'the beacon');
  const { value, iterationsExp, source } = parsed.data!;
  return extend(
    directory,
    (from, to) => ({ type: 'beacon', from, to, name: BEACON_NAME, value: value.slice(2), iterationsExp }),
    ({ zkeySha256, hash }) => ({
      kind: 'beacon',
      zkeySha256,
      contributionHash: hash,
      value,
      iterationsExp,
      source,
    }),
    options,
  );
}

async function extend(
  directory: string,
  request: (from: string, to: string) => SnarkjsRequest,
  describe: (made: { zkeySha256: Hex; hash: Hex }) => NewStep,
  options: CeremonyOptions,
): Promise<AddedStep> {
  const transcript = await readTranscript(directory);
  const lock = lockFile(join(directory, '.lock'), `the ceremony in ${directory}`);
  const step = transcript.steps.length;
  const to = stepKeyPath(directory, step);
  const temporary = `${to}.new`;
  try {
    if (transcript.steps.at(-1)!.kind === 'beacon') {
      throw new GrailError('USAGE', 'a beacon ended this ceremony: nothing can be added to it');
    }
    await readLastKey(directory, transcript);
    options.onProgress?.('multiplying the key by a new share');
    const { ok, reason } = await snarkjs(request(stepKeyPath(directory, step - 1), temporary), options);
    if (!ok) throw new GrailError('CEREMONY_KEY', `snarkjs could not extend the key: ${reason}`);
    const key = await readCeremonyKey(temporary);
    const hash = contributionHash(key.contributions.at(-1)!);
    const extended = extendTranscript(transcript, describe({ zkeySha256: key.sha256, hash }));
    // A link, because a rename would replace a file that someone else needs.
    await link(temporary, to).catch((cause: unknown) => {
      const message = `${to} is there already, and the transcript does not name it: move it away`;
      throw new GrailError('CEREMONY_TRANSCRIPT', message, { path: to }, { cause });
    });
    await writeTranscript(directory, extended);
    return { step, contributionHash: hash };
  } finally {
    await rm(temporary, { force: true });
    lock.release();
    await rm(join(directory, '.lock'), { force: true });
  }
}

function check(
  result: {
    success: boolean;
    error?: { issues: readonly { message: string; path: PropertyKey[] }[] } | undefined;
  },
  what: string,
): void {
  if (result.success) return;
  const issue = result.error!.issues[0]!;
  throw new GrailError('USAGE', `${[what, ...issue.path.map(String)].join(' ')}: ${issue.message}`);
}
