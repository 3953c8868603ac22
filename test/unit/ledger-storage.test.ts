import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestNetwork } from '../helpers/network.ts';

let network: TestNetwork;

beforeEach(async () => {
  network = new TestNetwork();
  await network.run(0);
});

afterEach(() => network.remove());

/** Changes the file behind the ledger's back. */
function alter(sql: string): void {
  const database = new DatabaseSync(join(network.directory, 'ledger.sqlite'));
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

test('a ledger that nobody altered passes', () => {
  network.ledger.checkStorage();
});

test.each([
  ['a table', 'CREATE TABLE notes (text TEXT)'],
  ['a view', 'CREATE VIEW notes AS SELECT bytes FROM entries'],
  ['an index', 'CREATE INDEX leaves ON entries (leaf)'],
  ['a trigger', 'CREATE TRIGGER heads AFTER INSERT ON entries BEGIN DELETE FROM heads; END'],
  ['a setting', "INSERT INTO meta VALUES ('note', x'00')"],
  ['an entry before the first', "INSERT INTO entries VALUES (-1, x'00', x'00')"],
])('%s that no ledger has is named', (_, sql) => {
  alter(sql);
  expect(() => network.ledger.checkStorage()).toThrow(
    expect.objectContaining({ code: 'LEDGER_CORRUPT', message: expect.stringContaining('no ledger has') }),
  );
});
