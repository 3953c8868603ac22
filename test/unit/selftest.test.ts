import { expect, test } from 'vitest';
import { type Backend, EMBEDDED_BACKENDS, loadBackend, selfTest } from '../../src/backends/index.ts';
import type { VectorKind } from '../../src/backends/selftest.ts';
import {
  type Conv2dLayer,
  fanIn,
  type Layer,
  outputGrid,
  type Policy,
  patchIndices,
  positions,
} from '../../src/policy/architecture.ts';
import { forward } from '../../src/policy/forward.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';
import { SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, QUANTISER } from '../support/policies.ts';

test.each(EMBEDDED_BACKENDS)('the %s backend passes', async (name) => {
  await selfTest(await loadBackend(name), CARTPOLE_MLP);
  const other = buildMlp({ observation: 8, hidden: [64, 64], actions: 4, quantiser: QUANTISER });
  await selfTest(await loadBackend(name), other);
  await selfTest(await loadBackend(name), SMALL_CONVOLUTIONS);
});

type Logits = (policy: Policy, observations: Int8Array, batch: number) => ArrayLike<number>;

/** A backend that returns whatever `logits` does. */
function broken(logits: Logits): Backend {
  return {
    name: 'broken',
    answers: 'at once',
    device: 'none',
    emulated: false,
    memoryBytes: () => 0,
    load: (policy) => ({
      policy,
      logits: (observations, batch) => logits(policy, observations, batch) as Int32Array,
      dispose() {},
    }),
    dispose() {},
  };
}

/** The exact policy in floats, with a fault in it. */
function faulty(fault: {
  /** What an accumulator with its rounding term becomes. */
  total?: (value: number, layer: Layer) => number;
  round?: (value: number, layer: Layer) => number;
  /** Which value of a layer's input is multiplied by weight `k` of a row, at position `p`. */
  source?: (layer: Layer, p: number, k: number, patches: Uint32Array) => number;
  /** What a convolution `[positions, cout]` hands on. */
  flatten?: (values: number[], layer: Conv2dLayer) => number[];
}): Logits {
  const total = fault.total ?? ((value) => value);
  const round = fault.round ?? Math.floor;
  const source = fault.source ?? ((layer, p, k, patches) => patches[p * fanIn(layer) + k]!);
  const flatten = fault.flatten ?? ((values) => values);
  return (policy, observations, batch) => {
    const { layers, observation } = policy.architecture;
    const out: number[] = [];
    const patches = layers.map(patchIndices);
    for (let row = 0; row < batch; row++) {
      let x = [...observations.subarray(row * observation, (row + 1) * observation)];
      for (const [index, layer] of layers.entries()) {
        const { weight, bias } = policy.layers[index]!;
        const width = fanIn(layer);
        const y: number[] = [];
        for (let p = 0; p < positions(layer); p++) {
          const patch = Array.from({ length: width }, (_, k) => x[source(layer, p, k, patches[index]!)]!);
          for (const [o, b] of bias.entries()) {
            y.push(patch.reduce((sum, value, k) => sum + weight[o * width + k]! * value, b));
          }
        }
        const scaled = y.map((value) =>
          round(total(value + 2 ** (layer.shift - 1), layer) / 2 ** layer.shift, layer),
        );
        const bounded = index < layers.length - 1 ? scaled.map((v) => Math.min(Math.max(v, 0), 127)) : scaled;
        x = layer.type === 'conv2d' ? flatten(bounded, layer) : bounded;
      }
      out.push(...x);
    }
    return Int32Array.from(out);
  };
}

/** The place in a patch (row, column, channel) of what stands at place k of one in another order of those three. */
function reordered(layer: Layer, k: number, order: 'channel first' | 'column first'): number {
  if (layer.type === 'dense') return k;
  const { kernel, cin } = layer;
  if (order === 'channel first') return (k % (kernel * kernel)) * cin + Math.floor(k / (kernel * kernel));
  const [row, column] = [Math.floor(k / cin) % kernel, Math.floor(k / cin / kernel)];
  return (row * kernel + column) * cin + (k % cin);
}

