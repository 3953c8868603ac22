import type { Policy } from '../policy/architecture.ts';

/** A place where a policy runs. Every backend gives the same integers, or it is refused (BACKEND_NOT_EXACT). */
interface Place {
  /** `simd`, `webgpu`, … as `--backend` names it. */
  readonly name: string;
  /** What computes, in words: a GPU's name, or the processor. */
  readonly device: string;
  /** An accelerator that is emulated on the processor: never taken for a GPU. */
  readonly emulated: boolean;
  /** Bytes that it holds, as far as it knows. */
  memoryBytes(): number;
  dispose(): void;
}

/** A backend that answers at once: nothing else happens in its thread while it computes. */
export interface Backend extends Place {
  readonly answers: 'at once';
  /** Puts a policy's tensors where the backend computes. */
  load(policy: Policy): LoadedPolicy;
}

/** A backend whose answers come later: several batches may be under way, so that its device is not idle between them. */
export interface DeviceBackend extends Place {
  readonly answers: 'later';
  load(policy: Policy): DevicePolicy;
}

export type AnyBackend = Backend | DeviceBackend;

interface Loaded {
  readonly policy: Policy;
  dispose(): void;
}

export interface LoadedPolicy extends Loaded {
  /** `[batch, observation]` int8 to `[batch, actions]` int32 logits with 10 fractional bits. */
  logits(observations: Int8Array, batch: number): Int32Array;
  /**
   * Logits and sampling in one, where the backend has both: `seeds` is `packSeeds` of the slots' sample seeds; the actions
   * of `step` go to `out[0..batch)`, the same as `sampleBatch` of the logits.
   */
  act?(observations: Int8Array, batch: number, seeds: Uint32Array, step: number, out: Uint16Array): void;
}

export interface DevicePolicy extends Loaded {
  /**
   * The same logits, later; `observations` must stay as it is until then.
   * @throws GrailError INT8_RANGE at once; later BACKEND_LOST when the device goes away, BACKEND_OUT_OF_MEMORY when it has
   * no memory left
   */
  logits(observations: Int8Array, batch: number): Promise<Int32Array>;
}
