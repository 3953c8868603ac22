import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { simdBackend } from '../../src/backends/index.ts';
import { chunkOf, groupEnds, layOut, PAGE, pack } from '../../src/backends/simd/pack.ts';
import {
  type Architecture,
  fanIn,
  type Layer,
  layerInputs,
  layerOutputs,
  type Policy,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { forward } from '../../src/policy/forward.ts';
import { packSeeds, sampleBatch } from '../../src/policy/index.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { minatarNetwork, SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy, words } from '../support/policies.ts';

const VARIANTS = ['relaxed', 'plain'] as const;

/** A 1,024-wide layer of `hidden` outputs whose weights are all `weight`, then a layer that tells every output apart. */
function constant(weight: number, hidden = 9): Policy {
  const architecture: Architecture = {
    observation: 1024,
    actions: hidden,
    layers: [
      { type: 'dense', in: 1024, out: hidden, shift: 17, biasMax: 0 },
      { type: 'dense', in: hidden, out: hidden, shift: 1, biasMax: 8 },
    ],
  };
  return {
    architecture,
    layers: architecture.layers.map((layer, index) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, (_, i) =>
        index === 0 ? weight : i % (hidden + 1) === 0 ? 127 : 0,
      ),
      bias: new Int32Array(weightRows(layer)),
    })),
  };
}

function seeds(count: number): Uint32Array {
  return packSeeds(
    Array.from({ length: count }, (_, slot) => Uint8Array.from({ length: 16 }, (_, i) => slot * 31 + i * 7)),
  );
}

test('the committed binaries are what assembly/ compiles to', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(packageRoot(), 'bin', 'task.mjs'), 'kernels', '--check'],
    { encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}, 120_000);

test('a policy that memory has no room for is BACKEND_OUT_OF_MEMORY', () => {
  const script = `
    const { simdBackend } = await import('./src/backends/index.ts');
    const { randomPolicy } = await import('./test/support/policies.ts');
    const layer = { type: 'dense', in: 1024, out: 4096, shift: 1, biasMax: 1 };
    const wide = { observation: 1024, actions: 4096, layers: [layer] };
    try { simdBackend().load(randomPolicy(wide, 1)); } catch ({ code, details }) {
      console.log(JSON.stringify({ code, details }));
    }`;
  // The runtime's own limit, of 4 MiB: it strips types within it, the network takes more.
  const args = ['--wasm-max-mem-pages=64', '--input-type=module', '--eval', script];
  const { stdout } = spawnSync(process.execPath, args, { cwd: packageRoot(), encoding: 'utf8' });
  expect(JSON.parse(stdout)).toMatchObject({ code: 'BACKEND_OUT_OF_MEMORY', details: { backend: 'simd' } });
});

describe('int16 sums of pairs', () => {
  /** A panel of `steps` steps with the same weight everywhere. */
  const panel = (steps: number, weight: number) => new Int8Array(steps * 32).fill(weight);

  test('are widened before weights of 258 in all are passed, never later than they could overflow', () => {
    // A pair of weights 1 takes 2 of the budget: 129 steps are 258.
    expect(groupEnds(panel(129, 1))).toEqual([129]);
    expect(groupEnds(panel(130, 1))).toEqual([129, 130]);
    expect(groupEnds(panel(3, -127))).toEqual([1, 2, 3]);
    expect(groupEnds(panel(4, 64))).toEqual([2, 4]);
    expect(groupEnds(panel(4, 65))).toEqual([1, 2, 3, 4]);
  });

  test('of every group stay within int16, and a longer group would not', () => {
    const random = randomObservations(256, 32, 9).map((value) => value >> 2);
    const ends = groupEnds(random);
    const total = (from: number, to: number) => {
      let most = 0;
      for (let lane = 0; lane < 16; lane++) {
        let sum = 0;
        for (let step = from; step < to; step++) {
          sum +=
            127 * Math.abs(random[step * 32 + 2 * lane]!) + 127 * Math.abs(random[step * 32 + 2 * lane + 1]!);
        }
        most = Math.max(most, sum);
      }
      return most;
    };
    expect(ends.at(-1)).toBe(256);
    for (const [index, end] of ends.entries()) {
      const from = ends[index - 1] ?? 0;
      expect(total(from, end)).toBeLessThanOrEqual(32_767);
      if (end < 256) expect(total(from, end + 1)).toBeGreaterThan(32_767);
    }
  });
});

