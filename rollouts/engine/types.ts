import type { BackendName } from '../../src/backends/index.ts';
import type { Rollouts } from '../../src/environments/index.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import type { Policy } from '../../src/policy/index.ts';
import type { Hex } from '../../src/protocol/bytes.ts';

/** A backend, and the threads that it would have. */
export interface EngineCandidate {
  readonly name: BackendName;
  readonly threads: number;
}

/** What a miner's rollouts of one window follow from: nothing else enters them. */
export interface RolloutInput {
  readonly genesis: Genesis;
  readonly window: number;
  /** 32 bytes each. */
  readonly genesisHash: Uint8Array;
  readonly windowSeed: Uint8Array;
  readonly miner: Hex;
  readonly slots: number;
  /** The window's policy. */
  readonly policy: Policy;
}

/** Rollouts, and what a commitment to them is made of. */
export interface PlayedRollouts extends Rollouts {
  /** `rolloutDigests`: of each slot, 32 bytes; null where they were not wanted. */
  readonly digests: readonly Uint8Array[] | null;
}

export interface PlayOptions {
  readonly signal?: AbortSignal;
  /** Whether to make digests, which nobody needs who does not commit. Default true. */
  readonly digests?: boolean;
  /** Hears now and then how many of all steps are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface RolloutEngine {
  /** The backend that plays, as `--backend` names it. */
  readonly backend: string;
  /** What computes, in words. */
  readonly device: string;
  /** Threads that play. */
  readonly threads: number;
  /**
   * The one valid rollout of each slot: `slots` slots of genesis.stepsPerSlot steps (docs/PROTOCOL.md, Rollouts). Calls are
   * played one after another.
   * @throws GrailError STOPPED when aborted or closed; BACKEND_LOST or BACKEND_OUT_OF_MEMORY when no backend is left to
   *   take over
   */
  play(input: RolloutInput, options?: PlayOptions): Promise<PlayedRollouts>;
  /** Bytes that the backends hold. */
  readonly memoryBytes: number;
  /** Ends the threads, and what they play with STOPPED. */
  close(): Promise<void>;
}
