import { fromHex, type Hex, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { decodeAnchor } from '../anchor.ts';
import { applyPatch } from '../apply.ts';
import { sameSpecs } from '../checks.ts';
import { FRESH, type HistoryHead, type MemoryMarks } from '../history.ts';
import { stateId } from '../state-id.ts';
import { MemoryTensors, type TensorSink, type TensorSource, type TensorSpec } from '../tensor.ts';
import { HistoryBuffers } from './history-buffers.ts';
import type { Manifest } from './manifest.ts';
import { placesOf } from './places.ts';
import { type Chunks, chunkSource } from './store.ts';

/** Room for a whole state: written once, then read. */
export type StateBuffer = TensorSource & TensorSink;

export interface ReceivedState {
  readonly state: TensorSource;
  readonly id: Hex;
  readonly step: number;
}

/**
 * What a receiver holds, and a second buffer that the next state is made in. They change places when the state is whole and
 * is the one that was promised; until then nothing of what is held changes, whatever happens.
 */
export class ReceiverState {
  readonly #room: (specs: readonly TensorSpec[]) => StateBuffer;
  readonly #maxBytes: number | undefined;
  #held: ReceivedState | null = null;
  #history: HistoryBuffers | null = null;
  /** The buffer behind what is held; null while that is the caller's own. */
  #front: StateBuffer | null = null;
  #back: StateBuffer | null = null;

  constructor(
    room: (specs: readonly TensorSpec[]) => StateBuffer = (specs) => new MemoryTensors(specs),
    maxBytes?: number,
  ) {
    this.#room = room;
    this.#maxBytes = maxBytes;
  }

  get held(): ReceivedState | null {
    return this.#held;
  }

  get head(): HistoryHead {
    return this.#history?.head ?? FRESH;
  }

  get marks(): MemoryMarks | null {
    return this.#history?.marks ?? null;
  }

  /** Where this is in the chain's graph. */
  get places(): string[] {
    return this.#held === null ? [] : placesOf(this.#held.id, toHex(this.head.tag));
  }

  resume(held: {
    readonly state: TensorSource;
    readonly step: number;
    readonly marks?: MemoryMarks | null | undefined;
    readonly head?: HistoryHead | undefined;
  }): void {
    const { state, step } = held;
    this.#held = { state, step, id: toHex(stateId(state)) };
    this.#history = new HistoryBuffers(state.specs, held.head, held.marks ?? null);
  }

  /**
   * Applies the blob of a manifest and holds what it leads to.
   * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH, PATCH_TARGET_MISMATCH, PATCH_HISTORY_MISMATCH, TENSORS_INVALID or
   *   TOO_LARGE; what is held is as it was
   */
  apply(manifest: Manifest, chunks: Chunks, signal: AbortSignal | undefined): void {
    if (manifest.kind === 'anchor') this.#applyAnchor(manifest, chunks, signal);
    else this.#applyPatch(manifest, chunks, signal);
  }

  /** The state that is held was published again as a later step. */
  moveTo(step: number): void {
    if (this.#held !== null) this.#held = { ...this.#held, step };
  }

  #applyAnchor({ targetId, step }: Manifest, chunks: Chunks, signal: AbortSignal | undefined): void {
    let staged: StateBuffer | undefined;
    decodeAnchor({
      anchor: chunkSource(chunks),
      sinkFor: (specs) => {
        staged = this.#stage(specs);
        return staged;
      },
      targetId: fromHex(targetId),
      maxBytes: this.#maxBytes,
      signal,
    });
    this.#history = new HistoryBuffers(staged!.specs);
    this.#swap(staged!, targetId, step);
  }

  #applyPatch({ targetId, step, history }: Manifest, chunks: Chunks, signal: AbortSignal | undefined): void {
    const held = this.#held;
    if (held === null) throw new GrailError('PATCH_CHAIN_BROKEN', 'a patch needs a state to start from');
    const staged = this.#stage(held.state.specs);
    const { needs, gives } = history;
    const { head } = applyPatch({
      base: held.state,
      baseId: fromHex(held.id),
      patch: chunkSource(chunks),
      sink: staged,
      ...(needs === null ? {} : this.#history!.stage(needs.steps === 0)),
      targetId: fromHex(targetId),
      signal,
    });
    const next = gives.steps === 0 ? FRESH : head;
    if (toHex(next.tag) !== gives.tag || next.steps !== gives.steps) {
      throw new GrailError(
        'PATCH_HISTORY_MISMATCH',
        'the patch gives another history than its manifest says',
        {
          expected: gives,
          got: { steps: next.steps, tag: toHex(next.tag) },
        },
      );
    }
    this.#history!.commit(next);
    this.#swap(staged, targetId, step);
  }

  #stage(specs: readonly TensorSpec[]): StateBuffer {
    if (this.#back === null || !sameSpecs(this.#back.specs, specs)) {
      this.#back = null;
      this.#back = this.#room(specs);
    }
    return this.#back;
  }

  #swap(staged: StateBuffer, id: Hex, step: number): void {
    this.#held = { state: staged, id, step };
    [this.#front, this.#back] = [staged, this.#front];
  }
}
