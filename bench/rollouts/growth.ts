import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRolloutEngine } from '../../rollouts/engine/index.ts';
import { measureBackend } from '../../rollouts/measure.ts';
import { simdBackend } from '../../src/backends/index.ts';
import { products } from '../../src/policy/index.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { mlp, recipePolicy } from '../support/networks.ts';
import { median } from '../support/timing.ts';
import { windowInput } from '../support/window.ts';
import { wholeRate } from './whole.ts';

export interface GrowthOptions {
  readonly runs: number;
  /** Of one turn of a whole rollout, about. */
  readonly seconds: number;
  readonly threads: number;
  readonly progress: (line: string) => void;
}

export interface GrowthResult {
  readonly what: 'batch' | 'width' | 'threads';
  readonly label: string;
  readonly stepsPerSecond: number;
  readonly productsPerSecond: number;
}

const BATCHES = [1, 4, 16, 64, 256, 1024, 4096, 16_384] as const;
const WIDTHS = [16, 32, 64, 128, 256, 512, 1024] as const;
const WIDTH_BATCH = 1024;
const STEPS = 256;
const SLOTS = 1024;

interface Measurement {
  readonly what: GrowthResult['what'];
  readonly label: string;
  readonly perStep: number;
  readonly turn: () => Promise<number>;
}

/** How steps a second grow with batch, width and threads, and the products a second that one core can do at all. */
export async function growthSection({ runs, seconds, threads, progress }: GrowthOptions) {
  const kernel = simdBackend();
  const all: Measurement[] = [];
  const wide = mlp(64, [256, 256], 16);
  for (const batch of BATCHES) {
    const perStep = products(wide.architecture.layers);
    const turn = () => measureBackend(kernel, wide, batch);
    all.push({ what: 'batch', label: `64-256-256-16, batch ${batch}`, perStep, turn });
  }
  for (const width of WIDTHS) {
    const policy = mlp(64, [width, width], 16);
    const perStep = products(policy.architecture.layers);
    const turn = () => measureBackend(kernel, policy, WIDTH_BATCH);
    all.push({ what: 'width', label: `64-${width}-${width}-16, batch ${WIDTH_BATCH}`, perStep, turn });
  }
  const engines = [];
  for (const environment of ['CartPole-v1', 'MinAtar/Breakout-v1']) {
    const policy = recipePolicy(environment);
    const { architecture } = policy;
    for (let count = 1; count <= threads; count *= 2) {
      const engine = await startRolloutEngine({
        candidates: [{ name: 'simd', threads: count }],
        architecture,
      });
      engines.push(engine);
      all.push({
        what: 'threads',
        label: `${environment}, ${SLOTS} slots, ${count} of ${threads} threads`,
        perStep: products(architecture.layers),
        turn: () =>
          wholeRate(engine, (window) => windowInput(environment, policy, SLOTS, STEPS, window), seconds),
      });
    }
  }
  const limit = coreLimit();
  const limits: number[] = [];
  const rates = all.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    limits.push(limit());
    for (const [index, { turn }] of all.entries()) rates[index]!.push(await turn());
    progress(`growth: run ${run + 1} of ${runs}`);
  }
  await Promise.all(engines.map((engine) => engine.close()));
  const results = all.map(({ what, label, perStep }, index): GrowthResult => {
    const stepsPerSecond = median(rates[index]!);
    return { what, label, stepsPerSecond, productsPerSecond: stepsPerSecond * perStep };
  });
  return { coreProductsPerSecond: median(limits), results };
}

/** Products a second of assembly/peak.ts, compiled here: no policy needs it. */
function coreLimit(): () => number {
  const root = packageRoot();
  const folder = mkdtempSync(join(tmpdir(), 'grail-peak-'));
  try {
    const file = join(folder, 'peak.wasm');
    const asc = join('node_modules', 'assemblyscript', 'bin', 'asc.js');
    const flags = [
      '--enable',
      'simd',
      '--enable',
      'relaxed-simd',
      '--runtime',
      'stub',
      '-O3',
      '--initialMemory',
      '1',
    ];
    const args = [asc, join('assembly', 'peak.ts'), ...flags, '-o', file];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    if (status !== 0) throw new Error(`assembly/peak.ts does not compile:\n${stderr}`);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {});
    const { turn, productsPerTurn } = instance.exports as {
      turn(count: number): number;
      productsPerTurn(): number;
    };
    const turns = 20_000_000;
    turn(turns);
    return () => {
      const began = performance.now();
      turn(turns);
      return (1000 * turns * productsPerTurn()) / (performance.now() - began);
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function printGrowth({
  coreProductsPerSecond,
  results,
}: Awaited<ReturnType<typeof growthSection>>): void {
  const giga = (value: number) => Number((value / 1e9).toPrecision(3));
  console.log(
    `\nGrowth. One core does ${giga(coreProductsPerSecond)} G int8 products a second from its first cache`,
  );
  console.table(
    Object.fromEntries(
      results.map(({ label, stepsPerSecond, productsPerSecond }) => [
        label,
        {
          'k steps/s': Number((stepsPerSecond / 1000).toPrecision(3)),
          'G products/s': giga(productsPerSecond),
          'of a core': `${((100 * productsPerSecond) / coreProductsPerSecond).toFixed(0)}%`,
        },
      ]),
    ),
  );
}
