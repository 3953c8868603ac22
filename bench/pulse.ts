/**
 * PULSE beside what others send: bits a changed weight, ratios and times on simulated and recorded bf16 chains, on the int8
 * policies of our own tasks, throughput, a state of 4 GB, time per sync, and what anchors add. Every codec is given the same
 * input in the same run; all decode back bit for bit, or the run fails. The first run records its chains (15 minutes).
 *
 *     npm run bench -- pulse [--only simulation,chains,density,policies,merged,speed,large,integrity] [--gigabytes N] [--json FILE]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { type ChainStep, type Comparison, compare, OURS } from './pulse/compare.ts';
import { densityBits } from './pulse/density.ts';
import { Follower } from './pulse/follower.ts';
import { merged } from './pulse/merged.ts';
import { policies } from './pulse/policies.ts';
import { LEARNING_RATES, transformerChain } from './pulse/recordings.ts';
import { bytesOf } from './pulse/rivals/rival.ts';
import { Simulation } from './pulse/simulation.ts';
import { speeds } from './pulse/speed.ts';
import { amortised, syncTimes } from './pulse/sync-time.ts';

const SECTIONS = [
  'simulation',
  'chains',
  'density',
  'policies',
  'merged',
  'speed',
  'large',
  'integrity',
] as const;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: SECTIONS.join() },
    gigabytes: { type: 'string', default: '4' },
    json: { type: 'string' },
  },
});
const wanted = new Set(values.only.split(','));
for (const name of wanted) {
  if (!SECTIONS.some((section) => section === name))
    throw new Error(`--only names some of ${SECTIONS.join(', ')}`);
}

useNodeSha256();
const result: Record<string, unknown> = { node: process.version };
const report = (line: string) => process.stderr.write(`${line}\n`);

/** Learning rates at which 0.52, 0.98 and 2.49 % of the simulated weights change. */
const SIMULATED = [4.8e-7, 1e-6, 3e-6];
/** The update that the simulator's published figures are of. */
const AT = 40;
/** Updates of the recorded chains that are compared; each is followed from its start. */
const RECORDED_AT = [50, 100, 150, 200];
const INTEGRITY_STEPS = 420;

if (wanted.has('simulation')) {
  const comparisons: Comparison[] = [];
  for (const learningRate of SIMULATED) {
    report(`simulation at ${learningRate} …`);
    const comparison = await compare(`simulation, ${learningRate}`, simulated(learningRate), [AT]);
    comparisons.push(comparison);
    print(comparison);
  }
  const percent = comparisons[1]!;
  const ours = percent.rows.find(({ codec }) => codec === OURS)!;
  const sync = syncTimes(percent);
  console.log(
    `Seconds a sync of 7.62 G weights, and utilisation at 50 s of training a sync, ${pc(percent.density)} changed`,
  );
  console.table(sync);
  const withAnchors = amortised(percent.weights, ours.ratio!, anchorBytes());
  console.log('Ratio to the full state of what a publisher sends, its anchors included');
  console.table([withAnchors]);
  Object.assign(result, { simulation: comparisons, sync, amortised: withAnchors });
}

if (wanted.has('chains')) {
  const comparisons: Comparison[] = [];
  for (const learningRate of LEARNING_RATES) {
    const steps = learningRate === 3e-6 ? INTEGRITY_STEPS : 200;
    const chain = upTo(transformerChain({ learningRate, steps, report }), 200);
    const comparison = await compare(`transformer, Adam at ${learningRate}`, chain, RECORDED_AT, (step) => {
      if (step % 50 === 0) report(`transformer at ${learningRate}: update ${step}`);
    });
    comparisons.push(comparison);
    print(comparison);
  }
  result.chains = comparisons;
}

if (wanted.has('density')) {
  const rows = [];
  for (const learningRate of [1e-6, 3e-6]) {
    const steps = learningRate === 3e-6 ? INTEGRITY_STEPS : 200;
    const chain = transformerChain({ learningRate, steps, report });
    const options = { learnFrom: 50, counted: 3, last: 80 };
    rows.push(await densityBits(`transformer, Adam at ${learningRate}`, chain, options));
  }
  console.log('Bits a change for where changes are: what the density of tensor, row and column would add');
  console.table(rows.map((row) => rounded(row, 3)));
  result.density = rows;
}

if (wanted.has('policies')) {
  const rows = await policies(report);
  console.log('int8 policies of our tasks, updates 6 to 60, means');
  console.table(rows.map((row) => rounded(row, 2)));
  result.policies = rows;
}

if (wanted.has('merged')) {
  const rows = merged(states(1e-6));
  console.log('Catching up at 1 % changed: the patches that were missed, and one merged patch');
  console.table(rows.map((row) => rounded(row, 3)));
  result.merged = rows;
}

if (wanted.has('speed')) {
  const rows = speeds(states(1e-6));
  console.log('GB of bf16 state a second on one core, 1 % changed: medians');
  console.table(rows.map((row) => rounded(row, 2)));
  result.speed = rows;
}

if (wanted.has('large')) {
  report(`a state of ${values.gigabytes} GB …`);
  result.large = large();
  console.log('A large state, tensor by tensor, in a process of its own');
  console.table([result.large]);
}

if (wanted.has('integrity')) {
  let follower: Follower | undefined;
  let checked = 0;
  for await (const { step, state, tensors } of transformerChain({
    learningRate: 3e-6,
    steps: INTEGRITY_STEPS,
    report,
  })) {
    if (follower === undefined) follower = new Follower(tensors, state, 'history');
    else {
      follower.advance(state);
      checked++;
    }
    if (step % 100 === 0) report(`integrity: update ${step}`);
  }
  console.log(`SHA-256 of the applied chain is the source's after each of ${checked} updates`);
  result.integrity = { updates: checked };
}

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);

function* simulated(learningRate: number): Generator<ChainStep> {
  const simulation = new Simulation({ learningRate });
  yield { step: 0, state: simulation.state(), tensors: simulation.tensors };
  while (simulation.steps < AT) {
    simulation.step();
    yield { step: simulation.steps, state: simulation.state(), tensors: simulation.tensors };
  }
}

async function* upTo(states: AsyncIterable<ChainStep>, last: number): AsyncGenerator<ChainStep> {
  for await (const state of states) {
    yield state;
    if (state.step === last) return;
  }
}

/** The simulator's states up to its update AT. */
function states(learningRate: number): ChainStep[] {
  return [...simulated(learningRate)];
}

function anchorBytes(): number {
  const simulation = new Simulation({ learningRate: 1e-6 });
  return new Follower(simulation.tensors, simulation.state(), 'alone').anchorBytes();
}

function large(): Record<string, unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'grail-bench-'));
  try {
    const files = states(1e-6)
      .slice(-2)
      .map(({ state }, i) => {
        const file = join(folder, `${i}.bin`);
        writeFileSync(file, bytesOf(state));
        return file;
      });
    const script = fileURLToPath(new URL('pulse/large.ts', import.meta.url));
    const { status, stdout } = spawnSync(process.execPath, [script, ...files, values.gigabytes], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) throw new Error('the large state failed');
    return JSON.parse(stdout) as Record<string, unknown>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function print({ chain, density, updates, rows }: Comparison): void {
  console.log(
    `${chain}: ${pc(density)} changed, update${updates.length > 1 ? 's' : ''} ${updates.join(', ')}`,
  );
  console.table(rows.map((row) => rounded(row, 2)));
}

function pc(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function rounded<T extends object>(row: T, digits: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [
      key,
      typeof value === 'number' ? Number(value.toFixed(digits)) : value,
    ]),
  );
}
