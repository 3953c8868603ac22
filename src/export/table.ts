/** What a column holds. `integer` is exact up to 2^53; `float` is float32; `int8s` a list of int8. */
export type ColumnType = 'integer' | 'double' | 'float' | 'boolean' | 'text' | 'int8s';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Whether a row may have nothing there. */
  readonly nullable: boolean;
  /** What it is, with its unit. */
  readonly doc: string;
}

export interface Table {
  readonly name: string;
  /** What a row is. */
  readonly doc: string;
  readonly columns: readonly Column[];
}

export type Cell = number | string | boolean | Int8Array | null;

/** Cells by the name of their column. */
export type Row = Readonly<Record<string, Cell>>;

/** Where a table's rows go, one after the other. */
export interface RowSink {
  write(row: Row): void;
  /** Writes what was kept back. */
  finish(): void;
}

/** Takes the next bytes of a file. */
export type WriteBytes = (bytes: Uint8Array) => void;
