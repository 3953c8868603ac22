import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { foldVectors } from '../../src/proofs/fold.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/poseidon.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout, layerWidths } from '../../src/proofs/widths.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { mlp, randomPolicy, Seeded } from '../helpers/steps.ts';

/** A layer of the greatest width: 25 bits, so that one equation covers 9 steps. */
const WIDE = mlp([[600, 17, 131_072]], 2);
const { width, stride, folded, offset } = layerWidths(WIDE.layers[0]!);

/** fold.circom with a main component of two inputs and two rows, with or without the template's own assertion. */
function foldSource(steps: number, asserted: boolean): string {
  const text = readFileSync(new URL('../../circuits/fold.circom', import.meta.url), 'utf8');
  const body = asserted ? text : text.replace(/^\s*assert\(.*\);$/m, '');
  if (!asserted && body === text) throw new Error('fold.circom has no assertion to take out');
  return `${body}
template Main() {
    signal input rho; signal input u[2]; signal input c; signal input x[${steps}][2]; signal input y[${steps}][2];
    component fold = FoldUncheckedRanges(${steps}, 2, 2, ${width}, ${stride});
    fold.power[0] <== rho;
    fold.power[1] <== rho * rho;
    fold.u <== u; fold.c <== c; fold.x <== x; fold.y <== y;
}
component main {public [rho, u, c]} = Main();
`;
}

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
      const layer = layerWidths({
        type: 'dense',
        in: inputs,
        out: 1,
        shift: 1,
        biasMax: target - 1 - inputs * 127 ** 2,
      });
      expect([layer.width, layer.folded]).toEqual([Number(bits), steps]);
      expect(layer.width + layer.stride * (layer.folded - 1)).toBeLessThanOrEqual(253);
      expect(layer.width + layer.stride * layer.folded).toBeGreaterThan(253);
      // The largest folded error is below r: no errors but zero ones add up to a multiple of it.
      let largest = 0n;
      for (let b = 0; b < layer.folded; b++) largest += 2n ** BigInt(layer.width + layer.stride * b);
      expect(largest < FIELD_ORDER).toBe(true);
    }
  });

  it('is no luxury: beyond it, accumulators within their ranges are false and satisfy the equation at every rho', async () => {
    const steps = folded + 2;
    const circuit = await compileCircuit(foldSource(steps, false), 'O0');
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
      const [u0, u1, c] = foldVectors(policy, rho) as [bigint, bigint, bigint];
      const blame = async (y: bigint[][]) =>
        circuit.blame(
          await circuit.witness({
            rho,
            u: [u0, u1],
            c,
            x: x.map((row) => row.map((value) => signedToField(BigInt(value)))),
            y: y.map((row) => row.map(signedToField)),
          }),
        );
      expect(await blame(truth)).toEqual([]);
      expect(await blame(forged)).toEqual([]);
      expect(await blame(off)).toEqual(['fold']);
    }
  });

  it('is asserted by the template itself', async () => {
    await expect(compileCircuit(foldSource(folded + 1, true), 'O0')).rejects.toThrow();
    await expect(compileCircuit(foldSource(folded, true), 'O0')).resolves.toBeDefined();
  });

  it('is asserted by the generator, which otherwise spreads steps over more equations', () => {
    const spec: CircuitSpec = { architecture: WIDE, stepsPerProof: folded + 2, variant: 'folds' };
    expect(generateCircuit(spec).source).toContain(`/* folded */ [${folded}]`);
    const layout = circuitLayout(spec);
    const layers = layout.layers.map((layer) => ({ ...layer, folded: folded + 1 }));
    expect(() => generateCircuit(spec, { ...layout, layers })).toThrow(
      expect.objectContaining({ code: 'CIRCUIT_UNSOUND', details: { layer: 0 } }),
    );
  });
});
