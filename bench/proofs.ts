/**
 * What a proof costs, by network and steps a proof: constraints, witness, proof on one thread and on several, snarkjs beside them in the same run (each
 * round takes every prover once, every prover has a process of its own), verification, memory. Prints a table.
 *
 *     npm run bench -- proofs [--networks 4-32-32-2,8-64-64-4] [--steps 1,4,8] [--variant folds] [--runs 5] [--no-snarkjs] [--json FILE]
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Architecture } from '../src/policy/architecture.ts';
import { type ArtefactProgress, loadArtefacts } from '../src/proofs/artefacts.ts';
import { createProofPool, type ProofPool } from '../src/proofs/pool.ts';
import type { ProofResult } from '../src/proofs/prove.ts';
import { parseR1cs } from '../src/proofs/r1cs.ts';
import type { CircuitSpec, ProofVariant } from '../src/proofs/types.ts';
import { createVerifier } from '../src/proofs/verify.ts';
import { witnessInput } from '../src/proofs/witness-input.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { randomPolicy, randomSteps, Seeded } from '../test/helpers/steps.ts';
import { PROVEN_NETWORKS } from './support/proven-networks.ts';
import { median } from './support/timing.ts';

const NETWORKS = new Map(PROVEN_NETWORKS.map(({ name, architecture }) => [name, architecture]));

const PROVERS = {
  single: { engine: 'kernel', threads: 'single' },
  multi: { engine: 'kernel', threads: 'multi' },
  'snarkjs single': { engine: 'snarkjs', threads: 'single' },
  'snarkjs multi': { engine: 'snarkjs', threads: 'multi' },
} as const;
type ProverName = keyof typeof PROVERS;

/** What others published, on their machines: one inference a proof. */
const PUBLISHED = [
  {
    what: 'EZKL, 784-56-10, mode "resources"',
    'prove s': 2.66,
    'peak MB': 221,
    source: 'Guy1m0/ZKML-Benchmark, docs/benchmark_report.md',
  },
  {
    what: 'EZKL, 784-56-10, mode "accuracy"',
    'prove s': 38.01,
    'peak MB': 4807,
    source: 'Guy1m0/ZKML-Benchmark, docs/benchmark_report.md',
  },
  {
    what: 'circomlib-ml, 784-56-10, 73,416 constraints',
    'prove s': 2.35,
    'peak MB': 2328,
    source: 'Guy1m0/ZKML-Benchmark, docs/benchmark_report.md',
  },
  {
    what: 'circomlib-ml, 8-64-64-4, 72,058 constraints',
    'prove s': '–',
    'peak MB': '–',
    source: 'compiled when this project’s circuit was designed',
  },
];

const { values: flags } = parseArgs({
  allowNegative: true,
  options: {
    networks: { type: 'string', default: '4-32-32-2,8-64-64-4' },
    steps: { type: 'string', default: '1,4,8' },
    variant: { type: 'string', default: 'folds' },
    runs: { type: 'string', default: '5' },
    snarkjs: { type: 'boolean', default: true },
    json: { type: 'string' },
  },
});
useNodeSha256();

/** The most memory that a process ever had, MB; NaN where /proc does not say. */
function peakMegabytes(pid: number): number {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
    return Math.round(Number(kilobytes) / 1000);
  } catch {
    return Number.NaN;
  }
}

