import { type ChainState, roundToBf16 } from './chain-state.ts';
import { normalNumbers } from './gaussian.ts';
import type { NamedTensor } from './rivals/index.ts';

export interface SimulationOptions {
  readonly learningRate: number;
  /** Standard deviation of a constant part of each weight's gradient, beside noise of 1 (default 0: noise alone). */
  readonly drift?: number;
  /** Dimensions of the one tensor (default [2048, 4096]). */
  readonly dims?: readonly [rows: number, columns: number];
  readonly seed?: number;
}

const SPREAD = 0.02;
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;
/** Weights whose gradients are drawn at a time: few enough to stay in the cache. */
const BLOCK = 8192;

/**
 * What a matrix of a language model does under Adam: Gaussian weights of deviation 0.02, gradients of unit noise, float32
 * masters and moments that are published as bf16. Its densities and flip-backs are those of noise: real gradients also
 * have rows, columns and directions. Measured at 0.2 s a step of 8.4 M weights.
 */
export class Simulation {
  readonly tensors: readonly NamedTensor[];
  readonly #learningRate: number;
  readonly #fillNormal: (out: Float32Array) => void;
  readonly #weights: Float32Array;
  readonly #drift: Float32Array | null;
  readonly #first: Float32Array;
  readonly #second: Float32Array;
  #steps = 0;

  constructor({ learningRate, drift = 0, dims = [2048, 4096], seed = 1 }: SimulationOptions) {
    const size = dims[0] * dims[1];
    const normal = (deviation: number) => {
      const values = new Float32Array(size);
      this.#fillNormal(values);
      for (let i = 0; i < size; i++) values[i]! *= deviation;
      return values;
    };
    this.tensors = [{ name: 'weight', dims }];
    this.#learningRate = learningRate;
    this.#fillNormal = normalNumbers(seed);
    this.#weights = normal(SPREAD);
    this.#drift = drift === 0 ? null : normal(drift);
    this.#first = new Float32Array(size);
    this.#second = new Float32Array(size);
  }

  /** Updates made so far. */
  get steps(): number {
    return this.#steps;
  }

  step(): void {
    this.#steps++;
    const gradients = new Float32Array(BLOCK);
    for (let start = 0; start < this.#weights.length; start += BLOCK) {
      const block = gradients.subarray(0, Math.min(BLOCK, this.#weights.length - start));
      this.#fillNormal(block);
      const drift = this.#drift;
      if (drift !== null) for (let i = 0; i < block.length; i++) block[i]! += drift[start + i]!;
      this.#adam(start, block);
    }
  }

  /** The weights as they are now, as bf16. */
  state(): Uint16Array {
    const out = new Uint16Array(this.#weights.length);
    roundToBf16(this.#weights, out);
    return out;
  }

  #adam(start: number, gradients: Float32Array): void {
    const weights = this.#weights;
    const first = this.#first;
    const second = this.#second;
    const stepSize = this.#learningRate / (1 - BETA1 ** this.#steps);
    const correction = 1 / (1 - BETA2 ** this.#steps);
    for (let i = 0; i < gradients.length; i++) {
      const at = start + i;
      const gradient = gradients[i]!;
      const m = BETA1 * first[at]! + (1 - BETA1) * gradient;
      const v = BETA2 * second[at]! + (1 - BETA2) * gradient * gradient;
      first[at] = m;
      second[at] = v;
      weights[at] = weights[at]! - (stepSize * m) / (Math.sqrt(v * correction) + EPSILON);
    }
  }
}

/** The states before the first and after each of `steps` updates. */
export function* simulatedChain(options: SimulationOptions, steps: number): Generator<ChainState> {
  const simulation = new Simulation(options);
  const { tensors } = simulation;
  yield { step: 0, state: simulation.state(), tensors, loss: null };
  while (simulation.steps < steps) {
    simulation.step();
    yield { step: simulation.steps, state: simulation.state(), tensors, loss: null };
  }
}
