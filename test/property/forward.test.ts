import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  accumulatorBound,
  type Conv2dLayer,
  type LayerTensors,
  type Policy,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';
import { architectures } from '../support/architectures.ts';

/** PROTOCOL's definition in exact rationals: bigint, division rounding down, no shifts, no int32, no table of patches. */
function byDefinition(
  policy: Policy,
  observation: Int8Array,
): { accumulators: bigint[][]; logits: bigint[] } {
  const floorDivide = (a: bigint, b: bigint) => (a - (((a % b) + b) % b)) / b;
  const accumulators: bigint[][] = [];
  let x = Array.from(observation, BigInt);
  let logits: bigint[] = [];
  for (const [index, layer] of policy.architecture.layers.entries()) {
    const y =
      layer.type === 'dense' ? dense(policy.layers[index]!, x) : convolve(layer, policy.layers[index]!, x);
    accumulators.push(y);
    const unit = 2n ** BigInt(layer.shift);
    logits = y.map((value) => floorDivide(value + unit / 2n, unit));
    x = logits.map((value) => (value < 0n ? 0n : value > 127n ? 127n : value));
  }
  return { accumulators, logits };
}

function dense({ weight, bias }: LayerTensors, x: readonly bigint[]): bigint[] {
  return Array.from(bias, (b, o) =>
    x.reduce((sum, value, i) => sum + BigInt(weight[o * x.length + i]!) * value, BigInt(b)),
  );
}

function convolve(layer: Conv2dLayer, { weight, bias }: LayerTensors, x: readonly bigint[]): bigint[] {
  const { height, width, cin, cout, kernel, stride } = layer;
  const y: bigint[] = [];
  for (let top = 0; top + kernel <= height; top += stride) {
    for (let left = 0; left + kernel <= width; left += stride) {
      for (let o = 0; o < cout; o++) {
        let sum = BigInt(bias[o]!);
        for (let row = 0; row < kernel; row++) {
          for (let column = 0; column < kernel; column++) {
            for (let channel = 0; channel < cin; channel++) {
              const w = weight[((o * kernel + row) * kernel + column) * cin + channel]!;
              sum += BigInt(w) * x[((top + row) * width + left + column) * cin + channel]!;
            }
          }
        }
        y.push(sum);
      }
    }
  }
  return y;
}

const int8 = fc.integer({ min: -127, max: 127 });

const cases = architectures.chain((architecture) =>
  fc.record({
    policy: fc
      .tuple(
        ...architecture.layers.map((layer) =>
          fc.record({
            weight: fc.array(int8, { minLength: weightCount(layer), maxLength: weightCount(layer) }),
            bias: fc.array(fc.integer({ min: -layer.biasMax, max: layer.biasMax }), {
              minLength: weightRows(layer),
              maxLength: weightRows(layer),
            }),
          }),
        ),
      )
      .map(
        (layers): Policy => ({
          architecture,
          layers: layers.map(({ weight, bias }) => ({
            weight: Int8Array.from(weight),
            bias: Int32Array.from(bias),
          })),
        }),
      ),
    rows: fc.array(
      fc.array(int8, { minLength: architecture.observation, maxLength: architecture.observation }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
);

const options = { numRuns: process.env.GRAIL_LONG ? 5_000 : 200, seed: 3 };

test('logits and accumulators are those of the definition in unbounded integers', () => {
  fc.assert(
    fc.property(cases, ({ policy, rows }) => {
      const { actions } = policy.architecture;
      const logits = forward(policy, Int8Array.from(rows.flat()), rows.length);
      for (const [index, row] of rows.entries()) {
        const observation = Int8Array.from(row);
        const expected = byDefinition(policy, observation);
        const got = Array.from(logits.subarray(index * actions, (index + 1) * actions), BigInt);
        expect(got).toEqual(expected.logits);
        expect(trace(policy, observation).map((y) => Array.from(y, BigInt))).toEqual(expected.accumulators);
      }
    }),
    options,
  );
});

test('no accumulator exceeds the bound of its layer', () => {
  fc.assert(
    fc.property(cases, ({ policy, rows }) => {
      for (const row of rows) {
        for (const [index, y] of trace(policy, Int8Array.from(row)).entries()) {
          const layer = policy.architecture.layers[index]!;
          for (const value of y) {
            expect(Math.abs(value) + 2 ** (layer.shift - 1)).toBeLessThanOrEqual(accumulatorBound(layer));
          }
        }
      }
    }),
    options,
  );
});
