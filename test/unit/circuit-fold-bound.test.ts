import { describe, expect, it } from 'vitest';
import type { Architecture } from '../../src/policy/architecture.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/fields.ts';
import { foldPolicy } from '../../src/proofs/fold.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout } from '../../src/proofs/widths.ts';
import { compileCircuit, type TemplateEdit } from '../helpers/circuit.ts';
import { mlp, randomPolicy, Seeded } from '../helpers/steps.ts';

/** A hidden layer of the greatest width: 25 bits, so that one equation covers 9 steps. */
const WIDE = mlp(
  [
    [2, 17, 1000],
    [600, 17, 131_072],
  ],
  2,
);
const { stride, folded, layers } = circuitLayout({ architecture: WIDE, stepsPerProof: 1 });
const { width, offset } = layers[1]!;

/** The fold template in a main component of two values and two accumulators a step. */
function foldSource(steps: number): string {
  return `pragma circom 2.2.0;
include "fold.circom";
template Main() {
    signal input rho; signal input v[2]; signal input known; signal input x[${steps}][2]; signal input y[${steps}][2];
    component fold = FoldUncheckedRanges(${steps}, 2, 2, ${width}, ${stride});
    fold.rho <== rho;
    fold.v <== v; fold.x <== x; fold.y <== y;
    fold.out === known;
}
component main {public [rho, v, known]} = Main();
`;
}

const WITHOUT_ASSERTION: TemplateEdit = {
  file: 'fold.circom',
  from: '    assert(steps >= 1 && nOut >= 1 && stride >= width && width + stride * (steps - 1) <= 253);\n',
  to: '',
};

/**
 * Errors of `steps` steps, each of less than `limit`, whose folded sum is a non-zero multiple of r; undefined when the
 * first `tries` multiples have none. A digit is below 2^(width − 1) one time in four.
 */
function cancellingErrors(steps: number, limit: bigint, tries: number): bigint[] | undefined {
  const base = 1n << BigInt(stride);
  for (let k = 1n; k <= BigInt(tries); k++) {
    let rest = k * FIELD_ORDER;
    const errors: bigint[] = [];
    while (errors.length < steps) {
      const digit = BigInt.asIntN(stride, rest);
      if (digit >= limit || digit <= -limit) break;
      errors.push(digit);
      rest = (rest - digit) / base;
    }
    if (errors.length === steps && rest === 0n) return errors;
  }
  return undefined;
}

describe('the bound on steps that one fold equation covers', () => {
  it('is met by every width that an architecture can have, and by no more steps than that', () => {
    const expected: Record<number, number> = { 18: 12, 19: 12, 20: 11, 21: 11, 22: 10, 23: 10, 24: 9, 25: 9 };
    for (const [bits, steps] of Object.entries(expected)) {
      const target = 2 ** (Number(bits) - 1) - 1;
      const inputs = Math.min(1024, Math.floor((target - 1) / 127 ** 2));
      const widest = mlp([[inputs, 1, target - 1 - inputs * 127 ** 2]], 2);
      // A narrow layer before it takes the wide one's stride: there is one equation for both.
      const both: Architecture = {
        ...widest,
        observation: 1,
        layers: [{ type: 'dense', in: 1, out: inputs, shift: 1, biasMax: 0 }, ...widest.layers],
      };
      for (const architecture of [widest, both]) {
        const layout = circuitLayout({ architecture, stepsPerProof: 1 });
        const most = Math.max(...layout.layers.map((layer) => layer.width));
        expect([most, layout.folded]).toEqual([Number(bits), steps]);
        expect(most + layout.stride * (layout.folded - 1)).toBeLessThanOrEqual(253);
        expect(most + layout.stride * layout.folded).toBeGreaterThan(253);
        // The largest folded error is below r: no errors but zero ones add up to a multiple of it.
        let largest = 0n;
        for (let b = 0; b < layout.folded; b++) largest += 2n ** BigInt(most + layout.stride * b);
        expect(largest < FIELD_ORDER).toBe(true);
      }
    }
  });

  it('is no luxury: beyond it, accumulators within their ranges are false and satisfy the equation at every rho', async () => {
    const steps = folded + 2;
    const circuit = await compileCircuit(foldSource(steps), 'O0', [WITHOUT_ASSERTION]);
    const random = new Seeded(4);
    const small = mlp([[2, 17, 1000]], 2);
    const policy = randomPolicy(small, random);
    const x = Array.from({ length: steps }, () => [random.int(-127, 127), random.int(-127, 127)]);
    const { weight, bias } = policy.layers[0]!;
    const truth = x.map(([p, q]) =>
      [0, 1].map((i) => BigInt(weight[2 * i]! * p! + weight[2 * i + 1]! * q! + bias[i]!)),
    );
    const errors = cancellingErrors(steps, 2n ** BigInt(width - 1) - 40_000n, 2 ** 26)!;
    const forged = truth.map(([y0, y1], b) => [y0! + errors[b]!, y1!]);
    for (const [y0] of forged) {
      expect(y0! + BigInt(offset) >= 0n && y0! + BigInt(offset) < 2n ** BigInt(width)).toBe(true);
    }
    expect(errors.every((error) => error !== 0n)).toBe(true);
    const off = forged.map(([y0, y1], b) => [b === 0 ? y0! + 1n : y0!, y1!]);
    for (let i = 0; i < 5; i++) {
      const rho = BigInt(random.word()) ** 7n;
      const { observation: v, constant } = foldPolicy(policy, rho);
      let known = 0n;
      for (let b = 0; b < steps; b++) known += constant << BigInt(stride * b);
      const blame = async (y: bigint[][]) =>
        circuit.blame(
          await circuit.witness({
            rho,
            v,
            known: known % FIELD_ORDER,
            x: x.map((row) => row.map((value) => signedToField(BigInt(value)))),
            y: y.map((row) => row.map(signedToField)),
          }),
        );
      expect(await blame(truth)).toEqual([]);
      expect(await blame(forged)).toEqual([]);
      expect(await blame(off)).toEqual(['fold.out = known']);
    }
  });

  it('is asserted by the template itself', async () => {
    await expect(compileCircuit(foldSource(folded + 1), 'O0')).rejects.toThrow();
    await expect(compileCircuit(foldSource(folded), 'O0')).resolves.toBeDefined();
  });

  it('is asserted by the generator, which otherwise spreads steps over more equations', () => {
    const spec: CircuitSpec = { architecture: WIDE, stepsPerProof: folded + 2, variant: 'folds' };
    expect(generateCircuit(spec).source).toContain(`/* folded */ ${folded},`);
    const layout = circuitLayout(spec);
    expect(layout.equations).toBe(2);
    for (const [wrong, layer] of [
      [{ ...layout, folded: folded + 1 }, 0],
      [{ ...layout, stride: 29 }, 1],
      [{ ...layout, stride: width - 1 }, 1],
    ] as const) {
      expect(() => generateCircuit(spec, wrong)).toThrow(
        expect.objectContaining({ code: 'CIRCUIT_UNSOUND', details: { layer } }),
      );
    }
  });
});
