import type { BackendName } from '../../src/backends/index.ts';
import type { RolloutArrays, SlotEnds } from '../../src/environments/index.ts';
import type { Architecture, Policy } from '../../src/policy/index.ts';
import type { Code } from '../../src/protocol/codes.ts';
import type { Details } from '../../src/protocol/errors.ts';
import type { RolloutInput } from './types.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly backend: BackendName;
  readonly architecture: Architecture;
}

/** Places in the shared words by which a crew speaks with threads that are too busy for messages. */
export const STOP = 0;
export const DONE = 1;

export interface PlayRequest {
  readonly type: 'play';
  readonly input: Omit<RolloutInput, 'policy'>;
  /** The window's policy; absent when it is the one that was sent last. */
  readonly policy?: Policy;
  readonly first: number;
  readonly slots: number;
  /** The whole window's, in shared memory. */
  readonly out: RolloutArrays;
  readonly digests: boolean;
  readonly words: Int32Array;
}

export type ThreadRequest = PlayRequest | { readonly type: 'close' };

/** What a range of slots leaves beside the arrays. */
export interface PlayedSlots {
  /** Of each lane, in the order of their slots. */
  readonly ends: readonly SlotEnds[];
  /** Of each slot, unless they were not wanted. */
  readonly digests: readonly Uint8Array[] | null;
}

export type ThreadReply =
  | { readonly type: 'ready'; readonly device: string }
  | ({ readonly type: 'played'; readonly memoryBytes: number } & PlayedSlots)
  | { readonly type: 'failed'; readonly error: { code: Code; message: string; details: Details } };