const CASES: [string, VectorKind, Logits][] = [
  [
    'returns −0 where the logit is 0',
    'negative-zero',
    (policy, observations, batch) =>
      Float32Array.from(forward(policy, observations, batch), (value) => (value === 0 ? -0 : value)),
  ],
  [
    'saturates its totals at 23 bits',
    'worst-case',
    faulty({ total: (value) => Math.min(Math.max(value, -8_388_608), 8_388_607) }),
  ],
  ['accumulates with 11 bits, as half precision does', 'worst-case', faulty({ total: significant(11) })],
  ['rounds its totals to 23 significant bits', 'odd-total', faulty({ total: significant(23) })],
  ['rounds towards zero', 'requantise', faulty({ round: Math.trunc })],
  [
    'rounds halves to even',
    'requantise',
    faulty({ round: (value) => (value % 2 === 1 || value % 2 === -1 ? value - 1 : Math.floor(value)) }),
  ],
  [
    'orders a patch channel first',
    'patch-order',
    faulty({ source: (layer, p, k, at) => at[p * fanIn(layer) + reordered(layer, k, 'channel first')]! }),
  ],
  [
    'orders a patch column first',
    'patch-order',
    faulty({ source: (layer, p, k, at) => at[p * fanIn(layer) + reordered(layer, k, 'column first')]! }),
  ],
  [
    'flips the kernel, as a convolution in the mathematician’s sense does',
    'patch-order',
    faulty({
      source: (layer, p, k, at) => (layer.type === 'dense' ? k : at[(p + 1) * fanIn(layer) - 1 - k]!),
    }),
  ],
  [
    'forgets the stride',
    'patch-order',
    faulty({
      source: (layer, p, k, at) =>
        layer.type === 'dense'
          ? k
          : at[k]! + (p - (p % outputGrid(layer)[1])) * layer.width + (p % outputGrid(layer)[1]) * layer.cin,
    }),
  ],
  [
    'flattens a convolution channel first',
    'patch-order',
    faulty({
      flatten: (values, { cout }) =>
        values.map((_, i) => {
          const count = values.length / cout;
          return values[(i % count) * cout + Math.floor(i / count)]!;
        }),
    }),
  ],
  [
    'rounds halves to even in its convolutions alone',
    'patch-order',
    faulty({
      round: (value, layer) => {
        const half = layer.type === 'conv2d' && Number.isInteger(value) && value % 2 !== 0;
        return half ? value - 1 : Math.floor(value);
      },
    }),
  ],
  [
    'saturates its convolutions’ totals at 23 bits',
    'worst-case',
    faulty({
      total: (value, layer) =>
        layer.type === 'conv2d' ? Math.min(Math.max(value, -8_388_608), 8_388_607) : value,
    }),
  ],
  [
    'forgets the second layer’s upper clamp',
    'own-shape',
    (policy, observations, batch) => {
      const logits = forward(policy, observations, batch);
      return policy.architecture === CARTPOLE_MLP ? logits.map((value) => value + 1) : logits;
    },
  ],
  [
    'drops what does not fill a block of eight rows',
    'batch-size',
    (policy, observations, batch) => {
      const { actions } = policy.architecture;
      return forward(policy, observations, batch).fill(0, (batch - (batch % 8)) * actions);
    },
  ],
  [
    'computes its first 512 rows only',
    'batch-size',
    (policy, observations, batch) =>
      forward(policy, observations, batch).fill(0, Math.min(batch, 512) * policy.architecture.actions),
  ],
  [
    'wraps sums of pairs at int16 where all values are positive',
    'unsigned',
    (policy, observations, batch) => {
      const logits = forward(policy, observations, batch);
      const width = policy.architecture.observation;
      for (let row = 0; row < batch; row++) {
        const values = observations.subarray(row * width, (row + 1) * width);
        if (values.every((value) => value === 127)) logits[row * policy.architecture.actions]! += 65_536;
      }
      return observations.some((value) => value < 0) ? forward(policy, observations, batch) : logits;
    },
  ],
  [
    'forgets the sum of a row’s values where they are negative and all of its weights are alike',
    'short-span',
    (policy, observations, batch) => {
      const logits = forward(policy, observations, batch);
      const { layers, actions, observation } = policy.architecture;
      if (layers.length > 1 || observation < 1024) return logits;
      const { weight } = policy.layers[0]!;
      for (let row = 0; row < batch; row++) {
        const values = observations.subarray(row * observation, (row + 1) * observation);
        if (values.some((value) => value < 0) && values.some((value) => value > 0)) {
          for (let action = 0; action < actions; action++) {
            const mine = weight.subarray(action * observation, (action + 1) * observation);
            if (mine.every((one) => one === mine[0])) logits[row * actions + action]! += 1;
          }
        }
      }
      return logits;
    },
  ],
  [
    'returns too few logits',
    'negative-zero',
    (p, observations, batch) => forward(p, observations, batch).slice(1),
  ],
];

/** Rounds to the nearest number of so many significant bits. */
function significant(bits: number): (value: number) => number {
  return (value) => {
    const length = Math.abs(value).toString(2).replace(/\..*/, '').length;
    const unit = 2 ** Math.max(0, length - bits);
    return Math.round(value / unit) * unit;
  };
}

test('the faulty arithmetic without a fault is exact', async () => {
  await selfTest(broken(faulty({})), CARTPOLE_MLP);
});

test.each(CASES)('a backend that %s is refused by vector %s', async (_, kind, logits) => {
  await expect(selfTest(broken(logits), CARTPOLE_MLP)).rejects.toThrow(
    expect.objectContaining({
      code: 'BACKEND_NOT_EXACT',
      details: expect.objectContaining({ vector: kind }),
    }),
  );
});

test('a backend that samples another action than the sampler is refused', async () => {
  const exact = await loadBackend('simd');
  const wrong: Backend = {
    ...exact,
    name: 'broken',
    load(policy) {
      const loaded = exact.load(policy);
      return {
        ...loaded,
        act(observations, batch, seeds, step, out) {
          loaded.act!(observations, batch, seeds, step, out);
          if (batch === 1024) out[1000]! ^= 1;
        },
      };
    },
  };
  await expect(selfTest(wrong, CARTPOLE_MLP)).rejects.toThrow(
    expect.objectContaining({
      code: 'BACKEND_NOT_EXACT',
      details: expect.objectContaining({ vector: 'batch-size', row: 1000 }),
    }),
  );
});

test('the refusal names row, action, what was expected and what came', async () => {
  const wrong = broken((policy, observations, batch) => {
    const logits = forward(policy, observations, batch);
    if (batch === 1024) logits[2 * 700 + 1]! += 1;
    return logits;
  });
  const error = await selfTest(wrong, CARTPOLE_MLP).then(
    () => undefined,
    (reason: unknown) => reason as { details: Record<string, unknown> },
  );
  expect(error?.details).toMatchObject({
    backend: 'broken',
    vector: 'batch-size',
    batch: 1024,
    row: 700,
    action: 1,
  });
  expect(error?.details.got).toBe((error?.details.expected as number) + 1);
});
