import { expect, test } from 'vitest';
import { type Backend, loadBackend, selfTest } from '../../src/backends/index.ts';
import type { VectorKind } from '../../src/backends/selftest.ts';
import type { Policy } from '../../src/policy/architecture.ts';
import { forward } from '../../src/policy/forward.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';
import { CARTPOLE_MLP, QUANTISER } from '../support/policies.ts';

test.each(['reference', 'cpu', 'wasm'] as const)('the %s backend passes', async (name) => {
  await selfTest(await loadBackend(name), CARTPOLE_MLP);
  const other = buildMlp({ observation: 8, hidden: [64, 64], actions: 4, quantiser: QUANTISER });
  await selfTest(await loadBackend(name), other);
});

type Logits = (policy: Policy, observations: Int8Array, batch: number) => ArrayLike<number>;

/** A backend that returns whatever `logits` does. */
function broken(logits: Logits): Backend {
  return {
    name: 'broken',
    load: (policy) => ({
      policy,
      logits: (observations, batch) => logits(policy, observations, batch) as Int32Array,
      dispose() {},
    }),
    dispose() {},
  };
}

/** The exact policy in floats, with a fault in its arithmetic. */
function faulty(fault: {
  /** What an accumulator with its rounding term becomes. */
  total?: (value: number) => number;
  round?: (value: number) => number;
}): Logits {
  const total = fault.total ?? ((value) => value);
  const round = fault.round ?? Math.floor;
  return (policy, observations, batch) => {
    const { layers, observation } = policy.architecture;
    const out: number[] = [];
    for (let row = 0; row < batch; row++) {
      let x = [...observations.subarray(row * observation, (row + 1) * observation)];
      for (const [index, layer] of layers.entries()) {
        const { weight, bias } = policy.layers[index]!;
        const y = Array.from(bias, (b, o) =>
          x.reduce((sum, value, i) => sum + weight[o * layer.in + i]! * value, b),
        );
        const scaled = y.map((value) => round(total(value + 2 ** (layer.shift - 1)) / 2 ** layer.shift));
        x = index < layers.length - 1 ? scaled.map((v) => Math.min(Math.max(v, 0), 127)) : scaled;
      }
      out.push(...x);
    }
    return Int32Array.from(out);
  };
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
    'forgets the second layer’s upper clamp',
    'own-shape',
    (policy, observations, batch) => {
      const logits = forward(policy, observations, batch);
      return policy.architecture.layers.length === 3 ? logits.map((value) => value + 1) : logits;
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
