import { concat } from '../../../src/protocol/bytes.ts';
import {
  bytesOf,
  changedPositions,
  decodeJson,
  encodeJson,
  patternsOf,
  placedByName,
  type Rival,
  unzstd,
  zstd,
} from './rival.ts';

/**
 * PULSE as grail shipped it, `sparse_codec_v3.1`: rows and columns of changed cells as differences in the smallest type
 * that holds them, new values as they are, one zstd frame of level 1 over header and tensors. Unlike the original,
 * cells are compared bit by bit, and tensors without a change are not listed.
 */

type IndexType = 'uint8' | 'uint16' | 'int32';

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly num_nonzero: number;
  readonly value_dtype: 'bfloat16';
  readonly row_dtype: IndexType;
  readonly col_dtype: IndexType;
  readonly indices_offset: number;
  readonly indices_size: number;
  readonly rows_size: number;
  readonly cols_size: number;
  readonly values_offset: number;
  readonly values_size: number;
}

interface Header {
  readonly version: 31;
  readonly tensors: readonly Entry[];
}

/** A tensor seen as a matrix: a row for each index of the first dimension. */
function columnsOf(dims: readonly number[]): number {
  return dims.slice(1).reduce((product, dim) => product * dim, 1);
}

function smallest(values: Int32Array, types: readonly IndexType[]): { type: IndexType; bytes: Uint8Array } {
  const most = values.reduce((max, value) => Math.max(max, value), 0);
  const type = types.find((name) =>
    name === 'uint8' ? most < 2 ** 8 : name === 'uint16' ? most < 2 ** 16 : true,
  )!;
  if (type === 'uint8') return { type, bytes: Uint8Array.from(values) };
  return { type, bytes: bytesOf(type === 'uint16' ? Uint16Array.from(values) : values) };
}

function widened(bytes: Uint8Array, type: IndexType): ArrayLike<number> {
  if (type === 'uint8') return bytes;
  return type === 'uint16' ? patternsOf(bytes) : new Int32Array(new Uint8Array(bytes).buffer);
}

function encode(...[base, target, tensors]: Parameters<Rival['encode']>): Uint8Array {
  const entries: Entry[] = [];
  const body: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of placedByName(tensors)) {
    const moved = target.subarray(tensor.offset, tensor.offset + tensor.size);
    const positions = changedPositions(base.subarray(tensor.offset, tensor.offset + tensor.size), moved);
    if (positions.length === 0) continue;
    const columns = columnsOf(tensor.dims);
    const rowSteps = new Int32Array(positions.length);
    const columnSteps = new Int32Array(positions.length);
    const values = new Uint16Array(positions.length);
    let [row, column] = [0, 0];
    for (let i = 0; i < positions.length; i++) {
      const position = positions[i]!;
      const nextRow = Math.floor(position / columns);
      const nextColumn = position - nextRow * columns;
      rowSteps[i] = nextRow - row;
      columnSteps[i] = nextRow !== row || i === 0 ? nextColumn : nextColumn - column;
      values[i] = moved[position]!;
      [row, column] = [nextRow, nextColumn];
    }
    const rows = smallest(rowSteps, ['uint8', 'uint16', 'int32']);
    const cols = smallest(columnSteps, ['uint16', 'int32']);
    const indexBytes = rows.bytes.length + cols.bytes.length;
    entries.push({
      name: tensor.name,
      shape: tensor.dims,
      num_nonzero: positions.length,
      value_dtype: 'bfloat16',
      row_dtype: rows.type,
      col_dtype: cols.type,
      indices_offset: offset,
      indices_size: indexBytes,
      rows_size: rows.bytes.length,
      cols_size: cols.bytes.length,
      values_offset: offset + indexBytes,
      values_size: 2 * positions.length,
    });
    body.push(rows.bytes, cols.bytes, bytesOf(values));
    offset += indexBytes + 2 * positions.length;
  }
  const header: Header = { version: 31, tensors: entries };
  return zstd(concat(encodeJson(header), ...body), 1);
}

function decode(...[base, bytes, tensors]: Parameters<Rival['decode']>): Uint16Array {
  const plain = unzstd(bytes);
  const { value: header, end } = decodeJson<Header>(plain);
  const part = (at: number, size: number) => plain.subarray(end + at, end + at + size);
  const offsets = new Map(placedByName(tensors).map(({ name, offset }) => [name, offset]));
  const state = base.slice();
  for (const entry of header.tensors) {
    const offset = offsets.get(entry.name)!;
    const columns = columnsOf(entry.shape);
    const rowSteps = widened(part(entry.indices_offset, entry.rows_size), entry.row_dtype);
    const columnSteps = widened(
      part(entry.indices_offset + entry.rows_size, entry.cols_size),
      entry.col_dtype,
    );
    const values = patternsOf(part(entry.values_offset, entry.values_size));
    let [row, column] = [0, 0];
    for (let i = 0; i < values.length; i++) {
      row += rowSteps[i]!;
      column = rowSteps[i] !== 0 || i === 0 ? columnSteps[i]! : column + columnSteps[i]!;
      state[offset + row * columns + column] = values[i]!;
    }
  }
  return state;
}

export const grailV31: Rival = {
  name: 'grail v3.1 + zstd-1 (PULSE)',
  missing: () => null,
  encode,
  decode,
  headerBytes: () => 0,
};
