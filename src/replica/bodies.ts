import { z } from 'zod';
import { addressSchema, genesisSchema, hash32Schema } from '../params/genesis.ts';
import type { Json } from '../protocol/canonical.ts';
import { CODES, type Code } from '../protocol/codes.ts';
import { messageSchema } from '../protocol/messages.ts';

/**
 * The bodies of ledger entries (docs/PROTOCOL.md, Entries): a miner's message as it was signed, or one of the
 * verifier's entries, each of which closes a phase.
 */

const windowSchema = z
  .int()
  .min(0)
  .max(2 ** 40);
const jsonSchema: z.ZodType<Json> = z.json();

export const rejectionSchema = z.strictObject({
  code: z.enum(Object.keys(CODES) as [Code, ...Code[]]),
  slot: z.exactOptional(z.int().min(0)),
  step: z.exactOptional(z.int().min(0)),
  part: z.exactOptional(z.int().min(0)),
  expected: z.exactOptional(jsonSchema),
  got: z.exactOptional(jsonSchema),
});

/** What a window's verdict says of one enrolled miner. */
export const resultSchema = z.strictObject({
  miner: addressSchema,
  slots: z.int().min(0),
  /** Whether its rollouts trained the next policy. */
  trained: z.boolean(),
  /** Base units; 0 with a rejection. */
  credit: z.int().min(0),
  /** The first rule that failed, or null when the miner did everything. */
  rejection: rejectionSchema.nullable(),
  /** Mean return of the episodes completed in its slots, or null without any. */
  meanReturn: z.number().nullable(),
  proofs: z.int().min(0),
});

const blobSchema = z.strictObject({ hash: hash32Schema, bytes: z.int().min(0) });

/** The policy that a window's data gave. */
export const updateSchema = z.strictObject({
  version: z.int().min(1),
  policyRoot: hash32Schema,
  trainerStateRoot: hash32Schema,
  patch: blobSchema,
  /** When the patches since the last one took its bytes, and at the latest after `anchorEvery` versions; else null. */
  anchor: blobSchema.nullable(),
  /** Bytes of the whole policy, uncompressed. */
  fullBytes: z.int().min(0),
  /** Metrics of src/training, by name. */
  metrics: z.record(z.string().max(64), z.union([z.number(), z.string().max(64), z.null()])),
});

export const bodySchemas = {
  genesis: z.strictObject({ type: z.literal('genesis'), genesis: genesisSchema }),
  open: z.strictObject({
    type: z.literal('open'),
    window: windowSchema,
    beacon0: hash32Schema,
    enrolRoot: hash32Schema,
    policyVersion: z.int().min(0),
    policyRoot: hash32Schema,
  }),
  challenge: z.strictObject({
    type: z.literal('challenge'),
    window: windowSchema,
    beacon1: hash32Schema,
    commitRoot: hash32Schema,
  }),
  fold: z.strictObject({
    type: z.literal('fold'),
    window: windowSchema,
    openingsRoot: hash32Schema,
    rho: hash32Schema,
    foldDigest: hash32Schema,
  }),
  verdict: z.strictObject({
    type: z.literal('verdict'),
    window: windowSchema,
    results: z.array(resultSchema).max(65_536),
    rewardRoot: hash32Schema,
    update: updateSchema,
  }),
} as const;

export const bodySchema = z.discriminatedUnion('type', [
  messageSchema,
  bodySchemas.genesis,
  bodySchemas.open,
  bodySchemas.challenge,
  bodySchemas.fold,
  bodySchemas.verdict,
]);

export type Body = z.infer<typeof bodySchema>;
export type OpenBody = z.infer<typeof bodySchemas.open>;
export type ChallengeBody = z.infer<typeof bodySchemas.challenge>;
export type FoldBody = z.infer<typeof bodySchemas.fold>;
export type VerdictBody = z.infer<typeof bodySchemas.verdict>;
export type CloserBody = OpenBody | ChallengeBody | FoldBody | VerdictBody;
export type MinerResult = z.infer<typeof resultSchema>;
export type PolicyUpdate = z.infer<typeof updateSchema>;
