import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hash32Schema } from '../params/genesis.ts';
import { fromHex, type Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { packageRoot } from '../storage/package-root.ts';
import { checkContributions, contributionHash, RECORD_BYTES, sameRatio } from './ceremony/contributions.ts';
import {
  beaconSchema,
  circuitNameSchema,
  circuitSpecSchema,
  contributorSchema,
  hash64Schema,
  hexSchema,
  toolsSchema,
} from './ceremony/schemas.ts';
import { bn254 } from './curve.ts';
import type { CircuitSpec } from './types.ts';
import {
  isDevelopmentKey,
  parseVerificationKey,
  type VerificationKey,
  verificationKeyHash,
} from './verification-key.ts';

const made = {
  note: z.string().max(1000),
  tools: toolsSchema,
  r1csSha256: hash32Schema,
  zkeySha256: hash32Schema,
};

const contribution = { hash: hash64Schema, record: hexSchema(RECORD_BYTES) };

const provenanceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('insecure-dev'), ...made }),
  z.strictObject({
    kind: z.literal('ceremony'),
    ...made,
    circuitHash: hash64Schema,
    phase1: z.strictObject({
      sha256: hash32Schema,
      power: z.int().min(1).max(28),
      contributions: z.int().min(0),
      verified: z.boolean(),
    }),
    /** Of the transcript's last step, which names all before it. */
    transcriptHash: hash32Schema,
    contributions: z
      .array(
        z.discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('contribution'), name: contributorSchema, ...contribution }),
          z.strictObject({ kind: z.literal('beacon'), ...beaconSchema.shape, ...contribution }),
        ]),
      )
      .max(1024),
  }),
]);

export type Provenance = z.output<typeof provenanceSchema>;
export type CeremonyProvenance = Extract<Provenance, { kind: 'ceremony' }>;

/** A verification key in a file, with where it comes from (circuits/keys/README.md). */
export interface KeyFile {
  readonly circuit: string;
  /** Null for a circuit that is not generated from one. */
  readonly spec: CircuitSpec | null;
  readonly verificationKeyHash: Hex;
  readonly provenance: Provenance;
  readonly verificationKey: VerificationKey;
}

const keyFileSchema = z.strictObject({
  circuit: circuitNameSchema,
  spec: circuitSpecSchema.nullable(),
  verificationKeyHash: hash32Schema,
  provenance: provenanceSchema,
  verificationKey: z.unknown(),
});

export const committedKeys = () => join(packageRoot(), 'circuits', 'keys');

/**
 * Reads a key file and checks that its key is the one that it names. Where the key comes from is `checkProvenance`'s to check.
 * @throws GrailError NOT_FOUND, or KEY_MISMATCH when the file was altered
 */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GrailError('NOT_FOUND', `the key file ${path} cannot be read`, { path }, { cause });
  });
  const altered = (reason: string, details = {}) =>
    new GrailError('KEY_MISMATCH', `the key file ${path} was altered: ${reason}; restore it`, {
      path,
      ...details,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw altered('it is no JSON');
  }
  const parsed = keyFileSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw altered(`${issue.path.join('.') || 'document'}: ${issue.message}`);
  }
  const file: KeyFile = {
    ...parsed.data,
    verificationKey: parseVerificationKey(parsed.data.verificationKey),
  };
  const hash = verificationKeyHash(file.verificationKey);
  if (hash !== file.verificationKeyHash) {
    throw altered('its key has another hash', { expected: file.verificationKeyHash, got: hash });
  }
  return file;
}

export async function writeKeyFile(path: string, file: KeyFile): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(file, null, 2)}\n`);
  await rename(`${path}.new`, path);
}

/**
 * The key files of a circuit in a folder: NAME.json and NAME.ANYTHING.json, in the order of their names.
 * @throws GrailError KEY_MISMATCH when one of them was altered
 */
export async function keyFilesOf(circuit: string, folder: string): Promise<KeyFile[]> {
  const entries = await readdir(folder).catch(() => [] as string[]);
  const names = entries.filter((entry) => entry.startsWith(`${circuit}.`) && entry.endsWith('.json')).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = await readKeyFile(join(folder, name));
      if (file.circuit === circuit) return file;
      throw new GrailError('KEY_MISMATCH', `${join(folder, name)} is the key of ${file.circuit}: rename it`, {
        expected: circuit,
        got: file.circuit,
      });
    }),
  );
}

/**
 * Checks that a key may be used on a network that is not insecure-dev, and that what its file says of contributions is true: each
 * is a proof of knowledge of a share, in its place, and the shares lead to the key's δ.
 * @param insecureDev whether genesis says `insecureDev`, which accepts a key that may be known
 * @throws GrailError KEY_INSECURE for a development key, one without a contribution (a beacon alone is none), or one whose phase 1 was
 *   not verified; CEREMONY_CONTRIBUTION for a record that proves nothing; KEY_MISMATCH when it does not lead to the key
 */
export async function checkProvenance(file: KeyFile, insecureDev: boolean): Promise<void> {
  const { provenance, verificationKey } = file;
  const insecure = (reason: string) => {
    if (!insecureDev) {
      throw new GrailError('KEY_INSECURE', `${reason}; use a key from a ceremony (docs/guides/ceremony.md)`, {
        circuit: file.circuit,
      });
    }
  };
  if (isDevelopmentKey(verificationKey) || provenance.kind === 'insecure-dev') {
    insecure('a development key on a network that is not insecure-dev: its secrets are public');
  }
  if (provenance.kind === 'insecure-dev') return;
  const { contributions, phase1, circuitHash } = provenance;
  if (!phase1.verified) insecure('the key’s phase 1 was not verified: whoever made it may know its secrets');
  if (!contributions.some(({ kind }) => kind === 'contribution')) {
    insecure('nobody contributed to this key, so anyone can forge proofs');
  }
  const records = contributions.map(({ record }) => ({ record: fromHex(record) }));
  for (const [index, record] of records.entries()) {
    const got = contributionHash(record);
    const expected = contributions[index]!.hash;
    if (got !== expected) {
      throw new GrailError(
        'CEREMONY_CONTRIBUTION',
        `contribution ${index + 1} of the key file has another hash`,
        {
          contribution: index + 1,
          expected,
          got,
        },
      );
    }
  }
  const delta = await checkContributions(fromHex(circuitHash), records);
  const curve = await bn254();
  const { G1, G2 } = curve;
  const [x, y] = verificationKey.vk_delta_2.map((pair) => pair.map(BigInt));
  if (!sameRatio(curve, G1.g, G1.fromRprUncompressed(delta, 0), G2.g, G2.fromObject([x, y]))) {
    throw new GrailError('KEY_MISMATCH', 'the contributions in the key file do not lead to its key', {
      circuit: file.circuit,
    });
  }
}
