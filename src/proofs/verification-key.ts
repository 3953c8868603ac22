import * as z from 'zod';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';

/** A point of G1 as snarkjs writes it: projective, decimal. */
export type PointG1 = readonly [string, string, string];
/** A point of G2: each coordinate is [c0, c1]. */
export type PointG2 = readonly [
  readonly [string, string],
  readonly [string, string],
  readonly [string, string],
];

/** A Groth16 verification key, field by field as snarkjs exports it. */
export interface VerificationKey {
  readonly protocol: 'groth16';
  readonly curve: 'bn128';
  readonly nPublic: number;
  readonly vk_alpha_1: PointG1;
  readonly vk_beta_2: PointG2;
  readonly vk_gamma_2: PointG2;
  readonly vk_delta_2: PointG2;
  /** e(α, β): redundant, and recomputed rather than trusted; kept because snarkjs has it. */
  readonly vk_alphabeta_12: readonly (readonly (readonly [string, string])[])[];
  /** nPublic + 1 points. */
  readonly IC: readonly PointG1[];
}

const decimal = z.string().regex(/^(?:0|[1-9][0-9]{0,76})$/, 'expected a decimal number');
const pair = z.tuple([decimal, decimal]);
const pointG1 = z.tuple([decimal, decimal, z.literal('1')]);
const pointG2 = z.tuple([pair, pair, z.tuple([z.literal('1'), z.literal('0')])]);

const verificationKeySchema: z.ZodType<VerificationKey> = z.strictObject({
  protocol: z.literal('groth16'),
  curve: z.literal('bn128'),
  nPublic: z.int().min(1).max(65_536),
  vk_alpha_1: pointG1,
  vk_beta_2: pointG2,
  vk_gamma_2: pointG2,
  vk_delta_2: pointG2,
  vk_alphabeta_12: z.tuple([z.tuple([pair, pair, pair]), z.tuple([pair, pair, pair])]),
  IC: z.array(pointG1).min(2).max(65_537),
});

/**
 * Checks the shape of a key; whether its points are on their curves is `createVerifier`'s check.
 * @throws GrailError KEY_MISMATCH naming the first field that is wrong.
 */
export function parseVerificationKey(value: unknown): VerificationKey {
  const result = verificationKeySchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = issue.path.join('.') || 'key';
  throw unusableKey(`${field}: ${issue.message}`, field);
}

/** The error for a key that no verifier can use. */
export function unusableKey(reason: string, field: string): GrailError {
  return new GrailError('KEY_MISMATCH', `the verification key is unusable: ${reason}; fetch it again`, {
    field,
  });
}

/**
 * x of α·G1 in every development key. Whoever holds such a key's toxic waste, which is to say everybody, can prove
 * anything; so it is recognised by its numbers, whatever a file beside it claims.
 */
export const DEVELOPMENT_ALPHA_X =
  1851521979600385113882472218105849982928559032256064201944055156172839520582n;

/** SHA-256 over the canonical JSON (RFC 8785) of the key: what genesis pins. */
export function verificationKeyHash(key: VerificationKey): Hex {
  return toHex(sha256(canonicalBytes(key)));
}

/** Whether the key comes from the development setup, whose secrets are public. */
export function isDevelopmentKey(key: VerificationKey): boolean {
  return BigInt(key.vk_alpha_1[0]) === DEVELOPMENT_ALPHA_X;
}

/**
 * Checks that a key may be used on a network.
 * @param pinnedHash SHA-256 of the key as genesis names it
 * @param insecureDev whether genesis says `insecureDev`
 * @throws GrailError KEY_MISMATCH when it is malformed or not the pinned key; KEY_INSECURE when γ = δ (no contribution was made, so
 *   anyone can forge), or for a development key on a network that is not insecure-dev.
 */
export function checkVerificationKey(key: VerificationKey, pinnedHash: string, insecureDev: boolean): void {
  parseVerificationKey(key);
  const hash = verificationKeyHash(key);
  if (hash !== pinnedHash) {
    throw new GrailError(
      'KEY_MISMATCH',
      `the verification key's hash is ${hash}, but genesis pins ${pinnedHash}: delete the cached key, or check which network this is`,
      { expected: pinnedHash, got: hash },
    );
  }
  if (JSON.stringify(key.vk_gamma_2) === JSON.stringify(key.vk_delta_2)) {
    throw new GrailError('KEY_INSECURE', 'γ = δ: nobody contributed to this key, so anyone can forge proofs');
  }
  if (!insecureDev && isDevelopmentKey(key)) {
    throw new GrailError(
      'KEY_INSECURE',
      'a development key on a network that is not insecure-dev: its secrets are public; use a key from a ceremony',
    );
  }
}
