import { expect, test } from 'vitest';
import { adamStep, gradientNorm, newOptimised } from '../../src/training/adam.ts';

const OPTIONS = { learningRate: 0.01, epsilon: 1e-5, maxNorm: 1e9 };

function step(values: number[], gradients: number[][], options = OPTIONS) {
  const network = newOptimised(Float32Array.from(values));
  const finite = gradients.map((gradient) => {
    const g = Float32Array.from(gradient);
    return adamStep(network, g, { ...options, norm: gradientNorm(g) });
  });
  return { network, finite };
}

test('the first step moves every parameter by almost the learning rate, against its gradient', () => {
  const { network } = step([1, 1, 1], [[0.5, -3, 0]]);
  expect(network.values[0]).toBeCloseTo(1 - 0.01 * (0.5 / (0.5 + 1e-5)), 6);
  expect(network.values[1]).toBeCloseTo(1 + 0.01 * (3 / (3 + 1e-5)), 6);
  expect(network.values[2]).toBe(1);
});

test('forty steps follow algorithm 1 of the paper in float64', () => {
  const gradients = Array.from({ length: 40 }, (_, t) => [Math.sin(t), 0.1 * Math.cos(3 * t) - 0.05]);
  const { network } = step([0.3, -0.2], gradients);
  const expected = [0.3, -0.2].map((start, i) => {
    let [w, m, v] = [start, 0, 0];
    for (const [index, gradient] of gradients.entries()) {
      const t = index + 1;
      m = 0.9 * m + 0.1 * gradient[i]!;
      v = 0.999 * v + 0.001 * gradient[i]! ** 2;
      w -= (0.01 * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-5);
    }
    return w;
  });
  expect(network.values[0]).toBeCloseTo(expected[0]!, 5);
  expect(network.values[1]).toBeCloseTo(expected[1]!, 5);
});

test('a gradient above the largest norm acts as one scaled down to it', () => {
  const clipped = step([0, 0], [[30, 40]], { ...OPTIONS, maxNorm: 0.5 }).network;
  expect(clipped.m[0]).toBeCloseTo(0.1 * 0.3, 7);
  expect(clipped.m[1]).toBeCloseTo(0.1 * 0.4, 7);
  const below = step([0, 0], [[0.3, 0.1]], { ...OPTIONS, maxNorm: 0.5 }).network;
  expect(below.m[0]).toBe(Math.fround((1 - 0.9) * Math.fround(0.3)));
});

test('a step says when a moment left float32’s range, though the parameter did not', () => {
  const { network, finite } = step([1], [[1e30]], { ...OPTIONS, maxNorm: 1e300 });
  expect(Number.isFinite(network.values[0])).toBe(true);
  expect(finite).toEqual([false]);
});

test('a step says when a parameter is no longer finite', () => {
  expect(step([0, 1], [[1, 1]]).finite).toEqual([true]);
  expect(step([0, 3e38], [[1, -1]], { ...OPTIONS, learningRate: 3e38 }).finite).toEqual([false]);
});
