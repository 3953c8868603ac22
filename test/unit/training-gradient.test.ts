import { beforeAll, expect, test } from 'vitest';
import { startTensorflow } from '../../src/backends/tensorflow.ts';
import type { LayerTensors, Policy } from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';
import { actorForward } from '../../src/training/actor.ts';
import { criticForward } from '../../src/training/critic.ts';
import { networkLayout, type Tensorflow } from '../../src/training/dense.ts';
import { actorLayout } from '../../src/training/state.ts';
import { CARTPOLE_MLP, integers, QUANTISER, randomPolicy, words } from '../support/policies.ts';

let tf: Tensorflow;
beforeAll(async () => {
  tf = await startTensorflow('wasm');
});

const ROWS = 48;
const LAYOUT = actorLayout(CARTPOLE_MLP);

/** Weights small enough that hidden units end up on both sides of both clamps. */
function mildPolicy(): Policy {
  const next = words(5);
  const layers = CARTPOLE_MLP.layers.map(
    (layer): LayerTensors => ({
      weight: Int8Array.from({ length: layer.in * layer.out }, () => (next() % 31) - 15),
      bias: Int32Array.from({ length: layer.out }, () => (next() % 257) - 128),
    }),
  );
  return { architecture: CARTPOLE_MLP, layers };
}

function run(policy: Policy, observations: Int8Array, dLogits: Float32Array) {
  const gradient = new Float32Array(LAYOUT.size);
  const logits = tf.tidy(() => {
    const x = tf.tensor2d(Float32Array.from(observations), [ROWS, 4]);
    const pass = actorForward(tf, CARTPOLE_MLP, QUANTISER, policy.layers, LAYOUT.layers, x);
    pass.backward(tf.tensor2d(dLogits, [ROWS, 2]), gradient);
    return pass.output.dataSync<'float32'>();
  });
  return { logits, gradient };
}

/** Straight-through backpropagation written out for one row in float64, from the integer reference's accumulators. */
function backpropagate(policy: Policy, observation: Int8Array, dLogits: number[], gradient: Float64Array) {
  const accumulators = trace(policy, observation);
  const bits = [QUANTISER.observationBits, QUANTISER.activationBits, QUANTISER.activationBits];
  let d = dLogits;
  for (let index = 2; index >= 0; index--) {
    const layer = CARTPOLE_MLP.layers[index]!;
    const place = LAYOUT.layers[index]!;
    const below = CARTPOLE_MLP.layers[index - 1];
    const input =
      below === undefined
        ? [...observation]
        : [...accumulators[index - 1]!].map((y) =>
            Math.min(Math.max(Math.floor((y + 2 ** (below.shift - 1)) / 2 ** below.shift), 0), 127),
          );
    const dInput = input.map(() => 0);
    for (let o = 0; o < layer.out; o++) {
      for (let i = 0; i < layer.in; i++) {
        const at = o * layer.in + i;
        gradient[place.weight + at]! += (d[o]! * input[i]!) / 2 ** bits[index]!;
        dInput[i]! += (d[o]! * policy.layers[index]!.weight[at]!) / 2 ** QUANTISER.weightBits[index]!;
      }
      gradient[place.bias + o]! += d[o]!;
    }
    if (below === undefined) return;
    d = dInput.map((value, i) => {
      const y = accumulators[index - 1]![i]!;
      return y > 0 && y < 127 * 2 ** below.shift ? value : 0;
    });
  }
}

test('the trainer’s logits are those of the integer reference, extreme policies included', () => {
  const next = words(3);
  for (const policy of [mildPolicy(), randomPolicy(CARTPOLE_MLP, 1), randomPolicy(CARTPOLE_MLP, 2)]) {
    const observations = Int8Array.from(integers(ROWS * 4, 127, next, 4));
    const { logits } = run(policy, observations, new Float32Array(ROWS * 2));
    expect([...logits].map((l) => l * 1024 + 0)).toEqual([...forward(policy, observations, ROWS)]);
  }
});

test('the straight-through gradient is that of backpropagation written out from the accumulators', () => {
  const next = words(4);
  const policy = mildPolicy();
  const observations = Int8Array.from(integers(ROWS * 4, 127, next, 4));
  const dLogits = Float32Array.from({ length: ROWS * 2 }, () => next() / 2 ** 32 - 0.5);
  const { gradient } = run(policy, observations, dLogits);
  const expected = new Float64Array(LAYOUT.size);
  for (let row = 0; row < ROWS; row++) {
    const observation = observations.slice(4 * row, 4 * row + 4);
    backpropagate(policy, observation, [dLogits[2 * row]!, dLogits[2 * row + 1]!], expected);
  }
  const scale = Math.max(...expected.map(Math.abs));
  for (const [i, value] of expected.entries()) {
    expect(Math.abs(gradient[i]! - value)).toBeLessThan(1e-5 * scale);
  }
});

test('the gradient tests see both clamps: some hidden units are below, some above and some between', () => {
  const policy = mildPolicy();
  const observations = Int8Array.from(integers(ROWS * 4, 127, words(4), 4));
  const seen = [0, 0, 0];
  for (let row = 0; row < ROWS; row++) {
    const [y] = trace(policy, observations.slice(4 * row, 4 * row + 4));
    for (const value of y!) seen[value <= 0 ? 0 : value < 127 * 32 ? 1 : 2]! += 1;
  }
  expect(Math.min(...seen)).toBeGreaterThan(5);
});

test('the critic’s gradient agrees with TensorFlow’s own differentiation', () => {
  const layout = networkLayout([4, 8, 1]);
  const next = words(6);
  const real = () => next() / 2 ** 31 - 1;
  const parameters = Float32Array.from({ length: layout.size }, real);
  const rows = Float32Array.from({ length: ROWS * 4 }, () => (next() % 255) - 127);
  const gradient = new Float32Array(layout.size);
  const { autodiff, value, expectedValue } = tf.tidy(() => {
    const x = tf.tensor2d(rows, [ROWS, 4]);
    const pass = criticForward(tf, layout, parameters, x, 1 / 64);
    pass.backward(tf.ones([ROWS, 1]), gradient);
    const [first, second] = layout.layers;
    const tensor = (from: number, shape: [number, number]) =>
      tf.tensor2d(parameters.slice(from, from + shape[0] * shape[1]), shape);
    const network = (w1: typeof x, b1: typeof x, w2: typeof x, b2: typeof x) =>
      x
        .mul(1 / 64)
        .matMul(w1, false, true)
        .add(b1)
        .relu()
        .matMul(w2, false, true)
        .add(b2);
    const inputs = [
      tensor(first!.weight, [8, 4]),
      tensor(first!.bias, [1, 8]),
      tensor(second!.weight, [1, 8]),
      tensor(second!.bias, [1, 1]),
    ] as const;
    const gradients = tf.grads((w1, b1, w2, b2) =>
      network(w1 as typeof x, b1 as typeof x, w2 as typeof x, b2 as typeof x).sum(),
    )([...inputs]);
    return {
      autodiff: gradients.flatMap((g) => [...g.dataSync()]),
      value: [...pass.output.dataSync()],
      expectedValue: [...network(...inputs).dataSync()],
    };
  });
  for (const [i, v] of expectedValue.entries()) expect(value[i]).toBeCloseTo(v, 5);
  for (const [i, g] of autodiff.entries()) expect(gradient[i]).toBeCloseTo(g, 3);
});
