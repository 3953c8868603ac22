import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import type { R1cs, SparseMatrix } from '../../src/proofs/r1cs.ts';
import type { Seeded } from '../helpers/steps.ts';
import { randomElement } from './groth16-kernel.ts';

/**
 * A constraint system that no compiler made, with a witness: every constraint defines the next private wire as a product of two
 * sums. Wires of one kind stand in the same sums with the same coefficient, so that their points in a key are equal; others are in no
 * sum, so that theirs are at infinity.
 */
export function randomSystem(
  random: Seeded,
  constraints: number,
  publics: number,
): { r1cs: R1cs; witness: bigint[] } {
  const witness = [1n, ...Array.from({ length: publics + 4 }, () => randomElement(random, FIELD_ORDER))];
  // Wires p + 1 … p + 4 are twins.
  const twins = [1, 2, 3, 4].map((i) => publics + i);
  for (const twin of twins) witness[twin] = BigInt(random.int(0, 1));
  const matrices = [0, 1, 2].map(() => ({
    rows: [] as number[],
    wires: [] as number[],
    values: [] as bigint[],
  }));
  const put = (matrix: number, row: number, wire: number, value: bigint) => {
    matrices[matrix]!.rows.push(row);
    matrices[matrix]!.wires.push(wire);
    matrices[matrix]!.values.push(value);
  };
  for (let row = 0; row < constraints; row++) {
    const sums = [0n, 0n];
    for (const matrix of [0, 1]) {
      const terms = row % 7 === 0 ? 6 : random.int(1, 3);
      const used = new Set<number>();
      for (let i = 0; i < terms; i++) {
        const wire = random.int(0, witness.length - 1);
        if (twins.includes(wire) || used.has(wire)) continue;
        used.add(wire);
        const value = random.int(0, 1) === 0 ? 1n : randomElement(random, FIELD_ORDER) || 1n;
        put(matrix, row, wire, value);
        sums[matrix]! += value * witness[wire]!;
      }
      if (row % 5 === 0) {
        for (const twin of twins) {
          put(matrix, row, twin, 3n);
          sums[matrix]! += 3n * witness[twin]!;
        }
      }
    }
    const product = (sums[0]! * sums[1]!) % FIELD_ORDER;
    // Small results, most of a real witness, need a term that makes them so.
    const small = row % 2 === 0 ? BigInt(random.int(0, 1)) : product;
    put(2, row, witness.length, 1n);
    if (small !== product) put(2, row, 0, (product - small + FIELD_ORDER) % FIELD_ORDER);
    witness.push(small);
  }
  const [a, b, c] = matrices.map(({ rows, wires, values }): SparseMatrix => {
    return { rows: Uint32Array.from(rows), wires: Uint32Array.from(wires), values };
  });
  return {
    r1cs: { wires: witness.length, publics, constraints, a: a!, b: b!, c: c! },
    witness,
  };
}
