import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/poseidon.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit, product, type TestCircuit } from '../helpers/circuit.ts';
import { mlp, randomPolicy, randomSteps, Seeded } from '../helpers/steps.ts';

const ARCHITECTURE = mlp(
  [
    [3, 5, 500],
    [4, 3, 60],
  ],
  2,
);

/** One constraint's part in a wire: what a unit of the wire adds to A·w, B·w and C·w. */
interface Use {
  readonly row: number;
  readonly add: [a: bigint, b: bigint, c: bigint];
}

function usesByWire({ r1cs }: TestCircuit): Map<number, Use>[] {
  const uses = Array.from({ length: r1cs.wires }, () => new Map<number, Use>());
  for (const [side, matrix] of [r1cs.a, r1cs.b, r1cs.c].entries()) {
    for (let k = 0; k < matrix.rows.length; k++) {
      const row = matrix.rows[k]!;
      const map = uses[matrix.wires[k]!]!;
      const use = map.get(row) ?? { row, add: [0n, 0n, 0n] };
      use.add[side]! += matrix.values[k]!;
      map.set(row, use);
    }
  }
  return uses;
}

/** Names of the private wires that can take another value, among those tried, while all others stay. */
function freeWires(circuit: TestCircuit, witness: readonly bigint[], random: Seeded): string[] {
  const { r1cs, names } = circuit;
  const [a, b, c] = [r1cs.a, r1cs.b, r1cs.c].map((matrix) => product(matrix, r1cs.constraints, witness));
  const uses = usesByWire(circuit);
  const free: string[] = [];
  for (let wire = 1 + r1cs.publics; wire < r1cs.wires; wire++) {
    const value = witness[wire]!;
    const others = [value + 1n, value - 1n, 1n - value, -value, BigInt(random.word()) ** 7n]
      .map(signedToField)
      .filter((other) => other !== value);
    const holds = (other: bigint) =>
      [...uses[wire]!.values()].every(({ row, add }) => {
        const [da, db, dc] = add.map((unit) => unit * (other - value)) as [bigint, bigint, bigint];
        return ((a![row]! + da) * (b![row]! + db) - c![row]! - dc) % FIELD_ORDER === 0n;
      });
    if (others.some(holds)) free.push(names[wire]!);
  }
  return free;
}

describe('every private wire of a satisfied circuit', () => {
  for (const [variant, prefix] of [
    ['folds', ''],
    ['digest', 'check.'],
  ] as const) {
    it(`is fixed by the others, but for the helper of IsZero where its input is zero: variant ${variant}`, async () => {
      const spec: CircuitSpec = { architecture: ARCHITECTURE, stepsPerProof: 2, variant };
      const { source } = generateCircuit(spec);
      const optimised = await compileCircuit(source, 'O2');
      const named = await compileCircuit(source, 'O0');
      const random = new Seeded(21);
      let zeros = 0;
      let others = 0;
      for (let i = 0; i < (process.env.GRAIL_LONG ? 40 : 3); i++) {
        const policy = randomPolicy(ARCHITECTURE, random);
        const steps = randomSteps(policy, 2, random);
        const input = witnessInput({ spec, policy, rho: BigInt(random.word()) ** 7n, context: 1n, steps });
        const witness = await optimised.witness(input);
        expect(optimised.violated(witness)).toEqual([]);
        const unoptimised = await named.witness(input);
        const helpers: string[] = [];
        for (let step = 0; step < 2; step++) {
          for (let row = 0; row < 4; row++) {
            const name = `${prefix}requantise[${step}][${row}].inRange`;
            if (unoptimised[named.wires.get(`${name}.in`)!] === 0n) helpers.push(`${name}.inv`);
            else others += 1;
          }
        }
        zeros += helpers.length;
        expect(freeWires(optimised, witness, random).sort()).toEqual(helpers.sort());
      }
      // Both kinds occurred, so that neither half of the claim is empty.
      expect(zeros).toBeGreaterThan(0);
      expect(others).toBeGreaterThan(0);
    });
  }
});
