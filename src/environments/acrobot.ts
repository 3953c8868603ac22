import { Canvas } from './canvas.ts';
import { ControlBatch, quantise } from './control-batch.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { cosine, cosineAt, sine, sineCosineAt } from './trigonometry.ts';

/**
 * Acrobot-v1: Gymnasium's dynamics (Sutton, 1996, with the equations of Sutton and Barto's book), one step of the
 * classical Runge-Kutta method in float64. Both links have length and mass 1, their centres of mass at ½ and moments
 * of inertia 1; the order of operations is Gymnasium's, with the products of such constants taken.
 *
 * Reward is −1 each step and 0 for the one that lifts the free end a link's length above the joint.
 */

const GRAVITY = 9.8;
const TWO_PI = 6.283185307179586;
const PI = TWO_PI / 2;
const HALF_PI = TWO_PI / 4;
/** 4π and 9π a second. */
const MAX_VELOCITY_1 = 12.566370614359172;
const MAX_VELOCITY_2 = 28.274333882308138;
/** Seconds a step. */
const DT = 0.2;
const HALF_DT = DT / 2;
const SIXTH_DT = DT / 6;
const MAX_STEPS = 500;

/** θ1, θ2, θ̇1, θ̇2. */
const WIDTH = 4;
const OBSERVED = ['cos θ1', 'sin θ1', 'cos θ2', 'sin θ2', 'θ̇1', 'θ̇2'] as const;

/** An angle between −π and π, by as many turns as it takes. */
function wrap(angle: number): number {
  let wrapped = angle;
  while (wrapped > PI) wrapped -= TWO_PI;
  while (wrapped < -PI) wrapped += TWO_PI;
  return wrapped;
}

/** States: θ1 from hanging, θ2 from the first link, θ̇1, θ̇2. */
class AcrobotBatch extends ControlBatch {
  /** Of a stage: θ1, θ2, θ̇1, θ̇2. */
  readonly #stage = new Float64Array(WIDTH);
  /** θ̈1 and θ̈2. */
  readonly #acceleration = new Float64Array(2);
  /** Angles, then their sines and cosines. */
  readonly #angles = new Float64Array(4);

  constructor(batch: number) {
    super(batch, { name: 'Acrobot', width: WIDTH, actions: 3, maxSteps: MAX_STEPS });
  }

  protected start(at: number, uniform: (i: number) => number): void {
    // Gymnasium's start states are float32.
    for (let i = 0; i < WIDTH; i++) this.states[at + i] = Math.fround(uniform(i) * 0.2 - 0.1);
  }

  observe(out: Int8Array): void {
    const states = this.states;
    const angles = this.#angles;
    for (let index = 0; index < this.batch; index++) {
      const from = index * WIDTH;
      const to = index * OBSERVED.length;
      angles[0] = states[from]!;
      angles[2] = states[from + 1]!;
      sineCosineAt(angles, 0);
      sineCosineAt(angles, 2);
      out[to] = quantise(angles[1]!, 1);
      out[to + 1] = quantise(angles[0]!, 1);
      out[to + 2] = quantise(angles[3]!, 1);
      out[to + 3] = quantise(angles[2]!, 1);
      out[to + 4] = quantise(states[from + 2]!, MAX_VELOCITY_1);
      out[to + 5] = quantise(states[from + 3]!, MAX_VELOCITY_2);
    }
  }

  protected reward(terminal: boolean): number {
    return terminal ? 0 : -1;
  }

  protected advance(at: number, action: number): boolean {
    this.#integrate(at, action - 1);
    const angles = this.#angles;
    angles[0] = this.states[at]!;
    angles[1] = this.states[at + 1]! + this.states[at]!;
    cosineAt(angles, 0);
    cosineAt(angles, 1);
    return -angles[0]! - angles[1]! > 1;
  }

