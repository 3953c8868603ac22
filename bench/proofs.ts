/**
 * Seconds of the demo's circuit (4-32-32-2, eight steps a proof): compiling, development keys, witness, proof in one
 * thread and in snarkjs' own, verification. Prints a table. Processor time is this process's, all threads.
 *
 *     node bench/proofs.ts
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtefactProgress, loadArtefacts } from '../src/proofs/artefacts.ts';
import { createProver, type ProofResult } from '../src/proofs/prove.ts';
import type { CircuitSpec } from '../src/proofs/types.ts';
import { createVerifier } from '../src/proofs/verify.ts';
import { witnessInput } from '../src/proofs/witness-input.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { CARTPOLE, randomPolicy, randomSteps, Seeded } from '../test/helpers/steps.ts';

const REPEATS = 5;

useNodeSha256();
const spec: CircuitSpec = { architecture: CARTPOLE, stepsPerProof: 8, variant: 'folds' };
const random = new Seeded(1);
const policy = randomPolicy(CARTPOLE, random);
const input = witnessInput({ spec, policy, rho: 7n, context: 5n, steps: randomSteps(policy, 8, random) });
const rows: Record<string, string | number>[] = [];

const median = (values: number[]) => Math.round(values.sort((a, b) => a - b)[values.length >> 1]!);
const add = (what: string, ms: number, processorMs: number | string = '') =>
  rows.push({ what, ms: Math.round(ms), processorMs });

const cacheDirectory = mkdtempSync(join(tmpdir(), 'grail-bench-'));
const started = new Map<ArtefactProgress['stage'], number>();
const artefacts = await loadArtefacts(spec, {
  cacheDirectory,
  onProgress: ({ stage }) => {
    if (!started.has(stage)) started.set(stage, performance.now());
  },
});
add('compile', started.get('keys')! - started.get('compile')!);
add('development keys', performance.now() - started.get('keys')!);

let last: ProofResult | undefined;
for (const threads of ['single', 'multi'] as const) {
  const prover = await createProver(artefacts, { threads });
  await prover.prove(input);
  const results: ProofResult[] = [];
  const processor: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const before = process.cpuUsage();
    results.push(await prover.prove(input));
    const { user, system } = process.cpuUsage(before);
    processor.push((user + system) / 1000);
  }
  if (threads === 'single') add('witness', median(results.map(({ witnessMs }) => witnessMs)));
  add(
    `witness and proof, ${threads}`,
    median(results.map((r) => r.witnessMs + r.proveMs)),
    median(processor),
  );
  last = results[0];
  await prover.close();
}

const verifier = await createVerifier(artefacts.verificationKey);
const times: number[] = [];
for (let i = 0; i < 20; i++) {
  const before = performance.now();
  await verifier.verify(last!.publicSignals, last!.proof);
  times.push(performance.now() - before);
}
add('verify, first of a window', times[0]!);
add('verify, others', median(times.slice(1)));
console.table(rows);
console.log(`${artefacts.name}: proving key ${(statSync(artefacts.zkey).size / 1e6).toFixed(1)} MB`);
rmSync(cacheDirectory, { recursive: true });
