import { Canvas } from './canvas.ts';
import { ControlBatch, quantise } from './control-batch.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { cosineAt, sine } from './trigonometry.ts';

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

/** States: position, velocity a step. */
class MountainCarBatch extends ControlBatch {
  readonly #slope = new Float64Array(1);

  constructor(batch: number) {
    super(batch, { name: 'MountainCar', width: WIDTH, actions: 3, maxSteps: MAX_STEPS });
  }

  protected start(at: number, uniform: (i: number) => number): void {
    this.states[at] = uniform(0) * 0.2 - 0.6;
    this.states[at + 1] = 0;
  }

  observe(out: Int8Array): void {
    for (let at = 0; at < this.batch * WIDTH; at += WIDTH) {
      out[at] = quantise(this.states[at]! - CENTRE, REACH);
      out[at + 1] = quantise(this.states[at + 1]!, MAX_SPEED);
    }
  }

  protected reward(): number {
    return -1;
  }

  protected advance(at: number, action: number): boolean {
    const states = this.states;
    const slope = this.#slope;
    slope[0] = 3 * states[at]!;
    cosineAt(slope, 0);
    const pushed = states[at + 1]! + ((action - 1) * FORCE + slope[0]! * -GRAVITY);
    const speed = Math.max(-MAX_SPEED, Math.min(pushed, MAX_SPEED));
    const position = Math.max(MIN_POSITION, Math.min(states[at]! + speed, MAX_POSITION));
    // The left wall stops the car.
    const velocity = position === MIN_POSITION && speed < 0 ? 0 : speed;
    states[at] = position;
    states[at + 1] = velocity;
    return position >= GOAL_POSITION && velocity >= 0;
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
