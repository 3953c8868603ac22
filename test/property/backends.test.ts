import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, loadBackend, simdBackend } from '../../src/backends/index.ts';
import { selfTestVectors } from '../../src/backends/selftest.ts';
import type { Architecture, Policy } from '../../src/policy/architecture.ts';
import { forward } from '../../src/policy/forward.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';
import { architectures, minatarNetwork, SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, QUANTISER, randomObservations, randomPolicy } from '../support/policies.ts';

/** Rows a backend must get right: ≥ 10^5 in the long run. */
const ROWS = process.env.GRAIL_LONG ? 160_000 : 12_000;

const ARCHITECTURES: Record<string, Architecture> = {
  '4-32-32-2': CARTPOLE_MLP,
  '8-64-64-4': buildMlp({ observation: 8, hidden: [64, 64], actions: 4, quantiser: QUANTISER }),
  '1024-9-1024-3': buildMlp({ observation: 1024, hidden: [9, 1024], actions: 3, quantiser: QUANTISER }),
  '1-1-1-2': buildMlp({ observation: 1, hidden: [1, 1], actions: 2, quantiser: QUANTISER }),
  'convolutions over 5 × 5 × 2': SMALL_CONVOLUTIONS,
  'the network of MinAtar': minatarNetwork(4),
};

function compare(backend: Backend, policy: Policy, observations: Int8Array, batch: number): void {
  const loaded = backend.load(policy);
  const got = loaded.logits(observations, batch);
  loaded.dispose();
  expect(got).toBeInstanceOf(Int32Array);
  const expected = forward(policy, observations, batch);
  // One bulk comparison: millions of expectations would be slower than the arithmetic.
  expect(Buffer.compare(Buffer.from(got.buffer), Buffer.from(expected.buffer))).toBe(0);
}

/** Both variants of the kernel: this runtime would take one of them only. */
const BACKENDS: Record<string, () => Backend | Promise<Backend>> = {
  'TensorFlow.js cpu': () => loadBackend('cpu'),
  'TensorFlow.js wasm': () => loadBackend('wasm'),
  'the kernel with relaxed SIMD': () => simdBackend('relaxed'),
  'the kernel without': () => simdBackend('plain'),
};

describe.each(Object.entries(BACKENDS))('%s', (_, load) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await load();
  });
  afterAll(() => backend.dispose());

  test.each(Object.entries(ARCHITECTURES))(
    'gives the reference’s logits for random policies and observations of %s',
    (_, architecture) => {
      // Wide networks cost a hundred times as much; every shape still gets a share.
      const rows = architecture.observation > 49 ? ROWS / 40 : ROWS;
      const policies = 5;
      for (let seed = 0; seed < policies; seed++) {
        const batch = Math.floor(rows / policies);
        const observations = randomObservations(batch, architecture.observation, seed + 100);
        compare(backend, randomPolicy(architecture, seed), observations, batch);
      }
    },
  );

  test('gives the reference’s logits for layers of either kind in any order', () => {
    fc.assert(
      fc.property(
        architectures,
        fc.nat(1000),
        fc.integer({ min: 1, max: 40 }),
        (architecture, seed, batch) => {
          const observations = randomObservations(batch, architecture.observation, seed + 1);
          compare(backend, randomPolicy(architecture, seed), observations, batch);
        },
      ),
      { numRuns: process.env.GRAIL_LONG ? 2000 : 100, seed: 5 },
    );
  });

  test('gives the reference’s logits on worst-case rows and totals next to 2^24', () => {
    for (const { policy, observations, batch } of selfTestVectors(SMALL_CONVOLUTIONS)) {
      compare(backend, policy, observations, batch);
    }
  });

  test('gives the reference’s logits when a batch takes several passes', () => {
    const batch = 150_000;
    const observations = new Int8Array(batch * 4);
    observations.set(randomObservations(2000, 4, 1));
    observations.set(randomObservations(2000, 4, 2), observations.length - 8000);
    compare(backend, randomPolicy(CARTPOLE_MLP, 3), observations, batch);
  });
});
