import { INT8_MAX } from '../params/constants.ts';
import { seedBlock, seedWords } from '../policy/philox.ts';
import type { EnvironmentBatch } from './environment.ts';

/** What the episodes of a classic-control task share: float64 states, a time limit, no randomness but the start's. */
export abstract class ControlBatch implements EnvironmentBatch {
  readonly batch: number;
  /** `[batch, width]`. */
  readonly states: Float64Array;
  readonly #name: string;
  readonly #width: number;
  readonly #actions: number;
  readonly #maxSteps: number;
  /** Steps into the episode; −1 when it must be reset. */
  readonly #age: Int32Array;
  readonly #words = new Uint32Array(4);
  readonly #block = new Uint32Array(4);

  constructor(batch: number, task: { name: string; width: number; actions: number; maxSteps: number }) {
    this.batch = batch;
    this.#name = task.name;
    this.#width = task.width;
    this.#actions = task.actions;
    this.#maxSteps = task.maxSteps;
    this.states = new Float64Array(batch * task.width);
    this.#age = new Int32Array(batch).fill(-1);
  }

  /** Writes the start state at `at` of `states`; `uniform(i)` is the seed's i-th number in (0, 1), i from 0 to 3. */
  protected abstract start(at: number, uniform: (i: number) => number): void;
  /** Takes the state at `at` one step on. @returns whether it is terminal */
  protected abstract advance(at: number, action: number): boolean;
  /** Reward of a step. */
  protected abstract reward(terminal: boolean): number;
  abstract observe(out: Int8Array): void;
  abstract draw(index: number): string;

  reset(index: number, taskSeed: Uint8Array): void {
    seedBlock(seedWords(taskSeed, this.#words), 0, 0, 0, this.#block);
    this.start(index * this.#width, this.#uniform);
    this.#age[index] = 0;
  }

  readonly #uniform = (i: number): number => (this.#block[i]! + 0.5) / 4_294_967_296;

  /** Classic control has no randomness of its own. */
  seed(): void {}

  step(
    actions: Uint16Array,
    _slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void {
    for (let index = 0; index < this.batch; index++) {
      if (this.#age[index]! < 0) throw new RangeError(`episode ${index} must be reset before its next step`);
      const action = actions[index]!;
      if (action >= this.#actions) {
        throw new RangeError(`${this.#name} has actions 0 to ${this.#actions - 1}, not ${action}`);
      }
      const terminal = this.advance(index * this.#width, action);
      const age = this.#age[index]! + 1;
      const late = age >= this.#maxSteps;
      rewards[index] = this.reward(terminal);
      terminated[index] = terminal ? 1 : 0;
      truncated[index] = late ? 1 : 0;
      this.#age[index] = terminal || late ? -1 : age;
    }
  }
}

/** A value of a range, ±range to ±127: the nearest integer, halves upwards, within ±127. */
export function quantise(value: number, range: number): number {
  const level = Math.floor((value * INT8_MAX) / range + 0.5);
  return Math.max(-INT8_MAX, Math.min(level, INT8_MAX));
}
