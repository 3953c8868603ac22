import type { Policy } from '../policy/architecture.ts';
import { trace } from '../policy/forward.ts';
import { GrailError } from '../protocol/errors.ts';
import { foldInputs, foldVectors } from './fold.ts';
import { signedToField } from './poseidon.ts';
import { statementDigest, traceDigest } from './statement.ts';
import type { CircuitSpec, PublicInputs, StepStatement } from './types.ts';
import { foldCount } from './widths.ts';

/** A circuit's inputs by signal name, field elements in [0, r): what a witness calculator takes. */
export interface WitnessInput {
  readonly [signal: string]: bigint | readonly bigint[] | readonly (readonly bigint[])[];
}

/**
 * The public inputs of a proof, as a verifier makes them: from its own replay, its own fold vectors and the opening.
 * @param input.folds `foldVectors` of the window's policy at ρ, whatever the variant is
 * @throws GrailError INT8_RANGE or WITNESS_FAILED when a step has values that no proof can state
 */
export function publicInputs(input: {
  spec: CircuitSpec;
  rho: bigint;
  folds: readonly bigint[];
  /** contextElement's value. */
  context: bigint;
  /** The miner's opening of this proof's steps, below r. */
  traceDigest: bigint;
  steps: readonly StepStatement[];
}): PublicInputs {
  const { spec, rho, folds, context, steps } = input;
  checkSteps(spec, steps);
  if (folds.length !== foldCount(spec.architecture)) {
    throw new RangeError(`expected ${foldCount(spec.architecture)} fold elements, got ${folds.length}`);
  }
  return {
    statementDigest: statementDigest({
      architecture: spec.architecture,
      context,
      traceDigest: input.traceDigest,
      steps,
    }),
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
  checkSteps(spec, steps);
  const accumulators = input.accumulators ?? steps.map((step) => trace(policy, step.observation));
  const folds = foldVectors(policy, rho);
  const publics = publicInputs({
    spec,
    rho,
    folds,
    context,
    traceDigest: traceDigest(spec.architecture, accumulators),
    steps,
  });
  return {
    statementDigest: publics.statementDigest,
    rho,
    ...(spec.variant === 'digest' ? { foldDigest: publics.folds[0]! } : {}),
    folds,
    context,
    observation: steps.map((step) => signed(step.observation)),
    noise: steps.map((step) => signed(step.noise)),
    action: steps.map((step) => BigInt(step.action)),
    accumulators: accumulators.map((layers) => layers.flatMap(signed)),
  };
}

function checkSteps(spec: CircuitSpec, steps: readonly StepStatement[]): void {
  if (steps.length !== spec.stepsPerProof) {
    throw new GrailError(
      'WITNESS_FAILED',
      `a proof covers ${spec.stepsPerProof} steps, ${steps.length} given`,
      {
        expected: spec.stepsPerProof,
        got: steps.length,
      },
    );
  }
}

function signed(values: Int8Array | Int32Array): bigint[] {
  return Array.from(values, (value) => signedToField(BigInt(value)));
}
