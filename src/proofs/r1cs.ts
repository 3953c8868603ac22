import { GrailError } from '../protocol/errors.ts';
import { FIELD_ORDER } from './fields.ts';

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

const MAGIC = 0x73633172; // "r1cs", little-endian

/** Four little-endian 64-bit words as a bigint. */
export function readField(view: DataView, at: number): bigint {
  return (
    view.getBigUint64(at, true) |
    (view.getBigUint64(at + 8, true) << 64n) |
    (view.getBigUint64(at + 16, true) << 128n) |
    (view.getBigUint64(at + 24, true) << 192n)
  );
}

/**
 * Parses iden3's .r1cs file (version 1, BN254, no custom gates).
 * Source: https://github.com/iden3/r1csfile/blob/master/doc/r1cs_bin_format.md
 * @throws GrailError CIRCUIT_UNSOUND when the file is not such a constraint system.
 */
export function parseR1cs(bytes: Uint8Array): R1cs {
  const invalid = (message: string) =>
    new GrailError('CIRCUIT_UNSOUND', `the constraint system cannot be used: ${message}; compile it again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== 1) {
    throw invalid('not an r1cs file, version 1');
  }
  const sections = new Map<number, { at: number; size: number }>();
  let at = 12;
  for (let i = view.getUint32(8, true); i > 0; i--) {
    const size = Number(view.getBigUint64(at + 4, true));
    if (at + 12 + size > bytes.length) throw invalid('it is truncated');
    sections.set(view.getUint32(at, true), { at: at + 12, size });
    at += 12 + size;
  }
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
  at = body.at;
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
