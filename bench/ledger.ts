/**
 * What a ledger costs: a durable append, a batched one, opening, an inclusion proof. Prints a table.
 *
 *     npm run bench -- ledger
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerEntry } from '../src/ledger/entry.ts';
import { openLedger } from '../src/ledger/log.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';

useNodeSha256();
const SINGLE = 500;
const BATCHES = 100;
const BATCH = 500;
const PROOFS = 10_000;

const genesisHash = new Uint8Array(32).fill(7);
/** An entry of about 2 kB, a small commitment. */
const entry = (window: number): LedgerEntry => ({
  window,
  phase: 'commit',
  view: 0,
  author: `0x${'11'.repeat(20)}`,
  body: { type: 'bench', actions: `0x${'ab'.repeat(950)}` },
});

/** Milliseconds that `run` takes. */
function ms(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

const folder = mkdtempSync(join(tmpdir(), 'grail-bench-ledger-'));
const path = join(folder, 'ledger.sqlite');
try {
  let ledger = openLedger(path, genesisHash);
  const single = ms(() => {
    for (let i = 0; i < SINGLE; i++) ledger.append(entry(i));
  });
  const batched = ms(() => {
    for (let i = 0; i < BATCHES; i++)
      ledger.appendAll(Array.from({ length: BATCH }, (_, j) => entry(i * BATCH + j)));
  });
  ledger.close();
  const opening = ms(() => {
    ledger = openLedger(path, genesisHash);
  });
  const { size } = ledger;
  const proofs = ms(() => {
    for (let i = 0; i < PROOFS; i++) ledger.inclusionProof((i * 7919) % size);
  });
  ledger.close();
  console.table([
    { what: 'one durable append', ms: (single / SINGLE).toFixed(3) },
    { what: `an entry of a batch of ${BATCH}`, ms: (batched / (BATCHES * BATCH)).toFixed(3) },
    { what: `opening ${size} entries`, ms: opening.toFixed(0) },
    { what: 'an inclusion proof', ms: (proofs / PROOFS).toFixed(4) },
  ]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
