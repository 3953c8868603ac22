import type { Architecture } from '../policy/architecture.ts';

/** How the policy's fold vectors enter a proof: as public inputs themselves, or as their Poseidon digest. */
export type ProofVariant = 'folds' | 'digest';

/** What a circuit is generated from. */
export interface CircuitSpec {
  readonly architecture: Architecture;
  /** B: steps that one proof covers. */
  readonly stepsPerProof: number;
  readonly variant: ProofVariant;
}

/** One challenged step as anyone can state it: nothing of it is secret. */
export interface StepStatement {
  /** `[observation]` int8 in [-127, 127]. */
  readonly observation: Int8Array;
  /** `[actions]` int32 Gumbel values in [−2526, 12066]. */
  readonly noise: Int32Array;
  readonly action: number;
}

/** The public inputs of one proof, in the circuit's order (docs/PROTOCOL.md, Proof). Field elements below r. */
export interface PublicInputs {
  readonly statementDigest: bigint;
  readonly rho: bigint;
  /** Variant `folds`: v of every layer but the first, layer by layer; variant `digest`: the one foldDigest. */
  readonly folds: readonly bigint[];
}