test('weights are shifted where they span seven bits, whose products are the same on every processor, and no further', () => {
  // Panels of eight outputs: spans of 127, of 128 in one output, and of 127 at the other end.
  const spans = [127, 128, 127].flatMap((span, panel) =>
    Array.from({ length: 8 }, (_, output) => ({
      least: panel === 2 ? 0 : -127 + output,
      span: output === 7 ? span : 9,
    })),
  );
  const layer: Layer = { type: 'dense', in: 16, out: spans.length, shift: 3, biasMax: 0 };
  const policy: Policy = {
    architecture: { observation: 16, actions: spans.length, layers: [layer] },
    layers: [
      {
        weight: Int8Array.from(
          spans.flatMap(({ least, span }) =>
            Array.from({ length: 16 }, (_, i) => (i === 1 ? least + span : least)),
          ),
        ),
        bias: new Int32Array(spans.length),
      },
    ],
  };
  const layout = layOut(policy, 0);
  const memory = new ArrayBuffer(layout.plan.pages * PAGE);
  pack(policy, layout, memory);
  const { weightsAt, groupsAt, leastAt } = layout.sections[0]!.shifted!;
  const notShifted = [...new Uint32Array(memory, groupsAt, 3)].map((list) => list === 1);
  expect(notShifted).toEqual([false, true, false]);
  expect([...new Int32Array(memory, leastAt, 24)]).toEqual(spans.map(({ least }) => least));
  const shifted = new Int8Array(memory, weightsAt, 3 * 128);
  expect(shifted.every((weight) => weight >= 0)).toBe(true);
  expect(Math.max(...shifted)).toBe(127);
});