async function measure(network: string, architecture: Architecture, steps: number) {
  const spec: CircuitSpec = {
    architecture,
    stepsPerProof: steps,
    variant: flags.variant as ProofVariant,
  };
  const random = new Seeded(1);
  const policy = randomPolicy(spec.architecture, random);
  const input = witnessInput({
    spec,
    policy,
    rho: 7n,
    context: 5n,
    steps: randomSteps(policy, steps, random),
  });
  const began = new Map<ArtefactProgress['stage'], number>();
  const artefacts = await loadArtefacts(spec, {
    onProgress: ({ stage }) => {
      if (!began.has(stage)) began.set(stage, performance.now());
    },
  });
  const made = performance.now();
  const { constraints, publics, wires } = parseR1cs(new Uint8Array(readFileSync(artefacts.r1cs)));

  const names = (Object.keys(PROVERS) as ProverName[]).filter(
    (name) => flags.snarkjs || PROVERS[name].engine === 'kernel',
  );
  const pools = new Map<ProverName, ProofPool>();
  const results = new Map<ProverName, ProofResult[]>(names.map((name) => [name, []]));
  const peaks: Partial<Record<ProverName, number>> = {};
  try {
    for (const name of names) {
      const pool = createProofPool({ size: 1, artefacts, ...PROVERS[name] });
      pools.set(name, pool);
      await pool.prove(input);
    }
    for (let run = 0; run < Number(flags.runs); run++) {
      for (const name of names) results.get(name)!.push(await pools.get(name)!.prove(input));
    }
    for (const name of names) peaks[name] = peakMegabytes(pools.get(name)!.pids[0]!);
  } finally {
    await Promise.all([...pools.values()].map((pool) => pool.close()));
  }

  const verifier = await createVerifier(artefacts.verificationKey);
  const verifications: number[] = [];
  for (const proven of results.values()) {
    for (const { publicSignals, proof } of proven) {
      const before = performance.now();
      await verifier.verify(publicSignals, proof);
      verifications.push(performance.now() - before);
    }
  }
  const stage = (from: ArtefactProgress['stage'], to: number) =>
    began.has(from) ? Math.round(to - began.get(from)!) : null;
  return {
    network,
    steps,
    circuit: artefacts.name,
    constraints,
    wires,
    publicSignals: publics,
    domain: 2 ** (32 - Math.clz32(constraints + publics)),
    keyMegabytes: statSync(artefacts.zkey).size / 1e6,
    compileMs: stage('compile', began.get('keys') ?? made),
    keysMs: stage('keys', made),
    witnessMs: names.flatMap((name) => results.get(name)!.map((result) => result.witnessMs)),
    proveMs: Object.fromEntries(
      names.map((name) => [name, results.get(name)!.map((result) => result.proveMs)]),
    ),
    verifyMs: verifications,
    peakMegabytes: peaks,
  };
}

type Measured = Awaited<ReturnType<typeof measure>>;

function row(m: Measured): Record<string, string | number> {
  const ms = (values: readonly number[] | undefined) =>
    values === undefined ? '–' : Math.round(median(values));
  return {
    network: m.network,
    B: m.steps,
    constraints: m.constraints,
    'a step': Math.round(m.constraints / m.steps),
    domain: `2^${Math.log2(m.domain)}`,
    'key MB': m.keyMegabytes.toFixed(1),
    witness: ms(m.witnessMs),
    ...Object.fromEntries(Object.keys(PROVERS).map((name) => [name, ms(m.proveMs[name])])),
    verify: median(m.verifyMs).toFixed(1),
    'MB single': m.peakMegabytes.single!,
    'MB multi': m.peakMegabytes.multi!,
    'MB snarkjs': m.peakMegabytes['snarkjs single'] ?? '–',
  };
}

const measured: Measured[] = [];
for (const network of flags.networks.split(',')) {
  const architecture = NETWORKS.get(network);
  if (architecture === undefined) {
    throw new Error(`--networks takes ${[...NETWORKS.keys()].join(', ')}, separated by commas`);
  }
  for (const steps of flags.steps.split(',')) {
    measured.push(await measure(network, architecture, Number(steps)));
  }
}
console.log(
  `variant ${flags.variant}, medians of ${flags.runs} in ms; several threads: one a core, ${availableParallelism()} here`,
);
console.table(measured.map(row));
console.log('Published by others, each on its own machine, one inference a proof:');
console.table(PUBLISHED);
if (flags.json !== undefined) {
  const machine = { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version };
  writeFileSync(
    flags.json,
    `${JSON.stringify({ machine, variant: flags.variant, measured, published: PUBLISHED }, null, 2)}\n`,
  );
}
