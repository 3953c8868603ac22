/**
 * What the archive of pack.ts runs on a machine with a GPU: is WebGPU exact there, and how fast? README.txt lists the
 * flags. Progress goes to stderr, tables to stdout, everything to --json FILE.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { type RolloutEngine, startRolloutEngine } from '../../rollouts/engine/index.ts';
import { LANES } from '../../rollouts/engine/play.ts';
import { type AnyBackend, type DeviceBackend, loadBackend, selfTest } from '../../src/backends/index.ts';
import type { Policy } from '../../src/policy/index.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';
import { median, Peer } from '../peers.ts';
import { extreme, type Network, networks, observations } from '../rollouts/networks.ts';
import { wholeRate, windowInput } from '../rollouts/whole.ts';
import { type Comparison, compareLogits } from './compare.ts';

const USAGE =
  'USAGE: run.sh [--json FILE] [--batches N,N] [--seconds S] [--runs N] [--rows N] [--slots N] [--python FILE]';

function usage(): never {
  console.error(USAGE);
  process.exit(2);
}

function flagsOf() {
  try {
    return parseArgs({
      options: {
        json: { type: 'string' },
        batches: { type: 'string', default: '1,64,1024,8192,65536' },
        seconds: { type: 'string', default: '0.5' },
        runs: { type: 'string', default: '5' },
        rows: { type: 'string', default: '100000' },
        slots: { type: 'string', default: '4096' },
        python: { type: 'string', default: 'python3' },
      },
    }).values;
  } catch {
    return usage();
  }
}

const flags = flagsOf();
const seconds = Number(flags.seconds);
const runs = Number(flags.runs);
const rows = Number(flags.rows);
const slots = Number(flags.slots);
const batches = flags.batches.split(',').map(Number);
if (![seconds, runs, rows, ...batches].every((value) => value > 0) || !(slots >= 0)) usage();

/** Rows of a comparison's batches, over and over until there are enough: odd ones, and one that takes several passes. */
const COMPARED = [1, 7, 64, 1000, 4096, 32_768] as const;
/** Steps of each slot of a whole rollout. */
const STEPS = 32;

const say = (line: string) => console.error(line);

interface Compliance extends Comparison {
  readonly network: string;
  readonly weights: 'initial' | 'extreme';
}

interface Rate {
  readonly network: string;
  readonly batch: number;
  readonly on: string;
  readonly stepsPerSecond: number;
}

function machine(gpu: DeviceBackend) {
  return {
    gpu: gpu.device,
    emulated: gpu.emulated,
    driver: nvidiaSmi(),
    processor: cpus()[0]?.model.trim() ?? '',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.versions.node,
  };
}

