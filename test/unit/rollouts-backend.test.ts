import { describe, expect, test } from 'vitest';
import { chooseBackend } from '../../rollouts/backend.ts';
import { BACKEND_NAMES } from '../../src/backends/index.ts';
import { weightCount, weightRows } from '../../src/policy/architecture.ts';
import { buildMlp, type Policy } from '../../src/policy/index.ts';
import { initialise } from '../../src/training/initialise.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { mineableGenesis } from '../support/mining.ts';

const small = () => {
  const genesis = mineableGenesis();
  return { policy: initialise(genesis).policy, slots: 8, stepsPerSlot: 256 };
};

/** 64-512-512-16: 300,000 products an observation, where every backend is measured. */
function wide(): Policy {
  const architecture = buildMlp({
    observation: 64,
    hidden: [512, 512],
    actions: 16,
    quantiser: { observationBits: 6, activationBits: 5, weightBits: [4, 4, 6], hysteresis: 0.75 },
  });
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: new Int8Array(weightCount(layer)).fill(3),
      bias: new Int32Array(weightRows(layer)),
    })),
  };
}

describe('the backend of a miner', () => {
  test('is the one that was asked for', async () => {
    for (const name of BACKEND_NAMES) {
      expect((await chooseBackend(name, small())).name).toBe(name);
    }
  });

  test('is the integer kernel where that is fast enough', async () => {
    // A clock on which every measurement takes nothing.
    expect((await chooseBackend('auto', small(), () => 0)).name).toBe('simd');
  });

  test('is measured to be the fastest for a large policy', async () => {
    const { name } = await chooseBackend('auto', { policy: wide(), slots: 64, stepsPerSlot: 256 });
    expect(name).toBe('simd');
  });

  test('is refused when there is none of that name', async () => {
    await expectCode('BACKEND_UNAVAILABLE', chooseBackend('abacus' as 'cpu', small()));
  });
});
