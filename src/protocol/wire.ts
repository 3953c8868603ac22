import { z } from 'zod';
import { addressSchema, hash32Schema } from '../params/genesis.ts';
import type { Hex } from './bytes.ts';

/**
 * What travels between a verifier and its clients besides messages and entries: acknowledgements, receipts, and the
 * frames of the event socket. Served as OpenAPI at /openapi.json.
 */

const signatureSchema = z
  .string()
  .regex(/^0x[0-9a-f]{130}$/)
  .transform((value) => value as Hex);
const count = z.int().min(0);

/** A verifier's signed promise that the ledger holds a message; binding within its view. */
export const acknowledgementSchema = z.strictObject({
  messageHash: hash32Schema,
  window: count,
  phase: z.string().max(16),
  view: count,
  /** Index of the message's entry. */
  index: count,
  treeSize: count,
  treeRoot: hash32Schema,
  verifier: addressSchema,
  signature: signatureSchema,
});
export type Acknowledgement = z.infer<typeof acknowledgementSchema>;

/** What a verdict gave a miner, signed. `result` is the miner's element of the verdict's results. */
export const receiptSchema = z.strictObject({
  miner: addressSchema,
  window: count,
  view: count,
  slots: count,
  credit: count,
  /** SHA-256 of the canonical JSON of `result`. */
  resultHash: hash32Schema,
  /** Index of the verdict's entry. */
  index: count,
  /** True on networks whose keys and beacon are for development: then nothing here is secure. */
  insecureDev: z.boolean(),
  result: z.looseObject({ miner: addressSchema }),
  verifier: addressSchema,
  signature: signatureSchema,
});
export type Receipt = z.infer<typeof receiptSchema>;

export const errorSchema = z.strictObject({
  code: z.string().max(64),
  message: z.string().max(4096),
  details: z.record(z.string().max(64), z.json()),
});

/** Client to server on /v1/events. */
export const clientFrameSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('subscribe'),
    /** First entry wanted. */
    from: count,
    /** `closers`: only entries of verifiers, and those of `miner` where it is given. */
    entries: z.enum(['all', 'closers']).default('all'),
    miner: addressSchema.optional(),
  }),
  z.strictObject({ type: z.literal('ping') }),
]);
export type ClientFrame = z.infer<typeof clientFrameSchema>;

const ledgerEntryJson = z.looseObject({ window: count, phase: z.string().max(16), view: count });

/** Server to client on /v1/events. */
export const serverFrameSchema = z.discriminatedUnion('type', [
  /** First frame of every connection. */
  z.strictObject({ type: z.literal('hello'), genesisHash: hash32Schema, size: count }),
  z.strictObject({ type: z.literal('entry'), index: count, entry: ledgerEntryJson }),
  /** All entries before `size` were sent; what follows is live. */
  z.strictObject({ type: z.literal('synced'), size: count }),
  /** A message that was refused at the gate: it is in no ledger. */
  z.strictObject({
    type: z.literal('refused'),
    miner: addressSchema.nullable(),
    window: count.nullable(),
    message: z.string().max(16),
    error: errorSchema,
  }),
  /** Mean return of a policy over fresh episodes, where the verifier was asked to measure it. */
  z.strictObject({
    type: z.literal('evaluation'),
    version: count,
    meanReturn: z.number(),
    episodes: count,
  }),
  z.strictObject({ type: z.literal('pong') }),
  z.strictObject({ type: z.literal('error'), error: errorSchema }),
]);
export type ServerFrame = z.infer<typeof serverFrameSchema>;