function nvidiaSmi(): string | null {
  try {
    const args = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
    return execFileSync('nvidia-smi', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

async function complianceOf(gpu: DeviceBackend, kernel: AnyBackend, nets: readonly Network[]) {
  const results: Compliance[] = [];
  for (const network of nets) {
    await selfTest(gpu, network.policy.architecture);
    for (const weights of ['initial', 'extreme'] as const) {
      const policy = weights === 'initial' ? network.policy : extreme(network.policy);
      const parts: { rows: number; observations: Int8Array }[] = [];
      for (let left = rows, i = 0; left > 0; i++) {
        const count = Math.min(left, COMPARED[i % COMPARED.length]!);
        parts.push({ rows: count, observations: observations({ policy, binary: false }, count) });
        left -= count;
      }
      const comparison = await compareLogits(gpu, kernel, policy, parts);
      results.push({ network: network.name, weights, ...comparison });
      const { difference } = comparison;
      say(
        difference === null
          ? `exact: ${network.name}, ${weights} weights: the known answers and ${comparison.rows} rows`
          : `NOT EXACT: ${network.name}, ${weights} weights: ${JSON.stringify(difference)}`,
      );
    }
  }
  return results;
}

/** Steps a second with so many batches under way at once. */
async function rateOf(backend: AnyBackend, policy: Policy, values: Int8Array, batch: number, lanes: number) {
  const loaded = backend.load(policy);
  try {
    await loaded.logits(values, batch);
    const began = performance.now();
    const took = () => (performance.now() - began) / 1000;
    let passes = 0;
    const lane = async () => {
      do {
        await loaded.logits(values, batch);
        passes++;
      } while (took() < seconds);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return (passes * batch) / took();
  } finally {
    loaded.dispose();
  }
}

async function ratesOf(gpu: DeviceBackend, kernel: AnyBackend, nets: readonly Network[], peer: Peer | null) {
  const all: { readonly rate: Omit<Rate, 'stepsPerSecond'>; readonly turn: () => Promise<number> }[] = [];
  for (const network of nets) {
    const { name, policy } = network;
    for (const batch of batches) {
      const values = observations(network, batch);
      const add = (on: string, turn: () => Promise<number>) =>
        all.push({ rate: { network: name, batch, on }, turn });
      add('webgpu, 1 batch at once', () => rateOf(gpu, policy, values, batch, 1));
      add(`webgpu, ${LANES} batches at once`, () => rateOf(gpu, policy, values, batch, LANES));
      add('simd, 1 thread', () => rateOf(kernel, policy, values, batch, 1));
      for (const resident of peer === null ? [] : [false, true]) {
        const question = { batch, seconds, resident, architecture: policy.architecture };
        const on = `torch CUDA${resident ? ', data on the device' : ''}`;
        add(on, async () => Number((await peer!.ask(question)).rate));
      }
    }
  }
  const measured = all.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, { turn }] of all.entries()) measured[index]!.push(await turn());
    say(`policy steps: run ${run + 1} of ${runs}`);
  }
  return all.map(({ rate }, index): Rate => ({ ...rate, stepsPerSecond: median(measured[index]!) }));
}

/** Whole rollouts of MinAtar: as many threads as there are cores, with the kernel, and fewer with the GPU. */
async function wholeOf(nets: readonly Network[]): Promise<Rate[]> {
  if (slots === 0) return [];
  const policy = nets.find(({ binary }) => binary)!.policy;
  const { architecture } = policy;
  const cores = Math.min(availableParallelism(), slots);
  const engines: RolloutEngine[] = [];
  for (const threads of [1, 2, 4].filter((count) => count <= cores)) {
    engines.push(await startRolloutEngine({ candidates: [{ name: 'webgpu', threads }], architecture }));
  }
  engines.push(await startRolloutEngine({ candidates: [{ name: 'simd', threads: cores }], architecture }));
  const measured = engines.map((): number[] => []);
  const input = (window: number) => windowInput('MinAtar/Breakout-v1', policy, slots, STEPS, window);
  for (let run = 0; run < runs; run++) {
    for (const [index, engine] of engines.entries()) {
      measured[index]!.push(await wholeRate(engine, input, 4 * seconds));
    }
    say(`whole rollouts: run ${run + 1} of ${runs}`);
  }
  await Promise.all(engines.map((engine) => engine.close()));
  return engines.map(({ backend, threads }, index) => ({
    network: 'MinAtar Breakout',
    batch: slots,
    on: `${backend}, ${threads} threads`,
    stepsPerSecond: median(measured[index]!),
  }));
}

function print(title: string, rates: readonly Rate[]): void {
  console.log(`\n${title}; thousand steps a second`);
  const table = new Map<string, Record<string, number>>();
  for (const { network, on, batch, stepsPerSecond } of rates) {
    const key = `${network}: ${on}`;
    table.set(key, { ...table.get(key), [`batch ${batch}`]: Number((stepsPerSecond / 1000).toPrecision(3)) });
  }
  console.table(Object.fromEntries(table));
}

/** The Python that has PyTorch with CUDA, and what it is; null where there is none. */
async function openPeer() {
  try {
    execFileSync(flags.python, ['-c', 'import torch; assert torch.cuda.is_available()'], { stdio: 'ignore' });
  } catch {
    say(`PyTorch on CUDA: ${flags.python} has none`);
    return null;
  }
  const peer = new Peer(flags.python, new URL('peer.py', import.meta.url));
  return { peer, versions: await peer.ask({ versions: true }) };
}

async function main(): Promise<number> {
  useNodeSha256();
  const gpu = (await loadBackend('webgpu')) as DeviceBackend;
  const about = machine(gpu);
  say(`${about.gpu}${about.emulated ? ' (emulated: not a GPU)' : ''}; ${about.driver ?? 'no nvidia-smi'}`);
  const kernel = await loadBackend('simd');
  const nets = networks();
  const compliance = await complianceOf(gpu, kernel, nets);
  const exact = compliance.every(({ difference }) => difference === null);
  const found = await openPeer();
  const rates = await ratesOf(gpu, kernel, nets, found?.peer ?? null);
  found?.peer.end();
  gpu.dispose();
  const whole = await wholeOf(nets);
  const result = { ...about, exact, compliance, runs, peer: found?.versions ?? null, rates, whole };
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
  const mark = about.emulated ? ' (emulated: these are not figures of a GPU)' : '';
  print(`Policy steps${mark}`, rates);
  if (whole.length > 0) print(`Whole rollouts, ${STEPS} steps a slot${mark}`, whole);
  console.log(exact ? '\nexact: every logit is the reference’s' : '\nNOT EXACT');
  return exact ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof GrailError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ error: error.toJSON() })}\n`);
  process.exitCode = 1;
}
