import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { recipe } from '../params/recipes.ts';
import { type Architecture, architectureSchema } from '../policy/architecture.ts';
import type { CircuitSpec } from '../proofs/types.ts';
import { GrailError } from '../protocol/errors.ts';
import { findEnvironment } from './env-find.ts';

/** Flags that name a circuit; `readSpec` makes its specification of them. */
export const circuitSpecFlags = {
  environment: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('the circuit of an environment’s recipe; `grail env list` names them'),
  architecture: z
    .string()
    .min(1)
    .optional()
    .describe(
      'the circuit of an architecture: a JSON file as genesis has it (docs/PROTOCOL.md, Architecture)',
    ),
  steps: z
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe('B: steps that one proof covers (default with --environment: its recipe’s)'),
  variant: z
    .enum(['folds', 'digest'])
    .default('folds')
    .describe('fold vectors as public inputs, or their digest'),
};

const flagsSchema = z.strictObject(circuitSpecFlags);

/** What the command line gives for `circuitSpecFlags`. */
export type CircuitSpecFlags = z.output<typeof flagsSchema>;

/**
 * The circuit specification that the flags name.
 * @throws GrailError USAGE when they name none or two, NOT_FOUND for a file or environment that is not there,
 *   POLICY_INVALID for an architecture that breaks a rule
 */
export async function readSpec(flags: CircuitSpecFlags): Promise<CircuitSpec> {
  const { environment, architecture: file, steps, variant } = flags;
  if ((environment === undefined) === (file === undefined)) {
    throw usage('give either --environment or --architecture', '--environment');
  }
  if (environment !== undefined) {
    const { architecture, stepsPerProof } = recipe(findEnvironment(environment).id, 'ppo');
    return { architecture, stepsPerProof: steps ?? stepsPerProof, variant };
  }
  if (steps === undefined) throw usage('--architecture needs --steps', '--steps');
  return { architecture: await readArchitecture(file!), stepsPerProof: steps, variant };
}

async function readArchitecture(file: string): Promise<Architecture> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new GrailError('NOT_FOUND', `${file} cannot be read`, { file }, { cause });
  });
  const invalid = (reason: string) =>
    new GrailError('POLICY_INVALID', `${file} is no architecture: ${reason}`, { file });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid((error as Error).message);
  }
  const parsed = architectureSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw invalid(`${issue.path.join('.') || 'document'}: ${issue.message}`);
}

function usage(message: string, flag: string): GrailError {
  return new GrailError('USAGE', message, { flag });
}
