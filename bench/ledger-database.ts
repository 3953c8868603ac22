/**
 * What a ledger in PostgreSQL takes and gives: batches of one writer, every one durable before the next is sent, and reading it
 * all. Starts a server of its own, with fsync. Prints a table.
 *
 *     npm run bench -- ledger-database
 */
import { randomBytes } from 'node:crypto';
import { openPostgres } from '../src/storage/postgres/index.ts';
import { startPostgres } from '../test/support/postgres.ts';

/** Entries of a batch, bytes of an entry, batches. */
const LOADS = [
  [1, 500, 500],
  [16, 500, 300],
  [128, 500, 100],
  [1024, 500, 30],
  [1024, 2_000, 20],
  [16, 100_000, 30],
] as const;

const server = await startPostgres({ fsync: true });
try {
  const database = openPostgres(await server.createDatabase());
  await database.create(new Uint8Array(32).fill(7));
  const signal = new AbortController().signal;
  const writer = await database.acquire({ holder: 'bench', ttlMs: 10_000, signal });
  const table: Record<string, string | number>[] = [];
  let size = 0;
  for (const [entries, bytes, batches] of LOADS) {
    const all = Array.from({ length: batches }, () =>
      Array.from({ length: entries }, () => ({
        index: size++,
        bytes: randomBytes(bytes),
        leaf: randomBytes(32),
      })),
    );
    const began = performance.now();
    for (const batch of all) await writer.append({ entries: batch, heads: [] });
    const seconds = (performance.now() - began) / 1000;
    table.push({
      what: `batches of ${entries} × ${bytes} B`,
      'batches/s': (batches / seconds).toFixed(0),
      'entries/s': ((entries * batches) / seconds).toFixed(0),
      'MB/s': ((entries * bytes * batches) / seconds / 1e6).toFixed(1),
    });
  }
  const began = performance.now();
  let read = 0;
  let megabytes = 0;
  let answers = 0;
  for (let rows = await database.read(0, size); rows.length > 0; rows = await database.read(read, size)) {
    read += rows.length;
    answers += 1;
    for (const { bytes } of rows) megabytes += bytes.length / 1e6;
  }
  const seconds = (performance.now() - began) / 1000;
  table.push({
    what: `reading it in ${answers} answers`,
    'entries/s': (read / seconds).toFixed(0),
    'MB/s': (megabytes / seconds).toFixed(1),
  });
  console.table(table);
  await writer.release();
  await database.close();
} finally {
  await server.stop();
}
