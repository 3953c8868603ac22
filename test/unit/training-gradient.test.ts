import { beforeAll, describe, expect, test } from 'vitest';
import { startTfjs } from '../../src/backends/tfjs/engine.ts';
import type { QuantiserParams } from '../../src/params/genesis.ts';
import {
  type Architecture,
  fanIn,
  layerInputs,
  layerShapes,
  outputGrid,
  type Policy,
  positions,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';
import { exactForward } from '../../src/training/actor.ts';
import { floatForward } from '../../src/training/float-network.ts';
import { networkLayout, type Tensorflow } from '../../src/training/layers.ts';
import { actorLayout } from '../../src/training/state.ts';
import { CARTPOLE_MLP, integers, QUANTISER, randomPolicy, words } from '../support/policies.ts';
import { GRID_NETWORK, GRID_QUANTISER } from '../support/training.ts';

let tf: Tensorflow;
beforeAll(async () => {
  tf = await startTfjs('wasm');
});

const ROWS = 48;

/** A network, and a range of weights and biases that puts its hidden units on both sides of both clamps. */
interface Case {
  readonly architecture: Architecture;
  readonly quantiser: QuantiserParams;
  readonly weights: number;
  readonly biases: number;
}

const MLP: Case = { architecture: CARTPOLE_MLP, quantiser: QUANTISER, weights: 15, biases: 128 };
const CONVOLUTIONS: Case = {
  architecture: GRID_NETWORK,
  quantiser: GRID_QUANTISER,
  weights: 15,
  biases: 700,
};

function mildPolicy({ architecture, weights, biases }: Case): Policy {
  const next = words(5);
  const mild = (count: number, range: number) =>
    Array.from({ length: count }, () => (next() % (2 * range + 1)) - range);
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: Int8Array.from(mild(weightCount(layer), weights)),
      bias: Int32Array.from(mild(weightRows(layer), biases)),
    })),
  };
}

const observationsOf = ({ architecture: { observation } }: Case, seed: number) =>
  Int8Array.from(integers(ROWS * observation, 127, words(seed), observation));

function run({ architecture, quantiser }: Case, policy: Policy, rows: Int8Array, dLogits: Float32Array) {
  const layout = actorLayout(architecture);
  const gradient = new Float32Array(layout.size);
  const logits = tf.tidy(() => {
    const x = tf.tensor2d(Float32Array.from(rows), [ROWS, architecture.observation]);
    const pass = exactForward(tf, architecture, quantiser, policy.layers, layout, x);
    pass.backward(tf.tensor2d(dLogits, [ROWS, architecture.actions]), gradient);
    return pass.output.dataSync<'float32'>();
  });
  return { logits, gradient };
}

/** Where the weight of (y, x, channel) of a kernel stands in its row, and the input that it meets at an output's place. */
function* products(layer: Architecture['layers'][number], position: number) {
  if (layer.type === 'dense') {
    for (let i = 0; i < layer.in; i++) yield { column: i, input: i };
    return;
  }
  const { kernel, stride, cin, width } = layer;
  const [, columns] = outputGrid(layer);
  const [top, left] = [Math.floor(position / columns) * stride, (position % columns) * stride];
  for (let y = 0; y < kernel; y++) {
    for (let x = 0; x < kernel; x++) {
      for (let channel = 0; channel < cin; channel++) {
        const column = (y * kernel + x) * cin + channel;
        yield { column, input: ((top + y) * width + left + x) * cin + channel };
      }
    }
  }
}

/** Straight-through backpropagation written out for one row in float64, from the integer reference's accumulators. */
function backpropagate(
  { architecture, quantiser }: Case,
  policy: Policy,
  observation: Int8Array,
  dLogits: number[],
  gradient: Float64Array,
) {
  const accumulators = trace(policy, observation);
  let d = dLogits;
  for (let index = architecture.layers.length - 1; index >= 0; index--) {
    const layer = architecture.layers[index]!;
    const place = actorLayout(architecture).layers[index]!;
    const below = architecture.layers[index - 1];
    const inputBits = below === undefined ? quantiser.observationBits : quantiser.activationBits;
    const x =
      below === undefined
        ? [...observation]
        : [...accumulators[index - 1]!].map((y) =>
            Math.min(Math.max(Math.floor((y + 2 ** (below.shift - 1)) / 2 ** below.shift), 0), 127),
          );
    const dInput: number[] = Array(layerInputs(layer)).fill(0);
    for (let position = 0; position < positions(layer); position++) {
      for (let row = 0; row < weightRows(layer); row++) {
        const dOutput = d[position * weightRows(layer) + row]!;
        for (const { column, input } of products(layer, position)) {
          const at = row * fanIn(layer) + column;
          gradient[place.weight + at]! += (dOutput * x[input]!) / 2 ** inputBits;
          dInput[input]! += (dOutput * policy.layers[index]!.weight[at]!) / 2 ** quantiser.weightBits[index]!;
        }
        gradient[place.bias + row]! += dOutput;
      }
    }
    if (below === undefined) return;
    d = dInput.map((value, i) => {
      const y = accumulators[index - 1]![i]!;
      return y > 0 && y < 127 * 2 ** below.shift ? value : 0;
    });
  }
}

