/** Decay of the first moment, as in the paper. */
const BETA1 = 0.9;
/** Decay of the second moment. */
const BETA2 = 0.999;

/** A network's parameters with Adam's whole state: nothing else is needed to go on. */
export interface Optimised {
  /** The parameters, flat. */
  readonly values: Float32Array;
  /** First moments. */
  readonly m: Float32Array;
  /** Second moments. */
  readonly v: Float32Array;
  /** BETA1^t and BETA2^t as running float64 products: `pow` is not the same function everywhere. */
  beta1Power: number;
  beta2Power: number;
}

export function newOptimised(values: Float32Array): Optimised {
  return {
    values,
    m: new Float32Array(values.length),
    v: new Float32Array(values.length),
    beta1Power: 1,
    beta2Power: 1,
  };
}

export function cloneOptimised(from: Optimised): Optimised {
  return { ...from, values: from.values.slice(), m: from.m.slice(), v: from.v.slice() };
}

/** The Euclidean norm of a gradient, summed in float64 in index order. */
export function gradientNorm(gradient: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!;
  return Math.sqrt(sum);
}

/**
 * One step of Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1) on a gradient that is first scaled to a norm of at
 * most `maxNorm`. In place. Arithmetic is float64; m, v and the parameters are rounded to float32 once, when stored.
 * @returns whether every parameter and moment is finite afterwards
 */
export function adamStep(
  network: Optimised,
  gradient: Float32Array,
  options: { learningRate: number; epsilon: number; norm: number; maxNorm: number },
): boolean {
  const { values, m, v } = network;
  const { learningRate, epsilon, norm, maxNorm } = options;
  const scale = norm > maxNorm ? maxNorm / norm : 1;
  network.beta1Power *= BETA1;
  network.beta2Power *= BETA2;
  const correction1 = 1 - network.beta1Power;
  const correction2 = 1 - network.beta2Power;
  let finite = 0;
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]! * scale;
    m[i] = BETA1 * m[i]! + (1 - BETA1) * g;
    v[i] = BETA2 * v[i]! + (1 - BETA2) * g * g;
    values[i] =
      values[i]! - (learningRate * (m[i]! / correction1)) / (Math.sqrt(v[i]! / correction2) + epsilon);
    finite += (values[i]! + m[i]! + v[i]!) * 0;
  }
  return finite === 0;
}
