/**
 * Rollouts, four tables (or, with --json, one object). In each run everything takes its turn; medians over the runs.
 *
 * - `policy`: exact policy steps a second of every backend on one core, beside float32 PyTorch and ONNX Runtime on one
 *   thread (`--python`) and onnxruntime-node (`--onnxruntime`, 250 MB on first use). `initial` weights are those that training starts from; `extreme` ones use all of int8, where the kernel
 *   cannot keep sums in int16.
 * - `whole`: environment, policy, sampling and commitment on all cores, beside Gymnasium's vector environments with a
 *   PyTorch policy.
 * - `cost`: the same rollouts without and with commitments, openings and proofs.
 * - `growth`: with batch, width and threads, against what a core can multiply.
 *
 *     npm run bench -- rollouts
 *     npm run bench -- rollouts --only policy,whole --python /path/to/venv/bin/python --runs 7 --json
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { costSection, printCost } from './rollouts/cost.ts';
import { growthSection, printGrowth } from './rollouts/growth.ts';
import { policySection, printPolicy } from './rollouts/policy.ts';
import { printWhole, wholeSection } from './rollouts/whole.ts';

const SECTIONS = ['policy', 'whole', 'cost', 'growth'] as const;
const USAGE =
  'USAGE: npm run bench -- rollouts [--only policy,whole,cost,growth] [--python FILE] [--onnxruntime] [--runs N] [--seconds S] [--window-seconds S] [--batches N,N] [--threads N] [--json]';

function usage(): never {
  console.error(USAGE);
  process.exit(2);
}

function flagsOf() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', default: SECTIONS.join(',') },
        python: { type: 'string' },
        onnxruntime: { type: 'boolean', default: false },
        runs: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '0.2' },
        'window-seconds': { type: 'string', default: '60' },
        batches: { type: 'string', default: '1,64,1024,8192' },
        threads: { type: 'string', default: String(availableParallelism()) },
        json: { type: 'boolean', default: false },
      },
    }).values;
  } catch {
    return usage();
  }
}

const flags = flagsOf();
const runs = Number(flags.runs);
const seconds = Number(flags.seconds);
const windowSeconds = Number(flags['window-seconds']);
const threads = Number(flags.threads);
const batches = flags.batches.split(',').map(Number);
const only = flags.only.split(',');
if (![runs, seconds, windowSeconds, threads, ...batches].every((value) => value > 0)) usage();
if (!only.every((name) => (SECTIONS as readonly string[]).includes(name))) usage();

useNodeSha256();
const python = flags.python ?? null;
const progress = (line: string) => console.error(line);
/** Whole rollouts start processes and fill pipelines: their turns are longer. */
const wholeSeconds = 10 * seconds;
const policy = only.includes('policy')
  ? await policySection({ python, onnx: flags.onnxruntime, runs, seconds, batches, progress })
  : null;
const whole = only.includes('whole')
  ? await wholeSection({ python, runs, seconds: wholeSeconds, threads, progress })
  : null;
const growth = only.includes('growth')
  ? await growthSection({ runs, seconds: wholeSeconds, threads, progress })
  : null;
const cost = only.includes('cost') ? await costSection({ runs, windowSeconds, threads, progress }) : null;
if (flags.json) {
  console.log(JSON.stringify({ node: process.versions.node, runs, threads, policy, whole, growth, cost }));
} else {
  if (policy !== null) printPolicy(policy);
  if (whole !== null) printWhole(whole);
  if (growth !== null) printGrowth(growth);
  if (cost !== null) printCost(cost);
}
