import { INT8_MAX } from '../params/constants.ts';
import { seedBlock, seedWords } from '../policy/philox.ts';
import { Canvas } from './canvas.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { cosine, sine } from './trigonometry.ts';

/**
 * MountainCar-v0: Gymnasium's dynamics (Moore, 1990), in float64 and its order of operations. Reward is −1 each step,
 * the last included.
 */

const MIN_POSITION = -1.2;
const MAX_POSITION = 0.6;
const MAX_SPEED = 0.07;
const GOAL_POSITION = 0.5;
const FORCE = 0.001;
const GRAVITY = 0.0025;
const MAX_STEPS = 200;

/** The middle of the track and how far its ends are: the observation maps them to ±127. */
const CENTRE = -0.3;
const REACH = 0.9;

/** Position and velocity. */
const WIDTH = 2;

class MountainCarBatch implements EnvironmentBatch {
  readonly batch: number;
  /** `[batch, 2]`: position, velocity a step. */
  readonly states: Float64Array;
  /** Steps into the episode; −1 when it must be reset. */
  readonly #age: Int32Array;
  readonly #words = new Uint32Array(4);
  readonly #block = new Uint32Array(4);

  constructor(batch: number) {
    this.batch = batch;
    this.states = new Float64Array(batch * WIDTH);
    this.#age = new Int32Array(batch).fill(-1);
  }

  reset(index: number, taskSeed: Uint8Array): void {
    seedBlock(seedWords(taskSeed, this.#words), 0, 0, 0, this.#block);
    this.states[index * WIDTH] = ((this.#block[0]! + 0.5) / 4_294_967_296) * 0.2 - 0.6;
    this.states[index * WIDTH + 1] = 0;
    this.#age[index] = 0;
  }

  /** MountainCar has no randomness of its own. */
  seed(): void {}

  observe(out: Int8Array): void {
    for (let at = 0; at < this.batch * WIDTH; at += WIDTH) {
      const position = Math.floor(((this.states[at]! - CENTRE) * INT8_MAX) / REACH + 0.5);
      const velocity = Math.floor((this.states[at + 1]! * INT8_MAX) / MAX_SPEED + 0.5);
      out[at] = Math.max(-INT8_MAX, Math.min(position, INT8_MAX));
      out[at + 1] = Math.max(-INT8_MAX, Math.min(velocity, INT8_MAX));
    }
  }

  step(
    actions: Uint16Array,
    _slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void {
    const states = this.states;
    for (let index = 0; index < this.batch; index++) {
      if (this.#age[index]! < 0) throw new RangeError(`episode ${index} must be reset before its next step`);
      const action = actions[index]!;
      if (action > 2) throw new RangeError(`MountainCar has actions 0, 1 and 2, not ${action}`);
      const at = index * WIDTH;
      const pushed = states[at + 1]! + ((action - 1) * FORCE + cosine(3 * states[at]!) * -GRAVITY);
      const speed = Math.max(-MAX_SPEED, Math.min(pushed, MAX_SPEED));
      const position = Math.max(MIN_POSITION, Math.min(states[at]! + speed, MAX_POSITION));
      // The left wall stops the car.
      const velocity = position === MIN_POSITION && speed < 0 ? 0 : speed;
      states[at] = position;
      states[at + 1] = velocity;
      const age = this.#age[index]! + 1;
      const arrived = position >= GOAL_POSITION && velocity >= 0;
      const late = age >= MAX_STEPS;
      rewards[index] = -1;
      terminated[index] = arrived ? 1 : 0;
      truncated[index] = late ? 1 : 0;
      this.#age[index] = arrived || late ? -1 : age;
    }
  }

  draw(index: number): string {
    const position = this.states[index * WIDTH]!;
    const velocity = this.states[index * WIDTH + 1]!;
    const canvas = new Canvas(60, 19, { left: MIN_POSITION - 0.02, bottom: 0.02, width: 1.84 });
    for (let x = MIN_POSITION; x < MAX_POSITION; x += 0.01) {
      canvas.line(x, height(x), x + 0.01, height(x + 0.01));
    }
    const flag = height(GOAL_POSITION);
    canvas.line(GOAL_POSITION, flag, GOAL_POSITION, flag + 0.2);
    canvas.box(GOAL_POSITION + 0.01, flag + 0.13, GOAL_POSITION + 0.07, flag + 0.2);
    const ground = height(position) + 0.02;
    canvas.box(position - 0.05, ground, position + 0.05, ground + 0.06);
    return `${canvas}\nposition ${position.toFixed(3)}  velocity ${velocity.toFixed(4)}`;
  }
}

/** Height of the hill in a drawing; the slope that the car feels is that of this curve. */
function height(position: number): number {
  return sine(3 * position) * 0.45 + 0.5;
}

/** MountainCar-v0 with its state in view: for tests against Gymnasium. */
export function createMountainCar(batch: number): EnvironmentBatch & { readonly states: Float64Array } {
  return new MountainCarBatch(batch);
}

export const mountainCar: Environment = {
  id: 'MountainCar-v0',
  summary:
    'Rock an underpowered car out of a valley to the flag on the right: −1 for every step until it is there.',
  source: 'Moore (1990); dynamics of Gymnasium’s MountainCar-v0',
  observation: WIDTH,
  shape: [WIDTH],
  observed: ['position', 'velocity'],
  actions: 3,
  actionNames: ['left', 'coast', 'right'],
  maxEpisodeSteps: MAX_STEPS,
  create: createMountainCar,
};
