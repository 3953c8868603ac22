import { z } from 'zod';
import { addressSchema, hash32Schema } from '../../params/genesis.ts';
import { type Hex, toHex } from '../../protocol/bytes.ts';
import { canonicalBytes } from '../../protocol/canonical.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256, tag } from '../../protocol/hash.ts';
import { recover } from '../../protocol/identity.ts';

/** One link of a publisher's log: what a blob leads from and to, signed (docs/PROTOCOL.md, PULSE, Manifests). */

export const MANIFEST_FORMAT = 'pulse-manifest/1';
/** Longest manifest as canonical JSON: every field at its largest takes below 1,100 bytes. */
export const MAX_MANIFEST_BYTES = 2048;
/** Largest blob that a manifest may name: 1 TiB. */
export const MAX_MANIFEST_BLOB_BYTES = 2 ** 40;
export const FRESH_TAG: Hex = '0x0000000000000000';

const counter = z
  .int()
  .min(0)
  .max(2 ** 40);

const historySchema = z
  .strictObject({
    steps: z
      .int()
      .min(0)
      .max(2 ** 31),
    tag: z
      .string()
      .regex(/^0x[0-9a-f]{16}$/, 'expected 8 bytes as lower-case 0x hex')
      .transform((value) => value as Hex),
  })
  .refine(({ steps, tag }) => (steps === 0) === (tag === FRESH_TAG), 'only a fresh history has no steps');

export const manifestSchema = z
  .strictObject({
    format: z.literal(MANIFEST_FORMAT),
    /** Name of the run: one key may publish several, and a manifest of one is none of another. */
    chain: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected 1 to 64 letters, digits, dots, dashes or underscores'),
    /** Place in the log: 0, 1, 2, … */
    sequence: counter,
    /** Training step of the target. */
    step: counter,
    kind: z.enum(['patch', 'merged', 'anchor']),
    baseStep: counter.nullable(),
    baseId: hash32Schema.nullable(),
    targetId: hash32Schema,
    history: z.strictObject({
      /** What the patch was coded with; null: nothing, whoever holds the base can read it. */
      needs: historySchema.nullable(),
      /** What the publisher goes on with, fresh after a reset. */
      gives: historySchema,
    }),
    blob: z.strictObject({ hash: hash32Schema, bytes: z.int().min(1).max(MAX_MANIFEST_BLOB_BYTES) }),
    /** Digest of the manifest before it in the log; null for the first. */
    previous: hash32Schema.nullable(),
    publisher: addressSchema,
    signature: z
      .string()
      .regex(/^0x[0-9a-f]{130}$/, 'expected a 65-byte signature as lower-case 0x hex')
      .transform((value) => value as Hex),
  })
  .superRefine((manifest, context) => {
    const { kind, step, baseStep, baseId, history } = manifest;
    const refuse = (message: string) => context.addIssue({ code: 'custom', message });
    if ((manifest.sequence === 0) !== (manifest.previous === null))
      refuse('only the first manifest has no predecessor');
    if ((kind === 'anchor') !== (baseId === null) || (kind === 'anchor') !== (baseStep === null)) {
      refuse('an anchor, and nothing else, has no base');
    }
    if (baseStep !== null && baseStep >= step) refuse('a patch leads to a later step');
    const { needs, gives } = history;
    if (kind !== 'patch' && needs !== null) refuse('only a patch uses a history');
    if (gives.steps !== 0 && gives.steps !== (needs?.steps ?? -1) + 1) {
      refuse('a history grows by one step a patch');
    }
  });

export type Manifest = z.infer<typeof manifestSchema>;
export type UnsignedManifest = Omit<Manifest, 'signature'>;
export type History = Manifest['history']['gives'];
export const FRESH_HISTORY: History = { steps: 0, tag: FRESH_TAG };

/** A publisher's key; an `Identity` is one. */
export interface ManifestSigner {
  readonly address: Hex;
  /** Signs a 32-byte digest with secp256k1: r, s, v. */
  sign(digest: Uint8Array): Hex | Promise<Hex>;
}

/** Whose manifests of which chain are taken. */
export interface Trust {
  readonly publisher: Hex;
  readonly chain: string;
}

/** What is signed, and what the next manifest calls `previous`: everything but the signature, whose form could vary. */
export function manifestDigest(manifest: UnsignedManifest | Manifest): Hex {
  const { signature: _, ...unsigned } = manifest as Manifest;
  return toHex(sha256(tag('pulse-manifest'), canonicalBytes(unsigned)));
}

export async function signManifest(signer: ManifestSigner, manifest: UnsignedManifest): Promise<Manifest> {
  const digest = sha256(tag('pulse-manifest'), canonicalBytes(manifest));
  return { ...manifest, signature: await signer.sign(digest) };
}

/**
 * Checks a manifest from anywhere: its fields, whose it is, and its signature.
 * @throws GrailError MANIFEST_INVALID naming what is wrong
 */
export function verifyManifest(value: unknown, trust: Trust): Manifest {
  const result = manifestSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw invalid(`${issue.path.join('.') || 'document'}: ${issue.message}`, {});
  }
  const manifest = result.data;
  const { chain, publisher } = trust;
  if (manifest.chain !== chain)
    throw invalid('it is of another chain', { expected: chain, got: manifest.chain });
  if (manifest.publisher !== publisher) {
    throw invalid('it is of another publisher', { expected: publisher, got: manifest.publisher });
  }
  const { signature, ...unsigned } = manifest;
  const signer = recover(sha256(tag('pulse-manifest'), canonicalBytes(unsigned)), signature);
  if (signer !== publisher) {
    throw invalid('its publisher did not sign it', { expected: publisher, got: signer });
  }
  return manifest;
}

function invalid(why: string, details: Record<string, string | null>): GrailError {
  return new GrailError('MANIFEST_INVALID', `a manifest is refused, ${why}: ask another relay`, details);
}
