import type { Policy } from '../policy/architecture.ts';

/** A place where a policy runs. Every backend gives the same integers, or it is refused (BACKEND_NOT_EXACT). */
export interface Backend {
  /** `cpu`, `wasm`, … as `--backend` names it. */
  readonly name: string;
  /** Puts a policy's tensors where the backend computes. */
  load(policy: Policy): LoadedPolicy;
  dispose(): void;
}

export interface LoadedPolicy {
  readonly policy: Policy;
  /** `[batch, observation]` int8 to `[batch, actions]` int32 logits with 10 fractional bits. Synchronous where it can be. */
  logits(observations: Int8Array, batch: number): Int32Array;
  /**
   * Logits and sampling in one, where the backend has both: `seeds` is `packSeeds` of the slots' sample seeds; the actions
   * of `step` go to `out[0..batch)`, the same as `sampleBatch` of the logits.
   */
  act?(observations: Int8Array, batch: number, seeds: Uint32Array, step: number, out: Uint16Array): void;
  dispose(): void;
}
