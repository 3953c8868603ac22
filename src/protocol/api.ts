import { z } from 'zod';
import { addressSchema, genesisSchema, hash32Schema } from '../params/genesis.ts';
import { errorSchema } from './wire.ts';

/** What a verifier answers over HTTP besides messages and receipts (docs/PROTOCOL.md, API). Served as OpenAPI. */

const count = z.int().min(0);
const phase = z.string().max(16);
const hashes = z.array(hash32Schema).max(128);

/** Body of every answer that is not a success. */
export const failureSchema = z.strictObject({ error: errorSchema });

/** GET /v1/genesis answers the document itself; its hash is the network's name. */
export const genesisAnswerSchema = genesisSchema;

/** One entry as the ledger holds it. */
export const entryAnswerSchema = z.strictObject({
  window: count,
  phase,
  view: count,
  author: addressSchema.nullable(),
  body: z.looseObject({ type: z.string().max(64) }),
});

/** GET /v1/entries/:index. */
export const indexedEntrySchema = z.strictObject({
  index: count,
  /** The entry's RFC 6962 leaf hash. */
  leaf: hash32Schema,
  entry: entryAnswerSchema,
});

/** GET /v1/entries: entries `from` to `from + entries.length − 1`; fewer than asked for where they are large. */
export const entriesSchema = z.strictObject({
  from: count,
  /** Entries of the ledger. */
  size: count,
  entries: z.array(entryAnswerSchema),
});

/** GET /v1/head: the signed tree head, as the ledger keeps it. */
export const headAnswerSchema = z.strictObject({
  window: count,
  phase,
  view: count,
  treeSize: count,
  treeRoot: hash32Schema,
  author: addressSchema,
  signature: z.string().regex(/^0x[0-9a-f]{130}$/),
});

/** GET /v1/proofs/inclusion: that the entry with `leaf` is at `index` of the tree of `size` entries. */
export const inclusionSchema = z.strictObject({
  index: count,
  size: count,
  leaf: hash32Schema,
  root: hash32Schema,
  proof: hashes,
});

/** GET /v1/proofs/consistency: that the tree of `from` entries is a prefix of that of `to`. */
export const consistencySchema = z.strictObject({
  from: count,
  to: count,
  fromRoot: hash32Schema,
  toRoot: hash32Schema,
  proof: hashes,
});

/** GET /v1/status: a report; nothing in it is signed. */
export const statusSchema = z.strictObject({
  genesisHash: hash32Schema,
  insecureDev: z.boolean(),
  size: count,
  policyVersion: count,
  policyRoot: hash32Schema,
  trainerStateRoot: hash32Schema,
  verdicts: count,
  /** The run is over: nothing more is accepted. */
  finished: z.boolean(),
  /** The last evaluation of a policy, where the verifier makes them. */
  evaluation: z.strictObject({ version: count, meanReturn: z.number() }).nullable(),
  windows: z
    .array(
      z.strictObject({
        window: count,
        phase,
        policyVersion: count.nullable(),
        enrolled: count,
        slots: count,
        /** Miners whose message the phase waits for. */
        pending: count,
      }),
    )
    .readonly(),
});

/** GET /healthz: the process can do its work. Where it never will again, it answers NOT_READY. */
export const healthSchema = z.strictObject({ ok: z.literal(true) });

/** What /readyz looks at; in an answer that is NOT_READY these are the `checks` of its details. */
export const checksSchema = z
  .array(z.strictObject({ check: z.string().max(64), ok: z.boolean(), detail: z.string().max(256) }))
  .max(64)
  .readonly();

/** GET /readyz: the process can serve now. */
export const readySchema = z.strictObject({ ready: z.literal(true), checks: checksSchema });
