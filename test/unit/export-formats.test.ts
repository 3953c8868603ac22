import { readFileSync } from 'node:fs';
import { parquetReadObjects } from 'hyparquet';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../src/export/crc32c.ts';
import { parquetSink } from '../../src/export/parquet.ts';
import type { Column, Row, RowSink, Table, WriteBytes } from '../../src/export/table.ts';
import { EventFile, type Scalars } from '../../src/export/tensorboard.ts';
import { csvSink, jsonLinesSink } from '../../src/export/text.ts';
import { concat, fromHex, toHex, utf8 } from '../../src/protocol/bytes.ts';

const column = (name: string, type: Column['type'], nullable = false): Column => ({
  name,
  type,
  nullable,
  doc: '',
});

const TABLE: Table = {
  name: 'all',
  doc: '',
  columns: [
    column('integer', 'integer'),
    column('maybe', 'integer', true),
    column('double', 'double', true),
    column('float', 'float'),
    column('yes', 'boolean'),
    column('text', 'text', true),
    column('list', 'int8s'),
  ],
};

const ROWS: readonly Row[] = [
  { integer: 0, maybe: null, double: 0.1, float: 0.5, yes: true, text: 'a', list: Int8Array.of(1, -127) },
  {
    integer: 2 ** 53 - 1,
    maybe: 7,
    double: null,
    float: -1,
    yes: false,
    text: null,
    list: Int8Array.of(0, 127),
  },
  { integer: -5, maybe: null, double: 5e-324, float: 0.25, yes: true, text: '', list: Int8Array.of(3, 4) },
];

/** The bytes that a sink writes for rows. */
function written(make: (table: Table, write: WriteBytes) => RowSink, rows: Iterable<Row>): Uint8Array {
  const parts: Uint8Array[] = [];
  const sink = make(TABLE, (bytes) => parts.push(bytes.slice()));
  for (const row of rows) sink.write(row);
  sink.finish();
  return concat(...parts);
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function parquetRows(bytes: Uint8Array): Promise<Record<string, unknown>[]> {
  const file = bytes.slice().buffer;
  return parquetReadObjects({ file });
}

/** A row as a reader of Parquet gives it. */
function stored(row: Row): Record<string, unknown> {
  const integer = (value: unknown) => (value === null ? null : BigInt(value as number));
  return {
    ...row,
    integer: integer(row.integer),
    maybe: integer(row.maybe),
    list: [...(row.list as Int8Array)],
  };
}

describe('CRC-32C', () => {
  test.each([
    ['32 zeros', new Uint8Array(32), 0x8a91_36aa],
    ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8_ab43],
    ['0 to 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd_794e],
    ['31 to 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113f_db5c],
    ['123456789', utf8('123456789'), 0xe306_9283],
  ])('of %s is the one of RFC 3720', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

test('an event file is byte for byte the one that TensorBoard writes', () => {
  const vector = JSON.parse(readFileSync(new URL('../vectors/event-file.json', import.meta.url), 'utf8')) as {
    steps: [number, Scalars][];
    file: string;
  };
  const parts: Uint8Array[] = [];
  const events = new EventFile((bytes) => parts.push(bytes));
  for (const [step, scalars] of vector.steps) events.add(step, scalars);
  expect(toHex(concat(...parts))).toBe(toHex(fromHex(`0x${vector.file}`)));
});

describe('CSV', () => {
  test('has a header, CR LF, nothing for no value and quotes for an empty text', () => {
    expect(text(written(csvSink, ROWS))).toBe(
      [
        'integer,maybe,double,float,yes,text,list',
        '0,,0.1,0.5,true,a,1 -127',
        '9007199254740991,7,,-1,false,,0 127',
        '-5,,5e-324,0.25,true,"",3 4',
        '',
      ].join('\r\n'),
    );
  });

  test.each([
    ['a,b', '"a,b"'],
    ['say "no"', '"say ""no"""'],
    ['two\nlines', '"two\nlines"'],
    ['back\r', '"back\r"'],
    [' kept ', ' kept '],
  ])('quotes %j as RFC 4180 says', (value, field) => {
    const [, row] = text(written(csvSink, [{ ...ROWS[0]!, text: value }])).split(/\r\n(?=\d|$)/);
    expect(row).toBe(`0,,0.1,0.5,true,${field},1 -127`);
  });

  test('of no rows is its header', () => {
    expect(text(written(csvSink, []))).toBe('integer,maybe,double,float,yes,text,list\r\n');
  });
});

test('JSON lines hold every value, null where there is none', () => {
  const lines = text(written(jsonLinesSink, ROWS)).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    ROWS.map((row) => ({ ...row, list: [...(row.list as Int8Array)] })),
  );
  expect(Object.keys(JSON.parse(lines[0]!))).toEqual(TABLE.columns.map(({ name }) => name));
});

describe('Parquet', () => {
  test('gives back every value', async () => {
    expect(await parquetRows(written(parquetSink, ROWS))).toEqual(ROWS.map(stored));
  });

  test('of no rows is a table without rows', async () => {
    expect(await parquetRows(written(parquetSink, []))).toEqual([]);
  });

  test('gives back rows of many row groups in order, and writes while it takes them', async () => {
    const rows = Array.from({ length: 40_000 }, (_, i) => ({ ...ROWS[i % 3]!, integer: i }));
    let before = 0;
    let taken = 0;
    const bytes = written(
      (table, write) => {
        const sink = parquetSink(table, (part) => {
          if (taken < rows.length) before += part.length;
          write(part);
        });
        return { write: (row) => sink.write(row), finish: () => sink.finish() };
      },
      (function* () {
        for (const row of rows) {
          taken++;
          yield row;
        }
      })(),
    );
    expect(before).toBeGreaterThan(bytes.length / 2);
    expect(await parquetRows(bytes)).toEqual(rows.map(stored));
  });
});
