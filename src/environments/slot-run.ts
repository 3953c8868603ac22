import type { MinerSeeds } from '../protocol/seeds.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { RowCopy } from './rows.ts';
import type { RolloutArrays, SlotEnds } from './slots.ts';

/** Numbers of an episode's summary beside the return: slot, start and length. */
export const SUMMARY = 3;

/** Slots first … first + slots − 1 of a window. */
export interface SlotRange {
  readonly first: number;
  readonly slots: number;
  readonly steps: number;
}

/**
 * Slots of a window, stepped from outside: read `observations`, fill `actions`, call `advance`, until `done`. What comes
 * of a slot does not depend on which others run beside it. A step in which no episode ends allocates nothing.
 */
export class SlotRun {
  readonly first: number;
  readonly slots: number;
  readonly steps: number;
  /** `[slots, observation]` int8: what to act on at `step`. */
  readonly observations: Int8Array;
  /** `[slots]`: to be filled before each `advance`. */
  readonly actions: Uint16Array;
  readonly #batch: EnvironmentBatch;
  readonly #seeds: MinerSeeds;
  readonly #groupSize: number;
  readonly #width: number;
  readonly #out: RolloutArrays;
  readonly #rows: RowCopy;
  /** `[slots]`: of the last step. */
  readonly #rewards: Float32Array;
  readonly #terminated: Uint8Array;
  readonly #truncated: Uint8Array;
  /** `[slots]`: of the episode that runs, its number in the slot, first step and return so far. */
  readonly #episode: Uint32Array;
  readonly #start: Uint32Array;
  readonly #total: Float64Array;
  #step = 0;
  #bootstraps = 0;
  /** `[capacity]` and `[capacity, observation]`, in the order of steps. */
  #bootstrapIndex: Uint32Array;
  #bootstrapRows: Int8Array;
  #ended = 0;
  /** `[capacity, 3]`: slot, start and length. */
  #summaries: Uint32Array;
  /** `[capacity]`. */
  #returns: Float64Array;

  /**
   * @param out of the whole window: step t of slot s is written at s·steps + t
   * @throws RangeError when the range does not lie in `out`
   */
  constructor(
    environment: Environment,
    seeds: MinerSeeds,
    groupSize: number,
    range: SlotRange,
    out: RolloutArrays,
  ) {
    const { first, slots, steps } = range;
    const width = environment.observation;
    const begin = first * steps;
    const end = (first + slots) * steps;
    if (out.actions.length < end || out.observations.length < end * width) {
      throw new RangeError(`arrays of ${out.actions.length} steps have no slots up to ${first + slots}`);
    }
    // Only the steps that end an episode are written.
    out.terminated.fill(0, begin, end);
    out.truncated.fill(0, begin, end);
    this.first = first;
    this.slots = slots;
    this.steps = steps;
    this.observations = new Int8Array(slots * width);
    this.actions = new Uint16Array(slots);
    this.#seeds = seeds;
    this.#groupSize = groupSize;
    this.#width = width;
    this.#out = out;
    this.#rows = new RowCopy(this.observations, out.observations, width);
    this.#rewards = new Float32Array(slots);
    this.#terminated = new Uint8Array(slots);
    this.#truncated = new Uint8Array(slots);
    this.#episode = new Uint32Array(slots);
    this.#start = new Uint32Array(slots);
    this.#total = new Float64Array(slots);
    const capacity = Math.max(1, slots);
    this.#bootstrapIndex = new Uint32Array(capacity);
    this.#bootstrapRows = new Int8Array(capacity * width);
    this.#summaries = new Uint32Array(capacity * SUMMARY);
    this.#returns = new Float64Array(capacity);
    this.#batch = environment.create(slots);
    for (let slot = 0; slot < slots; slot++) {
      this.#batch.seed(slot, seeds.environment(first + slot));
      this.#reset(slot);
    }
    this.#batch.observe(this.observations);
  }

  /** Of the next `advance`, from 0. */
  get step(): number {
    return this.#step;
  }

  get done(): boolean {
    return this.#step >= this.steps;
  }

