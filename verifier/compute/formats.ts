import { z } from 'zod';
import { addressSchema, hash32Schema } from '../../src/params/genesis.ts';
import { digestHex, type Opening } from '../../src/proofs/opening.ts';
import type { StepStatement } from '../../src/proofs/types.ts';
import { bytesToBig, fromHex, type Hex, utf8 } from '../../src/protocol/bytes.ts';
import { CODES, type Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { rejectionSchema, updateSchema } from '../../src/replica/bodies.ts';

/**
 * What jobs say, as JSON. Every job is a pure function of its payload and of the blobs that it names by hash, so whoever
 * computes it needs no ledger, no database and no state, and the same payload is the same job.
 */

const hex = z
  .string()
  .regex(/^0x(?:[0-9a-f]{2})*$/)
  .transform((value) => value as Hex);
const counter = z
  .int()
  .min(0)
  .max(2 ** 40);

/** A policy: the hash of its anchor, and its root. */
export const policyRefSchema = z.strictObject({ hash: hash32Schema, root: hash32Schema });
export type PolicyRef = z.infer<typeof policyRefSchema>;

const debtSchema = z.strictObject({ anchorBytes: counter, patchBytes: counter, versions: counter });

/** Replays one commitment and checks every action of it. */
export const replayJobSchema = z.strictObject({
  window: counter,
  windowSeed: hash32Schema,
  challengeSeed: hash32Schema,
  policy: policyRefSchema,
  /** Newest first. */
  earlier: z.array(policyRefSchema).max(16),
  commit: z.strictObject({
    miner: addressSchema,
    slots: z.int().min(1).max(65_536),
    actions: hex,
    commitRoot: hash32Schema,
  }),
  /** Counts up when a result was lost: another job then. */
  round: z.int().min(0),
});
export type ReplayJob = z.infer<typeof replayJobSchema>;

const openingSchema = z.strictObject({
  challenges: z.array(z.strictObject({ slot: counter, step: counter })).max(1_048_576),
  observations: hex,
  actions: z.array(z.int().min(0).max(65_535)).max(1_048_576),
  noise: z.array(z.array(z.int()).max(4_096)).max(1_048_576),
  parts: z.array(z.strictObject({ context: hash32Schema, traceDigest: hash32Schema })).max(4_096),
});

export const replayResultSchema = z.strictObject({
  rejection: rejectionSchema.nullable(),
  meanReturn: z.number().nullable(),
  opening: openingSchema.nullable(),
  /** The accepted rollouts (rollout-bytes.ts). */
  rollouts: hash32Schema.nullable(),
});
export type ReplayResult = z.infer<typeof replayResultSchema>;

/** Trains the policy after a window. */
export const trainJobSchema = z.strictObject({
  window: counter,
  policyVersion: counter,
  commitPhaseRoot: hash32Schema,
  base: policyRefSchema,
  behaviour: policyRefSchema,
  trainerState: hash32Schema,
  debt: debtSchema,
  /** Rollouts of the accepted commitments, in order of address. */
  accepted: z.array(hash32Schema).max(65_536),
  round: z.int().min(0),
});
export type TrainJob = z.infer<typeof trainJobSchema>;

export const trainResultSchema = z.strictObject({
  update: updateSchema,
  trainerState: hash32Schema,
  debt: debtSchema,
});
export type TrainResult = z.infer<typeof trainResultSchema>;

/** Checks proofs together. All public signals but the first are the same. */
export const proofsJobSchema = z.strictObject({
  shared: z.array(hash32Schema).max(65_536),
  proofs: z
    .array(z.strictObject({ first: hash32Schema, proof: hex }))
    .min(1)
    .max(256),
});
export type ProofsJob = z.infer<typeof proofsJobSchema>;

/** Null where a proof holds. */
export const proofsResultSchema = z.array(
  z
    .strictObject({
      code: z.enum(Object.keys(CODES) as [Code, ...Code[]]),
      message: z.string().max(1_024),
      details: z.record(z.string(), z.json()),
    })
    .nullable(),
);

/** Mean return of a policy over fresh episodes. */
export const evaluateJobSchema = z.strictObject({
  policy: policyRefSchema,
  episodes: z.int().min(1).max(10_000),
  round: z.int().min(0),
});
export type EvaluateJob = z.infer<typeof evaluateJobSchema>;
export const evaluateResultSchema = z.strictObject({ meanReturn: z.number() });

export function toJob(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

/** @throws GrailError BAD_REQUEST */
export function fromJob<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.infer<S> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new GrailError('BAD_REQUEST', 'a job is not UTF-8 JSON', {}, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new GrailError('BAD_REQUEST', `a job's ${issue.path.join('.') || 'value'}: ${issue.message}`);
}

export function toOpening(opening: Opening): NonNullable<ReplayResult['opening']> {
  return {
    challenges: opening.challenges.map(({ slot, step }) => ({ slot, step })),
    observations: opening.observations,
    actions: opening.steps.map(({ action }) => action),
    noise: opening.steps.map(({ noise }) => [...noise]),
    parts: opening.parts.map(({ context, traceDigest }) => ({
      context: digestHex(context),
      traceDigest: digestHex(traceDigest),
    })),
  };
}

/** @throws GrailError BAD_REQUEST when its parts do not fit together */
export function fromOpening(opening: NonNullable<ReplayResult['opening']>): Opening {
  const { challenges, actions, noise, parts } = opening;
  const bytes = fromHex(opening.observations);
  const width = bytes.length / challenges.length;
  const perPart = challenges.length / parts.length;
  const fits = [width, perPart].every((value) => Number.isSafeInteger(value) && value > 0);
  if (!fits || actions.length !== challenges.length || noise.length !== challenges.length) {
    throw new GrailError('BAD_REQUEST', 'the parts of an opening do not fit together');
  }
  const steps = challenges.map(
    (_, i): StepStatement => ({
      observation: new Int8Array(bytes.slice(i * width, (i + 1) * width).buffer),
      noise: Int32Array.from(noise[i]!),
      action: actions[i]!,
    }),
  );
  return {
    challenges,
    steps,
    observations: opening.observations,
    parts: parts.map(({ context, traceDigest }, part) => ({
      context: bytesToBig(fromHex(context)),
      steps: steps.slice(part * perPart, (part + 1) * perPart),
      traceDigest: bytesToBig(fromHex(traceDigest)),
    })),
  };
}
