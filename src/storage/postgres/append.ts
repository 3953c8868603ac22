import { DatabaseError } from 'pg';
import { concat, equalBytes } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { LedgerBatch } from '../ledger-database.ts';
import type { StoredEntry } from '../ledger-store.ts';
import type { PostgresConnection } from './connection.ts';
import { UNIQUE_VIOLATION } from './errors.ts';
import { readEntries } from './rows.ts';

/**
 * Fencing, entries and heads in one statement, hence one transaction and one round trip. The update of the lease locks its
 * row first: a writer whose lease was taken meanwhile finds another epoch, and one whose earlier attempt is still under way
 * waits for it. Entries travel as one run of bytes that the server cuts: as an array they would be hexadecimal text.
 */
const statement = (schema: string) => `
  WITH fence AS (
    UPDATE "${schema}".lease SET expires = clock_timestamp() + $2 * interval '1 millisecond'
    WHERE epoch = $1 AND holder IS NOT NULL RETURNING epoch
  ), place AS (
    SELECT coalesce($3::bigint = coalesce((SELECT max(idx) + 1 FROM "${schema}".entries), 0), true) AS fits FROM fence
  ), entry AS (
    INSERT INTO "${schema}".entries (idx, bytes, leaf)
    SELECT $3 + n - 1, substring($4::bytea FROM start FOR length), substring($5::bytea FROM 32 * n::int - 31 FOR 32)
    FROM place, unnest($6::int[], $7::int[]) WITH ORDINALITY AS part (start, length, n)
    WHERE fits
  ), head AS (
    INSERT INTO "${schema}".heads (position, bytes)
    SELECT (SELECT coalesce(max(position) + 1, 0) FROM "${schema}".heads) + row_number() OVER (ORDER BY n) - 1, bytes
    FROM place, unnest($8::bytea[]) WITH ORDINALITY AS given (bytes, n)
    WHERE fits AND NOT EXISTS (
      SELECT FROM "${schema}".heads AS known WHERE sha256(known.bytes) = sha256(given.bytes)
    )
  )
  SELECT fits FROM place`;

/**
 * Appends a batch if the lease is still of this epoch, which renews it. One that is there already changes nothing.
 * @returns false when the lease is another's
 * @throws GrailError STORAGE_UNAVAILABLE, LEDGER_CORRUPT
 */
export async function appendBatch(
  connection: PostgresConnection,
  lease: { readonly epoch: number; readonly ttlMs: number },
  batch: LedgerBatch,
): Promise<boolean> {
  const { entries, heads } = batch;
  const first = entries[0]?.index ?? null;
  const starts: number[] = [];
  let start = 1;
  for (const [i, { index, bytes }] of entries.entries()) {
    if (index !== first! + i) throw misplaced(first! + i);
    starts.push(start);
    start += bytes.length;
  }
  const values = [
    lease.epoch,
    lease.ttlMs,
    first,
    concat(...entries.map(({ bytes }) => bytes)),
    concat(...entries.map(({ leaf }) => leaf)),
    starts,
    entries.map(({ bytes }) => bytes.length),
    heads,
  ];
  let placed: { fits: boolean } | undefined;
  try {
    [placed] = await connection.query<{ fits: boolean }>(statement(connection.address.schema), values);
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === UNIQUE_VIOLATION)) throw error;
    // An earlier attempt of this batch was taken while this one waited for it.
    placed = { fits: false };
  }
  if (placed === undefined) return false;
  if (!placed.fits) await checkTaken(connection, batch);
  return true;
}

/** @throws GrailError LEDGER_CORRUPT unless all of it is in the ledger, STORAGE_UNAVAILABLE */
async function checkTaken(connection: PostgresConnection, { entries, heads }: LedgerBatch): Promise<void> {
  for (let at = 0; at < entries.length; ) {
    const there = await readEntries(connection, entries[at]!.index, entries.length - at);
    if (there.length === 0) throw misplaced(entries[at]!.index);
    for (const row of there) {
      const entry = entries[at++]!;
      if (!sameEntry(row, entry)) throw misplaced(entry.index);
    }
  }
  const missing = await connection.query(
    `SELECT FROM unnest($1::bytea[]) AS given (bytes) WHERE NOT EXISTS (
       SELECT FROM "${connection.address.schema}".heads AS known WHERE sha256(known.bytes) = sha256(given.bytes)
     ) LIMIT 1`,
    [heads],
  );
  if (missing.length > 0) {
    throw new GrailError('LEDGER_CORRUPT', 'the database has the entries of a batch without its tree heads');
  }
}

function sameEntry(a: StoredEntry, b: StoredEntry): boolean {
  return equalBytes(a.bytes, b.bytes) && equalBytes(a.leaf, b.leaf);
}

function misplaced(index: number): GrailError {
  return new GrailError(
    'LEDGER_CORRUPT',
    `entry ${index} cannot be appended: the database has another there, or ends before it`,
    { index },
  );
}
