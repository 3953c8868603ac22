import { toHex } from '../../protocol/bytes.ts';
import { FRESH, type HistoryHead, type MemoryMarks } from '../history.ts';
import { stateId } from '../state-id.ts';
import type { TensorSource } from '../tensor.ts';
import type { Committed, Draft } from './draft.ts';
import { HistoryBuffers } from './history-buffers.ts';
import type { StateKeeper } from './keeper.ts';
import type { Manifest } from './manifest.ts';

/** A state with the history that it is held with. `marks` change with the next step: copy what is to last. */
export interface HeldState {
  readonly state: TensorSource;
  readonly marks?: MemoryMarks | null | undefined;
  readonly head?: HistoryHead | undefined;
}

/** What a publisher's next patch starts from. It moves when a manifest is in the log, and not before. */
export class PublisherState {
  readonly #keeper: StateKeeper;
  readonly #heldResets: number;
  #base: Committed | null = null;
  #history: HistoryBuffers | null = null;
  #resetPoints: Committed[] = [];
  #patchesSinceReset = 0;

  constructor(keeper: StateKeeper, heldResets: number) {
    this.#keeper = keeper;
    this.#heldResets = heldResets;
  }

  get base(): Committed | null {
    return this.#base;
  }

  get history(): HistoryBuffers | null {
    return this.#history;
  }

  /** Oldest first. */
  get resetPoints(): readonly Committed[] {
    return this.#resetPoints;
  }

  get patchesSinceReset(): number {
    return this.#patchesSinceReset;
  }

  /** Goes on from what was held before a restart, if it is the state that `last` led to. */
  resume(held: HeldState, last: Manifest): void {
    if (toHex(stateId(held.state)) !== last.targetId) return;
    const { sequence, step, targetId: id } = last;
    const { gives } = last.history;
    const { head = FRESH, marks = null } = held;
    const same = toHex(head.tag) === gives.tag && head.steps === gives.steps;
    this.#base = { state: this.#keeper.keep(held.state), id, step, sequence };
    this.#history = new HistoryBuffers(held.state.specs, head, same ? marks : null);
    this.#patchesSinceReset = this.#history.head.steps;
    if (gives.steps === 0) this.endEpoch();
  }

  /** A manifest that leads to a new state is in the log. */
  advance({ sequence, step, targetId: id }: Manifest, { kind, state, head, resets }: Draft): void {
    if (state === null) return;
    const before = this.#base;
    this.#base = { state, id, step, sequence };
    if (kind === 'anchor') this.#history = new HistoryBuffers(state.specs);
    else this.#history!.commit(head);
    this.#patchesSinceReset = resets ? 0 : this.#patchesSinceReset + 1;
    if (before !== null && !this.#resetPoints.includes(before)) this.#keeper.release(before.state);
  }

  /** Makes the present state a reset point, and lets the oldest go. */
  endEpoch(): void {
    if (this.#base === null || this.#heldResets === 0) return;
    this.#resetPoints.push(this.#base);
    for (const { state } of this.#resetPoints.splice(0, this.#resetPoints.length - this.#heldResets)) {
      this.#keeper.release(state);
    }
  }

  /** Somebody else moved the log: what is held here leads nowhere any more. */
  clear(): void {
    for (const { state } of new Set([...this.#resetPoints, ...(this.#base === null ? [] : [this.#base])])) {
      this.#keeper.release(state);
    }
    this.#base = null;
    this.#history = null;
    this.#resetPoints = [];
    this.#patchesSinceReset = 0;
  }
}