  /**
   * Takes every slot one step on with `actions`, and begins the episodes that follow those that ended.
   * @throws RangeError after the last step, or from an environment that has no such action
   */
  advance(): void {
    if (this.done) throw new RangeError(`slots have ${this.steps} steps`);
    const batch = this.#batch;
    const last = this.#step === this.steps - 1;
    batch.step(this.actions, this.#step, this.#rewards, this.#terminated, this.#truncated);
    this.#record();
    const terminated = this.#terminated;
    const truncated = this.#truncated;
    let ended = 0;
    let late = 0;
    for (let slot = 0; slot < this.slots; slot++) {
      ended |= terminated[slot]!;
      late |= truncated[slot]! & ~terminated[slot]!;
    }
    // A bootstrap is of the state before the reset; otherwise nobody looks at it.
    if (late !== 0 || last) batch.observe(this.observations);
    if (ended !== 0 || late !== 0 || last) this.#settle(last);
    if (!last) batch.observe(this.observations);
    this.#step += 1;
  }

  /** What was seen, done and paid in this step. */
  #record(): void {
    const out = this.#out;
    const actions = this.actions;
    const rewards = this.#rewards;
    const total = this.#total;
    const { slots, steps } = this;
    this.#rows.copyAll(slots, this.first * steps + this.#step, steps);
    let at = this.first * steps + this.#step;
    for (let slot = 0; slot < slots; slot++) {
      const reward = rewards[slot]!;
      out.actions[at] = actions[slot]!;
      out.rewards[at] = reward;
      total[slot]! += reward;
      at += steps;
    }
  }

  /** Slots that ended an episode in this step, and after the last one those whose episode goes on. */
  #settle(last: boolean): void {
    for (let slot = 0; slot < this.slots; slot++) {
      const at = (this.first + slot) * this.steps + this.#step;
      const terminated = this.#terminated[slot] === 1;
      const truncated = this.#truncated[slot] === 1;
      if (!terminated && (truncated || last)) this.#addBootstrap(slot, at);
      if (!terminated && !truncated) continue;
      this.#out.terminated[at] = this.#terminated[slot]!;
      this.#out.truncated[at] = this.#truncated[slot]!;
      this.#addEpisode(slot);
      this.#episode[slot]! += 1;
      this.#start[slot] = this.#step + 1;
      this.#total[slot] = 0;
      if (!last) this.#reset(slot);
    }
  }

  #reset(slot: number): void {
    const group = Math.floor((this.first + slot) / this.#groupSize);
    this.#batch.reset(slot, this.#seeds.task(group, this.#episode[slot]!));
  }

  #addBootstrap(slot: number, index: number): void {
    const width = this.#width;
    const count = this.#bootstraps++;
    if (count === this.#bootstrapIndex.length) {
      this.#bootstrapIndex = moved(this.#bootstrapIndex, new Uint32Array(2 * count));
      this.#bootstrapRows = moved(this.#bootstrapRows, new Int8Array(2 * count * width));
    }
    this.#bootstrapIndex[count] = index;
    this.#bootstrapRows.set(this.observations.subarray(slot * width, (slot + 1) * width), count * width);
  }

  #addEpisode(slot: number): void {
    const count = this.#ended++;
    if (count === this.#returns.length) {
      this.#summaries = moved(this.#summaries, new Uint32Array(2 * count * SUMMARY));
      this.#returns = moved(this.#returns, new Float64Array(2 * count));
    }
    const start = this.#start[slot]!;
    this.#summaries[count * SUMMARY] = this.first + slot;
    this.#summaries[count * SUMMARY + 1] = start;
    this.#summaries[count * SUMMARY + 2] = this.#step + 1 - start;
    this.#returns[count] = this.#total[slot]!;
  }

  /** @throws RangeError before the last step */
  ends(): SlotEnds {
    if (!this.done) throw new RangeError(`slots are at step ${this.#step} of ${this.steps}`);
    const width = this.#width;
    const found = this.#bootstrapIndex;
    const order = Uint32Array.from({ length: this.#bootstraps }, (_, i) => i);
    order.sort((a, b) => found[a]! - found[b]!);
    const bootstrapObservations = new Int8Array(order.length * width);
    for (const [i, from] of order.entries()) {
      bootstrapObservations.set(this.#bootstrapRows.subarray(from * width, (from + 1) * width), i * width);
    }
    return {
      bootstrapIndex: order.map((from) => found[from]!),
      bootstrapObservations,
      summaries: this.#summaries.slice(0, this.#ended * SUMMARY),
      returns: this.#returns.slice(0, this.#ended),
    };
  }
}

/** What an array held, at the beginning of a larger one. */
function moved<A extends { set(values: A): void }>(from: A, into: A): A {
  into.set(from);
  return into;
}
