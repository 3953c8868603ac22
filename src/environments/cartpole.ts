import { Canvas } from './canvas.ts';
import { ControlBatch, quantise } from './control-batch.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { cosine, sine, sineCosineAt } from './trigonometry.ts';

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

/** States: x, ẋ, θ, θ̇. */
class CartPoleBatch extends ControlBatch {
  /** sin θ and cos θ. */
  readonly #pole = new Float64Array(2);

  constructor(batch: number) {
    super(batch, { name: 'CartPole', width: WIDTH, actions: 2, maxSteps: MAX_STEPS });
  }

  protected start(at: number, uniform: (i: number) => number): void {
    for (let i = 0; i < WIDTH; i++) this.states[at + i] = uniform(i) * 0.1 - 0.05;
  }

  observe(out: Int8Array): void {
    const size = this.batch * WIDTH;
    for (let i = 0; i < size; i++) out[i] = quantise(this.states[i]!, RANGES[i % WIDTH]!);
  }

  protected reward(): number {
    return 1;
  }

  protected advance(at: number, action: number): boolean {
    const states = this.states;
    const x = states[at]!;
    const xDot = states[at + 1]!;
    const theta = states[at + 2]!;
    const thetaDot = states[at + 3]!;
    const force = action === 1 ? FORCE : -FORCE;
    const pole = this.#pole;
    pole[0] = theta;
    sineCosineAt(pole, 0);
    const sin = pole[0]!;
    const cos = pole[1]!;
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
    return Math.abs(nextX) > X_LIMIT || Math.abs(nextTheta) > THETA_LIMIT;
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
