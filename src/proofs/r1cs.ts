import { GrailError } from '../protocol/errors.ts';
import { FIELD_ORDER, readField } from './fields.ts';
import { type Section, sectionsOf, viewOf } from './sections.ts';

/**
 * One sparse matrix of the constraint system `A·w ∘ B·w = C·w`, its non-zeros in file order: constraint by
 * constraint. Entry k is `values[k]` at (`rows[k]`, `wires[k]`).
 */
export interface SparseMatrix {
  readonly rows: Uint32Array;
  readonly wires: Uint32Array;
  readonly values: readonly bigint[];
}

export interface R1cs {
  /** Wires: the constant one, then the public ones, then the private ones. */
  readonly wires: number;
  /** Public wires, outputs and inputs, without the constant one. */
  readonly publics: number;
  readonly constraints: number;
  readonly a: SparseMatrix;
  readonly b: SparseMatrix;
  readonly c: SparseMatrix;
}

/**
 * Parses iden3's .r1cs file (version 1, BN254, no custom gates).
 * Source: https://github.com/iden3/r1csfile/blob/master/doc/r1cs_bin_format.md
 * @throws GrailError CIRCUIT_UNSOUND when the file is not such a constraint system.
 */
export function parseR1cs(bytes: Uint8Array): R1cs {
  const invalid = (message: string) =>
    new GrailError('CIRCUIT_UNSOUND', `the constraint system cannot be used: ${message}; compile it again`);
  let sections: Map<number, Section>;
  try {
    sections = sectionsOf(bytes, 'r1cs');
  } catch (error) {
    throw invalid((error as RangeError).message);
  }
  const view = viewOf(bytes);
  const header = sections.get(1);
  const body = sections.get(2);
  if (header === undefined || body === undefined) throw invalid('a section is missing');
  if ((sections.get(5)?.size ?? 4) > 4) throw invalid('it has custom gates');
  if (view.getUint32(header.at, true) !== 32 || readField(view, header.at + 4) !== FIELD_ORDER) {
    throw invalid('it is not over BN254');
  }
  const wires = view.getUint32(header.at + 36, true);
  const publics = view.getUint32(header.at + 40, true) + view.getUint32(header.at + 44, true);
  const constraints = view.getUint32(header.at + 60, true);

  const matrices = [0, 1, 2].map(() => ({
    rows: [] as number[],
    wires: [] as number[],
    values: [] as bigint[],
  }));
  let at = body.at;
  for (let row = 0; row < constraints; row++) {
    for (const matrix of matrices) {
      const end = at + 4 + 36 * view.getUint32(at, true);
      for (at += 4; at < end; at += 36) {
        matrix.rows.push(row);
        matrix.wires.push(view.getUint32(at, true));
        matrix.values.push(readField(view, at + 4));
      }
    }
  }
  if (at !== body.at + body.size) throw invalid('its constraints do not fill their section');
  const [a, b, c] = matrices.map(
    (matrix): SparseMatrix => ({
      rows: Uint32Array.from(matrix.rows),
      wires: Uint32Array.from(matrix.wires),
      values: matrix.values,
    }),
  );
  return { wires, publics, constraints, a: a!, b: b!, c: c! };
}
