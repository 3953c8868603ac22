import { GrailError } from '../../protocol/errors.ts';
import type { StoredEntry } from '../ledger-store.ts';
import type { PostgresConnection } from './connection.ts';

/** Bytes of entries in one answer, unless one entry alone has more. */
const ANSWER_BYTES = 8_388_608;
/** Entries, or heads, in one answer. */
const ANSWER_ROWS = 4_096;

/** Entries from `from` on, as many as fit into one answer. @throws GrailError LEDGER_CORRUPT, STORAGE_UNAVAILABLE */
export async function readEntries(
  connection: PostgresConnection,
  from: number,
  limit: number,
): Promise<StoredEntry[]> {
  const { schema } = connection.address;
  const rows = await connection.query<{ idx: string; bytes: Buffer; leaf: Buffer }>(
    `SELECT idx, bytes, leaf FROM (
       SELECT idx, bytes, leaf, sum(length(bytes)) OVER (ORDER BY idx ROWS UNBOUNDED PRECEDING) AS total
       FROM (SELECT * FROM "${schema}".entries WHERE idx >= $1 ORDER BY idx LIMIT $2) AS next
     ) AS counted
     WHERE total <= $3 OR idx = $1 ORDER BY idx`,
    [from, Math.min(limit, ANSWER_ROWS), ANSWER_BYTES],
  );
  return rows.map(({ idx, bytes, leaf }, i) => {
    const index = from + i;
    if (Number(idx) !== index) {
      throw new GrailError('LEDGER_CORRUPT', `${connection.address.name}: entry ${index} is missing`, {
        index,
      });
    }
    return { index, bytes, leaf };
  });
}

/** Heads from `from` on, all of them. @throws GrailError LEDGER_CORRUPT, STORAGE_UNAVAILABLE */
export async function readHeads(connection: PostgresConnection, from: number): Promise<Uint8Array[]> {
  const { name, schema } = connection.address;
  const heads: Uint8Array[] = [];
  for (let full = true; full; ) {
    const rows = await connection.query<{ position: string; bytes: Buffer }>(
      `SELECT position, bytes FROM "${schema}".heads WHERE position >= $1 ORDER BY position LIMIT ${ANSWER_ROWS}`,
      [from + heads.length],
    );
    for (const { position, bytes } of rows) {
      const head = from + heads.length;
      if (Number(position) !== head) {
        throw new GrailError('LEDGER_CORRUPT', `${name}: tree head ${head} is missing`, { head });
      }
      heads.push(bytes);
    }
    full = rows.length === ANSWER_ROWS;
  }
  return heads;
}