  /** One step of the Runge-Kutta method from the state at `at`; a stage's derivative is (θ̇1, θ̇2, θ̈1, θ̈2). */
  #integrate(at: number, torque: number): void {
    const states = this.states;
    const stage = this.#stage;
    const acceleration = this.#acceleration;
    const t1 = states[at]!;
    const t2 = states[at + 1]!;
    const v1 = states[at + 2]!;
    const v2 = states[at + 3]!;
    stage[0] = t1;
    stage[1] = t2;
    stage[2] = v1;
    stage[3] = v2;
    this.#accelerate(torque);
    const a1 = acceleration[0]!;
    const a2 = acceleration[1]!;
    const secondV1 = v1 + HALF_DT * a1;
    const secondV2 = v2 + HALF_DT * a2;
    stage[0] = t1 + HALF_DT * v1;
    stage[1] = t2 + HALF_DT * v2;
    stage[2] = secondV1;
    stage[3] = secondV2;
    this.#accelerate(torque);
    const secondA1 = acceleration[0]!;
    const secondA2 = acceleration[1]!;
    const thirdV1 = v1 + HALF_DT * secondA1;
    const thirdV2 = v2 + HALF_DT * secondA2;
    stage[0] = t1 + HALF_DT * secondV1;
    stage[1] = t2 + HALF_DT * secondV2;
    stage[2] = thirdV1;
    stage[3] = thirdV2;
    this.#accelerate(torque);
    const thirdA1 = acceleration[0]!;
    const thirdA2 = acceleration[1]!;
    const fourthV1 = v1 + DT * thirdA1;
    const fourthV2 = v2 + DT * thirdA2;
    stage[0] = t1 + DT * thirdV1;
    stage[1] = t2 + DT * thirdV2;
    stage[2] = fourthV1;
    stage[3] = fourthV2;
    this.#accelerate(torque);
    const nextV1 = v1 + SIXTH_DT * (a1 + 2 * secondA1 + 2 * thirdA1 + acceleration[0]!);
    const nextV2 = v2 + SIXTH_DT * (a2 + 2 * secondA2 + 2 * thirdA2 + acceleration[1]!);
    states[at] = wrap(t1 + SIXTH_DT * (v1 + 2 * secondV1 + 2 * thirdV1 + fourthV1));
    states[at + 1] = wrap(t2 + SIXTH_DT * (v2 + 2 * secondV2 + 2 * thirdV2 + fourthV2));
    states[at + 2] = Math.max(-MAX_VELOCITY_1, Math.min(nextV1, MAX_VELOCITY_1));
    states[at + 3] = Math.max(-MAX_VELOCITY_2, Math.min(nextV2, MAX_VELOCITY_2));
  }

  /** Accelerations in the state of the stage. Numbers pass through arrays: as arguments V8 would allocate each. */
  #accelerate(torque: number): void {
    const stage = this.#stage;
    const angles = this.#angles;
    const theta1 = stage[0]!;
    const theta2 = stage[1]!;
    const v1 = stage[2]!;
    const v2 = stage[3]!;
    angles[0] = theta2;
    angles[2] = theta1 + theta2 - HALF_PI;
    angles[3] = theta1 - HALF_PI;
    sineCosineAt(angles, 0);
    cosineAt(angles, 2);
    cosineAt(angles, 3);
    const sin2 = angles[0]!;
    const cos2 = angles[1]!;
    const d1 = 0.25 + (1.25 + cos2) + 1 + 1;
    const d2 = 0.25 + 0.5 * cos2 + 1;
    const phi2 = 0.5 * GRAVITY * angles[2]!;
    const phi1 = -0.5 * (v2 * v2) * sin2 - v2 * v1 * sin2 + 1.5 * GRAVITY * angles[3]! + phi2;
    const a2 = (torque + (d2 / d1) * phi1 - 0.5 * (v1 * v1) * sin2 - phi2) / (1.25 - (d2 * d2) / d1);
    this.#acceleration[0] = -(d2 * a2 + phi1) / d1;
    this.#acceleration[1] = a2;
  }

  draw(index: number): string {
    const [theta1, theta2, v1, v2] = this.states.subarray(index * WIDTH, (index + 1) * WIDTH);
    const canvas = new Canvas(48, 19, { left: -2.7, bottom: -2.15, width: 5.4 });
    for (let x = -2.7; x < 2.7; x += 0.4) canvas.line(x, 1, x + 0.15, 1);
    const middleX = sine(theta1!);
    const middleY = -cosine(theta1!);
    const endX = middleX + sine(theta1! + theta2!);
    const endY = middleY - cosine(theta1! + theta2!);
    for (const offset of [-0.03, 0, 0.03]) {
      canvas.line(offset, 0, middleX + offset, middleY);
      canvas.line(0, offset, middleX, middleY + offset);
      canvas.line(middleX + offset, middleY, endX + offset, endY);
      canvas.line(middleX, middleY + offset, endX, endY + offset);
    }
    canvas.box(-0.1, -0.1, 0.1, 0.1);
    canvas.box(middleX - 0.07, middleY - 0.07, middleX + 0.07, middleY + 0.07);
    return `${canvas}\nθ1 ${theta1!.toFixed(2)}  θ2 ${theta2!.toFixed(2)}  θ̇1 ${v1!.toFixed(2)}  θ̇2 ${v2!.toFixed(2)}`;
  }
}

/** Acrobot-v1 with its state in view: for tests against Gymnasium. */
export function createAcrobot(batch: number): EnvironmentBatch & { readonly states: Float64Array } {
  return new AcrobotBatch(batch);
}

export const acrobot: Environment = {
  id: 'Acrobot-v1',
  summary:
    'Swing a two-link pendulum, driven at its elbow only, until its end is a link above the joint: −1 for every step before.',
  source: 'Sutton (1996); dynamics of Gymnasium’s Acrobot-v1',
  observation: OBSERVED.length,
  shape: [OBSERVED.length],
  observed: OBSERVED,
  actions: 3,
  actionNames: ['pull', 'rest', 'push'],
  maxEpisodeSteps: MAX_STEPS,
  create: createAcrobot,
};