describe.each(VARIANTS)('the kernel (%s)', (variant) => {
  const backend = simdBackend(variant);

  test.each([1, 2, 63, 64, 65, 126, 127, -1, -64, -65, -127])(
    'gives the reference’s logits where all weights are %i and all values 127, or −127, or both',
    (weight) => {
      const policy = constant(weight);
      const loaded = backend.load(policy);
      for (const value of [() => 127, () => -127, (i: number) => (i % 2 === 0 ? 127 : -127), () => 0]) {
        const observations = Int8Array.from({ length: 7 * 1024 }, (_, i) => value(i));
        expect(loaded.logits(observations, 7)).toEqual(forward(policy, observations, 7));
      }
    },
  );

  test.each([
    ['4-32-32-2', CARTPOLE_MLP],
    ['convolutions', SMALL_CONVOLUTIONS],
    ['the network of MinAtar', minatarNetwork(10)],
  ])('gives the reference’s logits at every batch around its tiles and chunks: %s', (_, architecture) => {
    const policy = randomPolicy(architecture, 3);
    const loaded = backend.load(policy);
    const chunk = chunkOf(policy);
    const observations = randomObservations(chunk + 14, architecture.observation, 4);
    for (const batch of [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, chunk - 1, chunk, chunk + 1, chunk + 13]) {
      const rows = observations.subarray(0, batch * architecture.observation);
      expect(loaded.logits(rows, batch)).toEqual(forward(policy, rows, batch));
    }
  });

  describe.each([
    ['dense', 1],
    ['dense', 6],
    ['dense', 64],
    ['dense', 1023],
    ['convolution', 5],
  ] as const)('with a first layer that is %s, %i wide', (kind, width) => {
    test.each([0, 1, 9, 31, 64, 126, 127, 128, 254])('whose weights span %i, high and low', (span) => {
      const first: Layer =
        kind === 'dense'
          ? { type: 'dense', in: width, out: 21, shift: 7, biasMax: 500 }
          : // Patches of 3 × 3 × 3: rows of nine values, of which the last step reads three beyond.
            {
              type: 'conv2d',
              height: width,
              width,
              cin: 3,
              cout: 21,
              kernel: 3,
              stride: 1,
              shift: 7,
              biasMax: 500,
            };
      const last: Layer = { type: 'dense', in: layerOutputs(first), out: 5, shift: 1, biasMax: 500 };
      const architecture = { observation: layerInputs(first), actions: 5, layers: [first, last] };
      const random = words(span + 1);
      const policy: Policy = {
        architecture,
        layers: architecture.layers.map((layer) => ({
          weight: Int8Array.from({ length: weightCount(layer) }, (_, i) => {
            // Each output has a span of its own place; the ends come often.
            const least = -127 + ((Math.floor(i / fanIn(layer)) * 53) % (255 - span));
            const draw = random() % 4;
            return draw < 2 ? least + draw * span : least + (random() % (span + 1));
          }),
          bias: Int32Array.from({ length: weightRows(layer) }, () => (random() % 1001) - 500),
        })),
      };
      const loaded = backend.load(policy);
      for (const batch of [1, 5, 6, 7, 50]) {
        const observations = randomObservations(batch, architecture.observation, batch);
        expect(loaded.logits(observations, batch)).toEqual(forward(policy, observations, batch));
      }
    });
  });

  test('takes values of 0 and 1 and of either sign in turn', () => {
    const policy = randomPolicy(minatarNetwork(4), 5);
    const loaded = backend.load(policy);
    const signed = randomObservations(9, 400, 6);
    const binary = signed.map((value) => value & 1);
    for (const rows of [binary, signed, binary]) {
      expect(loaded.logits(rows, 9)).toEqual(forward(policy, rows, 9));
    }
  });

  test.each([2, 7, 8, 9, 16, 18, 24])('samples as the reference does with %i actions', (actions) => {
    const architecture: Architecture = {
      observation: 5,
      actions,
      layers: [{ type: 'dense', in: 5, out: actions, shift: 4, biasMax: 64 }],
    };
    const policy = randomPolicy(architecture, actions);
    const loaded = backend.load(policy);
    const batch = chunkOf(policy) + 3;
    const words = seeds(batch);
    const got = new Uint16Array(batch);
    const expected = new Uint16Array(batch);
    for (const step of [0, 1, 255, 4_294_967_295]) {
      const observations = randomObservations(batch, 5, step % 1000);
      loaded.act!(observations, batch, words, step, got);
      sampleBatch(words, step, forward(policy, observations, batch), actions, expected);
      expect(got).toEqual(expected);
    }
  });

  test('samples after a last layer that is a convolution', () => {
    const architecture: Architecture = {
      observation: 9 * 3,
      actions: 12,
      layers: [
        { type: 'conv2d', height: 3, width: 9, cin: 1, cout: 3, kernel: 3, stride: 2, shift: 4, biasMax: 64 },
      ],
    };
    const policy = randomPolicy(architecture, 8);
    const loaded = backend.load(policy);
    const observations = randomObservations(6, 27, 9);
    const [got, expected] = [new Uint16Array(6), new Uint16Array(6)];
    loaded.act!(observations, 6, seeds(6), 3, got);
    sampleBatch(seeds(6), 3, forward(policy, observations, 6), 12, expected);
    expect(got).toEqual(expected);
  });

  test('takes the lowest index on ties', () => {
    // Logits so far apart that noise decides nothing, and equal within a pair: with equal noise they would tie.
    const architecture: Architecture = {
      observation: 1,
      actions: 10,
      layers: [{ type: 'dense', in: 1, out: 10, shift: 1, biasMax: 131_072 }],
    };
    const policy: Policy = {
      architecture,
      layers: [
        {
          weight: new Int8Array(10),
          bias: Int32Array.from({ length: 10 }, (_, i) => (i === 3 || i === 9 ? 131_072 : -131_072)),
        },
      ],
    };
    const loaded = backend.load(policy);
    const words = seeds(4000);
    const got = new Uint16Array(4000);
    const expected = new Uint16Array(4000);
    const observations = new Int8Array(4000);
    const logits = forward(policy, observations, 4000);
    const seen = new Set<number>();
    for (let step = 0; step < 20; step++) {
      loaded.act!(observations, 4000, words, step, got);
      sampleBatch(words, step, logits, 10, expected);
      expect(got).toEqual(expected);
      for (const action of got) seen.add(action);
    }
    expect([...seen].sort()).toEqual([3, 9]);
  });

  test('refuses −128, in a chunk’s first row and its last, and goes on', () => {
    const policy = randomPolicy(CARTPOLE_MLP, 1);
    const loaded = backend.load(policy);
    const observations = randomObservations(401, 4, 2);
    for (const at of [0, observations.length - 1]) {
      const low = observations.slice();
      low[at] = -128;
      expect(() => loaded.logits(low, 401)).toThrow(expect.objectContaining({ code: 'INT8_RANGE' }));
      expect(() => loaded.act!(low, 401, seeds(401), 0, new Uint16Array(401))).toThrow(
        expect.objectContaining({ code: 'INT8_RANGE' }),
      );
    }
    expect(loaded.logits(observations, 401)).toEqual(forward(policy, observations, 401));
  });
});
