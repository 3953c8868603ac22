/**
 * Milliseconds a proof of the demo's shape (66 public signals, one window) takes to verify on one core: in batches of 1, 8,
 * 32 and 256, in batches of 256 with invalid proofs, singly, and by snarkjs, singly and in one thread too. Every timed batch
 * begins a window, so it pays for the sum over the window's fold vectors. A round times all in turn; the table has the
 * medians.
 *
 *     npm run bench -- verification [--rounds N] [--signals N] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Groth16Proof, groth16 } from 'snarkjs';
import type { ProvenStatement } from '../src/proofs/batch.ts';
import { bn254 } from '../src/proofs/curve.ts';
import { proofToSnarkjs } from '../src/proofs/encoding.ts';
import { createVerifier } from '../src/proofs/verify.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { SimulatedKey, windowSignals } from '../test/helpers/simulated-proofs.ts';
import { median } from './support/timing.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    signals: { type: 'string', default: '66' },
    json: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const SIGNALS = Number(values.signals);
const SIZES = [1, 8, 32, 256];
/** Proofs that are verified singly in a round. */
const SINGLES = 8;

useNodeSha256();
// snarkjs' verifier builds 64 threads of wasm otherwise; with this curve it computes in this thread, as ours does.
(globalThis as { curve_bn128?: unknown }).curve_bn128 = await bn254();
const simulated = await SimulatedKey.create(SIGNALS);
const verifier = await createVerifier(simulated.key);
const windows = [0, 1].map((window) =>
  Array.from({ length: Math.max(...SIZES) }, (_, i) =>
    simulated.prove(windowSignals(SIGNALS, i, window), i + 1000 * window),
  ),
);

/** The first window with one invalid proof, one in eight, and all. */
const invalid = [1 / Math.max(...SIZES), 1 / 8, 1].map((share) => ({
  what: share === 1 ? 'all invalid' : `1 of ${1 / share} invalid`,
  items: windows[0]!.map((item, i) =>
    (i + 1) % (1 / share) === 0 ? simulated.fake(item.publicSignals, i) : item,
  ),
}));

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function batch(proofs: readonly ProvenStatement[]): Promise<void> {
  const results = await verifier.verifyMany(proofs);
  if (results.some((error) => error !== null)) throw new Error('a valid proof was refused');
}

async function bySnarkjs({ publicSignals, proof }: ProvenStatement): Promise<void> {
  const spelled = proofToSnarkjs(proof) as unknown as Groth16Proof;
  if (!(await groth16.verify(simulated.key as never, publicSignals.map(String), spelled))) {
    throw new Error('snarkjs refused a valid proof');
  }
}

const times = new Map<string, number[]>();
const note = (what: string, ms: number) => times.set(what, [...(times.get(what) ?? []), ms]);
for (let round = -1; round < rounds; round++) {
  const record = round < 0 ? () => {} : note;
  for (const size of SIZES) {
    // The other window: what the last batch summed is of no use.
    for (const proofs of windows) {
      record(`batch of ${size}`, (await msOf(() => batch(proofs.slice(0, size)))) / size);
    }
  }
  for (const { what, items } of invalid) {
    const bad = items.filter((item, i) => item !== windows[0]![i]).length;
    const ms = await msOf(async () => {
      const errors = await verifier.verifyMany(items);
      if (errors.filter((error) => error !== null).length !== bad) throw new Error('not the invalid ones');
    });
    record(`batch of ${items.length}, ${what}`, ms / items.length);
  }
  const singles = windows[1]!.slice(0, SINGLES);
  for (const { publicSignals, proof } of singles) {
    record('singly', await msOf(() => verifier.verify(publicSignals, proof)));
  }
  for (const proven of singles) record('snarkjs, singly', await msOf(() => bySnarkjs(proven)));
}

const snarkjs = median(times.get('snarkjs, singly')!);
const rows = [...times].map(([what, all]) => ({
  what,
  'ms a proof': Number(median(all).toFixed(3)),
  'least ms': Number(Math.min(...all).toFixed(3)),
  'snarkjs / this': Number((snarkjs / median(all)).toFixed(1)),
}));
console.table(rows);
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ node: process.version, signals: SIGNALS, rounds, rows }, null, 2)}\n`,
  );
}
