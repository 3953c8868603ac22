import { join } from 'node:path';
import { toHex } from '../../protocol/bytes.ts';
import {
  type CeremonyProvenance,
  checkProvenance,
  type KeyFile,
  readKeyFile,
  writeKeyFile,
} from '../key-file.ts';
import type { Transcript } from './transcript.ts';
import { type VerifiedCeremony, type VerifyOptions, verifyCeremony } from './verify.ts';

/** An exported key, and the ceremony that it is from. */
export interface ExportedKey {
  readonly path: string;
  readonly file: KeyFile;
  readonly ceremony: VerifiedCeremony;
}

/**
 * Verifies a ceremony from scratch and writes its verification key with where it comes from, as circuits/keys holds them.
 * @param out the key file; null is DIRECTORY/CIRCUIT.json
 * @throws GrailError as `verifyCeremony`; KEY_INSECURE when nobody contributed
 */
export async function exportKey(
  directory: string,
  out: string | null,
  options: Omit<VerifyOptions, 'unfinished'>,
): Promise<ExportedKey> {
  const ceremony = await verifyCeremony(directory, { ...options, unfinished: false });
  const { transcript, key } = ceremony;
  const path = out ?? join(directory, `${transcript.circuit}.json`);
  await writeKeyFile(path, {
    circuit: transcript.circuit,
    spec: transcript.spec,
    verificationKeyHash: ceremony.verificationKeyHash,
    provenance: {
      kind: 'ceremony',
      note: 'Made by a ceremony; docs/guides/ceremony.md says how to verify it. Secure if one contributor forgot its share.',
      tools: transcript.tools,
      r1csSha256: transcript.r1csSha256,
      zkeySha256: key.sha256,
      circuitHash: transcript.circuitHash,
      phase1: transcript.phase1,
      transcriptHash: ceremony.transcriptHash,
      contributions: contributionsOf(transcript, ceremony),
    },
    verificationKey: key.verificationKey,
  });
  const file = await readKeyFile(path);
  await checkProvenance(file, false);
  return { path, file, ceremony };
}

function contributionsOf({ steps }: Transcript, { key }: VerifiedCeremony) {
  const records = key.contributions.map(({ record }) => toHex(record));
  return steps.slice(1).flatMap((step, index): CeremonyProvenance['contributions'] => {
    const record = records[index]!;
    if (step.kind === 'contribution') {
      return [{ kind: step.kind, name: step.name, hash: step.contributionHash, record }];
    }
    if (step.kind === 'beacon') {
      const { value, iterationsExp, source } = step;
      return [{ kind: step.kind, value, iterationsExp, source, hash: step.contributionHash, record }];
    }
    return [];
  });
}
