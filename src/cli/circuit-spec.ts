import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import { recipe } from '../params/recipes.ts';
import type { Architecture } from '../policy/architecture.ts';
import { parseArchitecture } from '../policy/quantiser.ts';
import type { CircuitSpec } from '../proofs/types.ts';
import { GrailError } from '../protocol/errors.ts';
import { findEnvironment } from './env-find.ts';

/** The most bytes of an architecture file: sixteen layers take two thousand. */
const MAX_FILE_BYTES = 65_536;

/** Flags that specify a circuit. */
export const circuitSpecFlags = {
  architecture: z.string().min(1).optional().describe('JSON file of the policy network'),
  environment: z
    .string()
    .min(1)
    .optional()
    .describe('instead: the network that this environment’s recipe trains; `grail env list` names them'),
  steps: z
    .int()
    .min(1)
    .max(1024)
    .optional()
    .describe('B: steps that one proof covers (default: the environment’s recipe’s, else 8)'),
  variant: z
    .enum(['folds', 'digest'])
    .default('folds')
    .describe('how fold vectors enter: as public inputs, or as their digest (for contracts)'),
};

export interface CircuitSpecFlags {
  readonly architecture?: string | undefined;
  readonly environment?: string | undefined;
  readonly steps?: number | undefined;
  readonly variant: 'folds' | 'digest';
}

/**
 * The specification that the flags give.
 * @throws GrailError USAGE without a network or with two, or for a file that cannot be read; POLICY_INVALID for a network that
 *   breaks a rule; what `findEnvironment` throws
 */
export function readSpec(flags: CircuitSpecFlags): CircuitSpec {
  if ((flags.architecture === undefined) === (flags.environment === undefined)) {
    throw new GrailError('USAGE', 'name the network by --architecture FILE or by --environment ID');
  }
  const { architecture, stepsPerProof } =
    flags.architecture === undefined
      ? recipe(findEnvironment(flags.environment!).id, 'ppo')
      : { architecture: readArchitecture(flags.architecture), stepsPerProof: 8 };
  return { architecture, stepsPerProof: flags.steps ?? stepsPerProof, variant: flags.variant };
}

function readArchitecture(path: string): Architecture {
  let value: unknown;
  try {
    if (statSync(path).size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`);
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new GrailError('USAGE', `cannot read the network in ${path}: ${(error as Error).message}`);
  }
  return parseArchitecture(value);
}