describe.each([
  ['a perceptron', MLP],
  ['convolutions', CONVOLUTIONS],
])('of %s', (_, network) => {
  const { architecture } = network;
  const { observation, actions } = architecture;

  test('the trainer’s logits are those of the integer reference, extreme policies included', () => {
    const policies = [mildPolicy(network), randomPolicy(architecture, 1), randomPolicy(architecture, 2)];
    for (const policy of policies) {
      const rows = observationsOf(network, 3);
      const { logits } = run(network, policy, rows, new Float32Array(ROWS * actions));
      expect([...logits].map((l) => l * 1024 + 0)).toEqual([...forward(policy, rows, ROWS)]);
    }
  });

  test('the straight-through gradient is that of backpropagation written out from the accumulators', () => {
    const next = words(4);
    const policy = mildPolicy(network);
    const rows = observationsOf(network, 4);
    const dLogits = Float32Array.from({ length: ROWS * actions }, () => next() / 2 ** 32 - 0.5);
    const { gradient } = run(network, policy, rows, dLogits);
    const expected = new Float64Array(gradient.length);
    for (let row = 0; row < ROWS; row++) {
      const own = [...dLogits.slice(row * actions, (row + 1) * actions)];
      backpropagate(network, policy, rows.slice(row * observation, (row + 1) * observation), own, expected);
    }
    for (const { weight, bias, rows: outputs } of actorLayout(architecture).layers) {
      const part = expected.slice(weight, bias + outputs);
      const scale = Math.max(...part.map(Math.abs));
      expect(scale).toBeGreaterThan(0);
      for (const [i, value] of part.entries()) {
        expect(Math.abs(gradient[weight + i]! - value)).toBeLessThan(1e-5 * scale);
      }
    }
  });

  test('the gradient tests see both clamps: some hidden units are below, some above and some between', () => {
    const policy = mildPolicy(network);
    const rows = observationsOf(network, 4);
    for (const [index, layer] of architecture.layers.slice(0, -1).entries()) {
      const seen = [0, 0, 0];
      for (let row = 0; row < ROWS; row++) {
        const y = trace(policy, rows.slice(row * observation, (row + 1) * observation))[index]!;
        for (const value of y) seen[value <= 0 ? 0 : value < 127 * 2 ** layer.shift ? 1 : 2]! += 1;
      }
      expect(Math.min(...seen)).toBeGreaterThan(5);
    }
  });
});

/** The float network by definition, in float64, for one row. */
function floatReference(
  shapes: ReturnType<typeof layerShapes>,
  parameters: Float64Array,
  observation: number[],
) {
  const layout = networkLayout(shapes);
  let x = observation;
  for (const [index, shape] of shapes.entries()) {
    const place = layout.layers[index]!;
    const layer = { ...shape, shift: 1, biasMax: 0 };
    const y: number[] = [];
    for (let position = 0; position < place.positions; position++) {
      for (let row = 0; row < place.rows; row++) {
        let sum = parameters[place.bias + row]!;
        for (const { column, input } of products(layer, position)) {
          sum += parameters[place.weight + row * place.fanIn + column]! * x[input]!;
        }
        y.push(index < shapes.length - 1 ? Math.max(sum, 0) : sum);
      }
    }
    x = y;
  }
  return x;
}

test.each([
  ['dense layers', [4], [8, 1]],
  [
    'convolutions, whose patches overlap or leave values out',
    [6, 5, 2],
    [{ filters: 3, kernel: 3, stride: 1 }, { filters: 4, kernel: 2, stride: 2 }, 5, 1],
  ],
])(
  'the float network of %s has the values and the gradient that finite differences give',
  (_, shape, hidden) => {
    const shapes = layerShapes(shape, hidden);
    const layout = networkLayout(shapes);
    const width = shape.reduce((all, n) => all * n, 1);
    const next = words(6);
    const parameters = Float32Array.from({ length: layout.size }, () => next() / 2 ** 31 - 1);
    const rows = Float32Array.from({ length: 6 * width }, () => (next() % 255) - 127);
    const dOutput = Float32Array.from({ length: 6 }, () => next() / 2 ** 32 - 0.5);
    const gradient = new Float32Array(layout.size);
    const output = tf.tidy(() => {
      const pass = floatForward(tf, layout, parameters, tf.tensor2d(rows, [6, width]), 1 / 64);
      pass.backward(tf.tensor2d(dOutput, [6, 1]), gradient);
      return pass.output.dataSync<'float32'>();
    });
    const inputs = Array.from({ length: 6 }, (_, row) =>
      [...rows.slice(row * width, (row + 1) * width)].map((value) => value / 64),
    );
    const wide = Float64Array.from(parameters);
    for (const [row, input] of inputs.entries()) {
      expect(output[row]).toBeCloseTo(floatReference(shapes, wide, input)[0]!, 4);
    }
    const loss = (values: Float64Array) =>
      inputs.reduce((sum, input, row) => sum + dOutput[row]! * floatReference(shapes, values, input)[0]!, 0);
    const h = 1e-6;
    for (let i = 0; i < layout.size; i++) {
      const at = (delta: number) => loss(wide.with(i, wide[i]! + delta));
      expect(gradient[i]).toBeCloseTo((at(h) - at(-h)) / (2 * h), 3);
    }
  },
);
