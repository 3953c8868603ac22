import { utf8 } from '../protocol/bytes.ts';
import type { Cell, Row, RowSink, Table, WriteBytes } from './table.ts';

/** Characters that are kept back, so that a row is not a write of its own. */
const KEPT = 65_536;

/** Lines of text, as rows of a table. */
class TextSink implements RowSink {
  readonly #line: (row: Row) => string;
  readonly #write: WriteBytes;
  #text: string;

  constructor(head: string, line: (row: Row) => string, write: WriteBytes) {
    this.#text = head;
    this.#line = line;
    this.#write = write;
  }

  write(row: Row): void {
    this.#text += this.#line(row);
    if (this.#text.length >= KEPT) this.finish();
  }

  finish(): void {
    this.#write(utf8(this.#text));
    this.#text = '';
  }
}

/**
 * CSV as in RFC 4180: a header, lines that end with CR LF, quotes where they are needed. Nothing between two commas is no
 * value, `""` is an empty text. A list is its numbers with a blank between.
 */
export function csvSink({ columns }: Table, write: WriteBytes): RowSink {
  const line = (cells: readonly string[]) => `${cells.join(',')}\r\n`;
  const head = line(columns.map(({ name }) => field(name)));
  return new TextSink(head, (row) => line(columns.map(({ name }) => field(row[name]!))), write);
}

function field(cell: Cell): string {
  if (cell === null) return '';
  if (cell instanceof Int8Array) return cell.join(' ');
  if (typeof cell !== 'string') return String(cell);
  return cell === '' || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** One JSON object a line, its members in the order of the columns; no value is null, a list is an array. */
export function jsonLinesSink({ columns }: Table, write: WriteBytes): RowSink {
  const value = (cell: Cell) => (cell instanceof Int8Array ? [...cell] : cell);
  const line = (row: Row) =>
    `${JSON.stringify(Object.fromEntries(columns.map(({ name }) => [name, value(row[name]!)])))}\n`;
  return new TextSink('', line, write);
}
