import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import type { Cell, Column, Row, RowSink, Table, WriteBytes } from './table.ts';

/** Rows of a row group, and list elements of one: it is held in memory until it is written. */
const GROUP_ROWS = 16_384;
const GROUP_ELEMENTS = 1_048_576;

/** Apache Parquet, Snappy inside, written a row group at a time. */
export function parquetSink(table: Table, write: WriteBytes): RowSink {
  return new ParquetSink(table, write);
}

class ParquetSink implements RowSink {
  readonly #columns: readonly Column[];
  readonly #writer: ParquetWriter;
  #cells: Cell[][];
  #rows = 0;
  #elements = 0;

  constructor({ columns }: Table, write: WriteBytes) {
    this.#columns = columns;
    this.#writer = new ParquetWriter({
      writer: new FlushedWriter(write),
      schema: schemaOf(columns),
      createdBy: 'grail',
    });
    this.#cells = columns.map(() => []);
  }

  write(row: Row): void {
    for (const [i, { name }] of this.#columns.entries()) {
      const cell = row[name]!;
      this.#cells[i]!.push(cell);
      if (cell instanceof Int8Array) this.#elements += cell.length;
    }
    this.#rows++;
    if (this.#rows >= GROUP_ROWS || this.#elements >= GROUP_ELEMENTS) this.#flush();
  }

  finish(): void {
    if (this.#rows > 0) this.#flush();
    this.#writer.finish();
  }

  #flush(): void {
    this.#writer.write({
      columnData: this.#columns.map((column, i) => ({
        name: column.name,
        data: this.#cells[i]!.map((cell) => stored(column, cell)),
        offsetIndex: false,
      })),
      rowGroupSize: this.#rows,
    });
    this.#cells = this.#columns.map(() => []);
    this.#rows = 0;
    this.#elements = 0;
  }
}

/** What the library takes for a cell. */
function stored({ type }: Column, cell: Cell): unknown {
  if (cell instanceof Int8Array) return [...cell];
  return type === 'integer' && cell !== null ? BigInt(cell as number) : cell;
}

function schemaOf(columns: readonly Column[]): SchemaElement[] {
  return [{ name: 'root', num_children: columns.length }, ...columns.flatMap(elementsOf)];
}

function elementsOf({ name, type, nullable }: Column): SchemaElement[] {
  const repetition_type = nullable ? 'OPTIONAL' : 'REQUIRED';
  switch (type) {
    case 'integer':
      return [{ name, repetition_type, type: 'INT64' }];
    case 'double':
      return [{ name, repetition_type, type: 'DOUBLE' }];
    case 'float':
      return [{ name, repetition_type, type: 'FLOAT' }];
    case 'boolean':
      return [{ name, repetition_type, type: 'BOOLEAN' }];
    case 'text':
      return [{ name, repetition_type, type: 'BYTE_ARRAY', converted_type: 'UTF8' }];
    case 'int8s':
      return [
        { name, repetition_type, converted_type: 'LIST', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'REQUIRED', type: 'INT32', converted_type: 'INT_8' },
      ];
  }
}

/** Bytes leave memory after every row group. */
class FlushedWriter extends ByteWriter {
  readonly #write: WriteBytes;

  constructor(write: WriteBytes) {
    super();
    this.#write = write;
  }

  flush(): void {
    this.#write(this.getBytes());
    this.index = 0;
  }

  override finish(): void {
    this.flush();
  }
}
