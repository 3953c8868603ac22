import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Architecture, Policy } from '../../src/policy/architecture.ts';
import { accumulatorBound } from '../../src/policy/architecture.ts';
import { forward, trace } from '../../src/policy/forward.ts';

/** PROTOCOL's definition in exact rationals: bigint, division rounding down, no shifts, no int32. */
function byDefinition(
  policy: Policy,
  observation: Int8Array,
): { accumulators: bigint[][]; logits: bigint[] } {
  const floorDivide = (a: bigint, b: bigint) => (a - (((a % b) + b) % b)) / b;
  const accumulators: bigint[][] = [];
  let x = Array.from(observation, BigInt);
  let logits: bigint[] = [];
  for (const [index, layer] of policy.architecture.layers.entries()) {
    const { weight, bias } = policy.layers[index]!;
    const y = Array.from(bias, (b, o) =>
      x.reduce((sum, value, i) => sum + BigInt(weight[o * layer.in + i]!) * value, BigInt(b)),
    );
    accumulators.push(y);
    const unit = 2n ** BigInt(layer.shift);
    logits = y.map((value) => floorDivide(value + unit / 2n, unit));
    x = logits.map((value) => (value < 0n ? 0n : value > 127n ? 127n : value));
  }
  return { accumulators, logits };
}

const int8 = fc.integer({ min: -127, max: 127 });

/** Architectures of any shape whose layers stay exact. */
const architectures = fc
  .record({
    widths: fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 2, maxLength: 5 }),
    shifts: fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 4, maxLength: 4 }),
    biases: fc.array(fc.integer({ min: 0, max: 131_072 }), { minLength: 4, maxLength: 4 }),
  })
  .map(({ widths, shifts, biases }): Architecture => {
    const layers = widths.slice(1).map((out, index) => ({
      type: 'dense' as const,
      in: widths[index]!,
      out: index === widths.length - 2 ? out + 1 : out,
      shift: shifts[index]!,
      biasMax: biases[index]!,
    }));
    return { observation: widths[0]!, actions: layers.at(-1)!.out, layers };
  });

const cases = architectures.chain((architecture) =>
  fc.record({
    policy: fc
      .tuple(
        ...architecture.layers.map((layer) =>
          fc.record({
            weight: fc.array(int8, { minLength: layer.in * layer.out, maxLength: layer.in * layer.out }),
            bias: fc.array(fc.integer({ min: -layer.biasMax, max: layer.biasMax }), {
              minLength: layer.out,
              maxLength: layer.out,
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
