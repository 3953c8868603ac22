import { INT8_MAX } from '../params/constants.ts';
import { seedBlock, seedWords } from '../policy/philox.ts';
import { Canvas } from './canvas.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { cosine, sine } from './trigonometry.ts';

/**
 * CartPole-v1: Gymnasium's dynamics (Barto, Sutton and Anderson, 1983) with Euler's method, in float64 and the order
 * of operations written here. Reward is 1 each step, the last included.
 */

const GRAVITY = 9.8;
const MASS_POLE = 0.1;
const TOTAL_MASS = 1.1;
/** Half the pole's length. */
const LENGTH = 0.5;
/** MASS_POLE · LENGTH. */
const POLE_MASS_LENGTH = 0.05;
const FORCE = 10;
/** Seconds a step. */
const TAU = 0.02;
/** 12 degrees: 12·2π/360. */
const THETA_LIMIT = 0.20943951023931953;
const X_LIMIT = 2.4;
const MAX_STEPS = 500;

/** Real ranges of x, ẋ, θ and θ̇ that the observation maps to ±127. */
const RANGES = [2.4, 3.0, 0.21, 3.5] as const;
const WIDTH = RANGES.length;

class CartPoleBatch implements EnvironmentBatch {
  readonly batch: number;
  /** `[batch, 4]`: x, ẋ, θ, θ̇. */
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
    for (let i = 0; i < WIDTH; i++) {
      this.states[index * WIDTH + i] = ((this.#block[i]! + 0.5) / 4_294_967_296) * 0.1 - 0.05;
    }
    this.#age[index] = 0;
  }

  /** CartPole has no randomness of its own. */
  seed(): void {}

  observe(out: Int8Array): void {
    const size = this.batch * WIDTH;
    for (let i = 0; i < size; i++) {
      const value = Math.floor((this.states[i]! * INT8_MAX) / RANGES[i % WIDTH]! + 0.5);
      out[i] = Math.max(-INT8_MAX, Math.min(value, INT8_MAX));
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
      if (action > 1) throw new RangeError(`CartPole has actions 0 and 1, not ${action}`);
      const at = index * WIDTH;
      const x = states[at]!;
      const xDot = states[at + 1]!;
      const theta = states[at + 2]!;
      const thetaDot = states[at + 3]!;
      const force = action === 1 ? FORCE : -FORCE;
      const cos = cosine(theta);
      const sin = sine(theta);
      const temp = (force + POLE_MASS_LENGTH * (thetaDot * thetaDot) * sin) / TOTAL_MASS;
      const thetaAcceleration =
        (GRAVITY * sin - cos * temp) / (LENGTH * (4 / 3 - (MASS_POLE * (cos * cos)) / TOTAL_MASS));
      const xAcceleration = temp - (POLE_MASS_LENGTH * thetaAcceleration * cos) / TOTAL_MASS;
      const nextX = x + TAU * xDot;
      const nextTheta = theta + TAU * thetaDot;
      states[at] = nextX;
      states[at + 1] = xDot + TAU * xAcceleration;
      states[at + 2] = nextTheta;
      states[at + 3] = thetaDot + TAU * thetaAcceleration;
      const age = this.#age[index]! + 1;
      const fell = Math.abs(nextX) > X_LIMIT || Math.abs(nextTheta) > THETA_LIMIT;
      const late = age >= MAX_STEPS;
      rewards[index] = 1;
      terminated[index] = fell ? 1 : 0;
      truncated[index] = late ? 1 : 0;
      this.#age[index] = fell || late ? -1 : age;
    }
  }

  draw(index: number): string {
    const [x, xDot, theta, thetaDot] = this.states.subarray(index * WIDTH, (index + 1) * WIDTH);
    const canvas = new Canvas(60, 14, { left: -X_LIMIT - 0.35, bottom: -0.2, width: 2 * X_LIMIT + 0.7 });
    canvas.line(-X_LIMIT, 0, X_LIMIT, 0);
    for (const limit of [-X_LIMIT, X_LIMIT]) canvas.line(limit, -0.1, limit, 0.1);
    canvas.box(x! - 0.25, 0.1, x! + 0.25, 0.35);
    for (const offset of [-0.03, 0, 0.03]) {
      canvas.line(
        x! + offset,
        0.35,
        x! + offset + 4 * LENGTH * sine(theta!),
        0.35 + 4 * LENGTH * cosine(theta!),
      );
    }
    return `${canvas}\nx ${x!.toFixed(2)}  ẋ ${xDot!.toFixed(2)}  θ ${theta!.toFixed(3)}  θ̇ ${thetaDot!.toFixed(2)}`;
  }
}

/** CartPole-v1 with its state in view: for tests against Gymnasium. */
export function createCartPole(batch: number): EnvironmentBatch & { readonly states: Float64Array } {
  return new CartPoleBatch(batch);
}

export const cartPole: Environment = {
  id: 'CartPole-v1',
  summary:
    'Balance a pole on a cart by pushing the cart left or right: 1 for every step until the pole falls.',
  source: 'Barto, Sutton and Anderson (1983); dynamics of Gymnasium’s CartPole-v1',
  observation: WIDTH,
  shape: [WIDTH],
  observed: ['x', 'ẋ', 'θ', 'θ̇'],
  actions: 2,
  actionNames: ['left', 'right'],
  maxEpisodeSteps: MAX_STEPS,
  create: createCartPole,
};
