import type { Policy } from '../policy/architecture.ts';
import { trace } from '../policy/forward.ts';
import { GrailError } from '../protocol/errors.ts';
import { signedToField } from './fields.ts';
import { foldDigest, foldInputs, foldObservations, foldPolicy, type PolicyFolds } from './fold.ts';
import { type Statement, statementDigest, traceDigest } from './statement.ts';
import type { CircuitSpec, PublicInputs, StepStatement } from './types.ts';

/** A circuit's inputs by signal name, field elements in [0, r): what a witness calculator takes. */
export interface WitnessInput {
  readonly [signal: string]: bigint | readonly bigint[] | readonly (readonly bigint[])[];
}

/**
 * The public inputs of a proof, as a verifier makes them: from its own replay, its own fold vectors and the opening.
 * @param input.folds `foldPolicy` of the window's policy at ρ, whatever the variant is
 * @throws GrailError INT8_RANGE or WITNESS_FAILED when a step has values that no proof can state
 */
export function publicInputs(input: {
  spec: CircuitSpec;
  rho: bigint;
  folds: PolicyFolds;
  /** contextElement's value. */
  context: bigint;
  /** The miner's opening of this proof's steps, below r. */
  traceDigest: bigint;
  steps: readonly StepStatement[];
}): PublicInputs {
  const { spec, rho, folds } = input;
  return {
    statementDigest: statementDigest(stated(input)),
    rho,
    folds: foldInputs(spec.variant, folds),
  };
}

/** The public signals in the order of the circuit and of snarkjs: statementDigest, rho, then the folds. */
export function publicSignals(inputs: PublicInputs): bigint[] {
  return [inputs.statementDigest, inputs.rho, ...inputs.folds];
}

/** What a prover starts from. */
export interface ProverInput {
  readonly spec: CircuitSpec;
  readonly policy: Policy;
  readonly rho: bigint;
  /** contextElement's value. */
  readonly context: bigint;
  readonly steps: readonly StepStatement[];
  /**
   * Accumulators to claim, one element a step, `[layers][out]`; the policy's own unless given. Others satisfy no
   * circuit: tests and the demo's forgers give them.
   */
  readonly accumulators?: readonly Int32Array[][];
}

/**
 * The circuit's whole input, public and private.
 * @throws GrailError INT8_RANGE or WITNESS_FAILED when a step has values that no proof can state
 */
export function witnessInput(input: ProverInput): WitnessInput {
  const { spec, policy, rho, context, steps } = input;
  const accumulators = input.accumulators ?? steps.map((step) => trace(policy, step.observation));
  const folds = foldPolicy(policy, rho);
  const opened = traceDigest(spec.architecture, accumulators);
  const statement = stated({ spec, folds, context, traceDigest: opened, steps });
  return {
    statementDigest: statementDigest(statement),
    rho,
    ...(spec.variant === 'digest' ? { foldDigest: foldDigest(folds) } : {}),
    folds: folds.circuit,
    context,
    observationFolds: statement.observationFolds,
    noise: steps.map((step) => signed(step.noise)),
    accumulators: accumulators.map((layers) => layers.flatMap(signed)),
  };
}

/** A proof's statement: its steps, with the observations folded as the verifier folds them. */
function stated(input: {
  spec: CircuitSpec;
  folds: PolicyFolds;
  context: bigint;
  traceDigest: bigint;
  steps: readonly StepStatement[];
}): Statement {
  const { folds, context, steps } = input;
  const { architecture, stepsPerProof } = input.spec;
  if (steps.length !== stepsPerProof) {
    throw new GrailError('WITNESS_FAILED', `a proof covers ${stepsPerProof} steps, ${steps.length} given`, {
      expected: stepsPerProof,
      got: steps.length,
    });
  }
  const observations = steps.map(({ observation }) => observation);
  const observationFolds = foldObservations(architecture, folds, observations);
  return { architecture, context, traceDigest: input.traceDigest, observationFolds, steps };
}

function signed(values: Int8Array | Int32Array): bigint[] {
  return Array.from(values, (value) => signedToField(BigInt(value)));
}
