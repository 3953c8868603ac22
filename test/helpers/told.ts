import type { Policy } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { foldPolicy } from '../../src/proofs/fold.ts';
import { contextElement, type ProofContext, traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec, StepStatement } from '../../src/proofs/types.ts';
import { publicInputs, publicSignals } from '../../src/proofs/witness-input.ts';

/** What someone who checks a proof holds of it. */
export interface Told {
  readonly policy: Policy;
  readonly steps: readonly StepStatement[];
  readonly rho: bigint;
  readonly context: ProofContext;
  /** Accumulators that were opened, a step each. */
  readonly opened: readonly Int32Array[][];
}

/** Where some steps of a policy stand, made up but for them and it. */
export function toldContext(
  policy: Policy,
  steps: readonly StepStatement[],
  challenges: ProofContext['challenges'] = steps.map((_, step) => ({ slot: 0, step })),
): ProofContext {
  return {
    genesisHash: new Uint8Array(32).fill(1),
    policyRoot: policyRoot(policy),
    window: 5,
    miner: new Uint8Array(20).fill(2),
    part: 0,
    challenges,
    observations: steps.map(({ observation }) => observation),
  };
}

/** The accumulators of a policy's steps. */
export function openedBy(policy: Policy, steps: readonly StepStatement[]): Int32Array[][] {
  return steps.map(({ observation }) => trace(policy, observation));
}

/** The public signals that follow from what is told. */
export function toldSignals(spec: CircuitSpec, { policy, steps, rho, context, opened }: Told): bigint[] {
  return publicSignals(
    publicInputs({
      spec,
      rho,
      folds: foldPolicy(policy, rho),
      context: contextElement(context),
      traceDigest: traceDigest(spec.architecture, opened),
      steps,
    }),
  );
}
