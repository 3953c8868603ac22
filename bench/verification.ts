/**
 * Milliseconds to verify a proof: in batches of a window's proofs, one by one, and by snarkjs, in turns in the same run, on one
 * core; medians over the runs. The key has as many public inputs as that of 4-32-32-2 in variant `folds`. Prints a table,
 * or with --json one object.
 *
 *     npm run bench -- verification [--sizes 1,8,32,256] [--runs N] [--json]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Groth16Proof, groth16 } from 'snarkjs';
import { loadCircuitArtefacts } from '../src/proofs/artefacts.ts';
import { bn254 } from '../src/proofs/curve.ts';
import { proofToSnarkjs } from '../src/proofs/encoding.ts';
import { createProver } from '../src/proofs/prove.ts';
import { createVerifier } from '../src/proofs/verify.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { rerandomise } from '../test/helpers/rerandomise.ts';
import { Seeded } from '../test/helpers/steps.ts';
import { median } from './support/timing.ts';

const { values: flags } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1,8,32,256' },
    runs: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});
const sizes = flags.sizes.split(',').map(Number);
const runs = Number(flags.runs);
if (![...sizes, runs].every((n) => Number.isInteger(n) && n >= 1 && n <= 4096)) {
  console.error('USAGE: npm run bench -- verification [--sizes N,N] [--runs N] [--json]');
  process.exit(2);
}
useNodeSha256();

const FOLDS = 64;
/** Of these statements the batches are made. */
const STATEMENTS = 8;
const circuit = {
  name: 'bench-verification',
  source: `pragma circom 2.2.0;
template Product() {
    signal input statement;
    signal input rho;
    signal input folds[${FOLDS}];
    signal input a;
    signal input b;
    statement === a * b;
    signal squares[${FOLDS}];
    for (var i = 0; i < ${FOLDS}; i++) { squares[i] <== folds[i] * rho; }
}
component main {public [statement, rho, folds]} = Product();
`,
};

const cacheDirectory = mkdtempSync(join(tmpdir(), 'grail-bench-'));
try {
  const artefacts = await loadCircuitArtefacts(circuit, { cacheDirectory });
  const prover = await createProver(artefacts);
  const folds = Array.from({ length: FOLDS }, (_, i) => 2n ** 250n + BigInt(i));
  const made: { publicSignals: readonly bigint[]; proof: Uint8Array }[] = [];
  for (let i = 0; i < STATEMENTS; i++) {
    const a = BigInt(i + 2);
    made.push(await prover.prove({ statement: a * 7n, rho: 11n, folds, a, b: 7n }));
  }
  await prover.close();
  const curve = await bn254();
  const random = new Seeded(1);
  const items = Array.from({ length: Math.max(...sizes) }, (_, i) => {
    const { publicSignals, proof } = made[i % STATEMENTS]!;
    return { publicSignals, proof: rerandomise(curve, proof, BigInt(random.word() + 1)) };
  });

  const verifier = await createVerifier(artefacts.verificationKey);
  const { verificationKey } = artefacts;
  const ours = async (n: number) => {
    const results = await verifier.verifyMany(items.slice(0, n));
    if (results.some((error) => error !== null)) throw new Error('a valid proof was refused');
  };
  const singly = () => verifier.verify(items[1]!.publicSignals, items[1]!.proof);
  const theirs = async () => {
    const { publicSignals, proof } = items[2]!;
    const signals = publicSignals.map(String);
    if (!(await groth16.verify(verificationKey, signals, proofToSnarkjs(proof) as unknown as Groth16Proof))) {
      throw new Error('snarkjs refuses a valid proof');
    }
  };
  // snarkjs uses this curve, one thread and no workers, instead of its own.
  (globalThis as { curve_bn128?: unknown }).curve_bn128 = curve;
  const times = new Map<string, { wall: number[]; processor: number[] }>();
  const time = async (what: string, proofs: number, work: () => Promise<void>) => {
    const processor = process.cpuUsage();
    const started = performance.now();
    await work();
    const all = times.get(what) ?? { wall: [], processor: [] };
    all.wall.push((performance.now() - started) / proofs);
    const { user, system } = process.cpuUsage(processor);
    all.processor.push((user + system) / 1000 / proofs);
    times.set(what, all);
  };
  await ours(Math.min(...sizes));
  await theirs();
  for (let run = 0; run < runs; run++) {
    for (const n of sizes) await time(`batch of ${n}`, n, () => ours(n));
    await time('one by one', 1, singly);
    await time('snarkjs, one by one', 1, theirs);
  }
  const round = (ms: number) => Math.round(100 * ms) / 100;
  const reference = median(times.get('snarkjs, one by one')!.wall);
  const rows = [...times].map(([what, { wall, processor }]) => ({
    what,
    'ms a proof': round(median(wall)),
    'processor ms': round(median(processor)),
    'times snarkjs': Math.round((10 * reference) / median(wall)) / 10,
  }));
  if (flags.json) console.log(JSON.stringify({ publics: 2 + FOLDS, runs, verification: rows }));
  else console.table(rows);
} finally {
  rmSync(cacheDirectory, { recursive: true });
}
