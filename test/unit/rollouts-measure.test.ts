import { describe, expect, test } from 'vitest';
import { measureBackend } from '../../rollouts/measure.ts';
import { rankBackends, type Workload } from '../../rollouts/rank.ts';
import { EMBEDDED_BACKENDS, loadBackend } from '../../src/backends/index.ts';
import { weightCount, weightRows } from '../../src/policy/architecture.ts';
import { buildMlp, type Policy } from '../../src/policy/index.ts';
import { initialise } from '../../src/training/initialise.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { mineableGenesis } from '../support/mining.ts';

const small = (): Workload => {
  const genesis = mineableGenesis();
  return { policy: initialise(genesis).policy, slots: 8, stepsPerSlot: 256, threads: 2 };
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

/** A clock that goes so many milliseconds on each time that it is read. */
function clock(ms: number): () => number {
  let time = 0;
  return () => {
    time += ms;
    return time;
  };
}

describe('the backends for a miner', () => {
  test('are the one that was asked for', async () => {
    for (const name of EMBEDDED_BACKENDS) {
      expect((await rankBackends(name, small())).map((found) => found.name)).toEqual([name]);
    }
  });

  test('are the integer kernel alone where that is fast enough', async () => {
    expect((await rankBackends('auto', small(), clock(0.01))).map(({ name }) => name)).toEqual(['simd']);
  });

  test('are measured for a large policy, and the kernel is the fastest of the processor’s', async () => {
    const work = { policy: wide(), slots: 64, stepsPerSlot: 65_536, threads: 2 };
    const found = await rankBackends('auto', work);
    expect(found.map(({ name }) => name)).toEqual(['simd', 'wasm']);
    expect(found[0]!.stepsPerSecond).toBeGreaterThan(found[1]!.stepsPerSecond);
  });

  test('get a thread for each fifty milliseconds of a window, within the cores and the slots', async () => {
    const threads = async (work: Workload, ms: number) =>
      (await rankBackends('reference', work, clock(ms)))[0]!.threads;
    // A pass takes as long as the clock goes on: 256 passes of a window, in milliseconds.
    expect(await threads({ ...small(), threads: 16 }, 0.1)).toBe(1);
    expect(await threads({ ...small(), threads: 16 }, 1)).toBe(6);
    expect(await threads({ ...small(), threads: 16 }, 100)).toBe(8);
    expect(await threads({ ...small(), threads: 3 }, 100)).toBe(3);
  });

  test('are refused when there is none of that name', async () => {
    await expectCode('BACKEND_UNAVAILABLE', rankBackends('abacus' as 'cpu', small()));
  });
});

test('a measurement counts rows by the clock', async () => {
  const { policy } = small();
  // Each pass takes 10 ms by this clock: ten passes of 50 rows.
  expect(await measureBackend(await loadBackend('reference'), policy, 50, clock(10))).toBeCloseTo(5000);
});
