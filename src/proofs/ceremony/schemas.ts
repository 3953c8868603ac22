import { z } from 'zod';
import { architectureSchema } from '../../policy/architecture.ts';
import type { Hex } from '../../protocol/bytes.ts';
import type { CircuitSpec } from '../types.ts';

/** Lower-case 0x hex of so many bytes: a number, or a range as a regular expression counts. */
export const hexSchema = (bytes: number | string) =>
  z
    .string()
    .regex(new RegExp(`^0x(?:[0-9a-f]{2}){${bytes}}$`), `expected ${bytes} bytes as lower-case 0x hex`)
    .transform((value) => value as Hex);

export const hash64Schema = hexSchema(64);

export const circuitSpecSchema: z.ZodType<CircuitSpec> = z.strictObject({
  architecture: architectureSchema,
  stepsPerProof: z.int().min(1).max(64),
  variant: z.enum(['folds', 'digest']),
});

/** What a contributor is called: a label for people, which snarkjs keeps in 255 bytes. */
export const contributorSchema = z
  .string()
  .max(64)
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._@+-]*$/u, 'expected letters, digits, spaces and . _ @ + -, at most 64');

export const beaconSchema = z.strictObject({
  value: hexSchema('16,64'),
  /** The value is hashed 2^iterationsExp times. */
  iterationsExp: z.int().min(10).max(24),
  /** Where anyone finds the value: a block, a drand round. */
  source: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\p{C}]+$/u, 'expected text without control characters'),
});

export const toolsSchema = z.record(z.string().max(32), z.string().max(32));

/** Fit for a file name, as the compiler wants it. */
export const circuitNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,100}$/, 'expected letters, digits and dashes');
