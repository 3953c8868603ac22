/**
 * Exact policy steps a second of every backend on one core, by network and batch, beside float32 PyTorch and ONNX
 * Runtime on one thread when a Python has them. In each run everything takes its turn; medians over the runs.
 *
 *     npm run bench -- rollouts
 *     npm run bench -- rollouts --python /path/to/venv/bin/python --runs 7 --json
 *
 * `initial`: the weights that training starts from. `extreme`: int8 weights over their whole range, where the kernel
 * cannot keep sums in int16.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Backend, loadBackend, simdBackend } from '../src/backends/index.ts';
import { recipe } from '../src/params/recipes.ts';
import { type Policy, products, weightCount } from '../src/policy/index.ts';
import { philox4x32 } from '../src/policy/philox.ts';
import { buildMlp } from '../src/policy/quantiser.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { initialise } from '../src/training/initialise.ts';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '0.2' },
    batches: { type: 'string', default: '1,64,1024,8192' },
    json: { type: 'boolean', default: false },
  },
});
const runs = Number(flags.runs);
const seconds = Number(flags.seconds);
const batches = flags.batches.split(',').map(Number);
if (![runs, seconds, ...batches].every((value) => value > 0)) {
  console.error('USAGE: --runs, --seconds and --batches take numbers above 0');
  process.exit(2);
}

/** Plain integers and TensorFlow.js's own JavaScript are slow: larger batches say nothing new of them. */
const SLOW = new Set(['reference', 'cpu']);
const SLOW_BATCH = 64;

interface Network {
  readonly name: string;
  readonly policy: Policy;
  /** Observations of 0 and 1, as MinAtar's are. */
  readonly binary: boolean;
}

/** One measured thing: gives steps a second of one turn. */
interface Contender {
  readonly network: string;
  readonly batch: number;
  readonly on: string;
  readonly weights: 'initial' | 'extreme';
  readonly turn: () => Promise<number>;
}

function networks(): Network[] {
  const initialSeed = `0x${'07'.repeat(32)}`;
  const cartPole = recipe('CartPole-v1', 'ppo');
  const breakout = recipe('MinAtar/Breakout-v1', 'ppo');
  const quantiser = { ...cartPole.quantiser, weightBits: [4, 4, 6] };
  const wide = buildMlp({ observation: 64, hidden: [256, 256], actions: 16, quantiser });
  return [
    {
      name: '64-256-256-16',
      policy: initialise({ ...cartPole, architecture: wide, quantiser, initialSeed }).policy,
      binary: false,
    },
    { name: 'CartPole', policy: initialise({ ...cartPole, initialSeed }).policy, binary: false },
    { name: 'MinAtar Breakout', policy: initialise({ ...breakout, initialSeed }).policy, binary: true },
  ];
}

const block = new Uint32Array(4);
const random = (index: number) => {
  philox4x32(index, 0, 0, 0, 3, 4, block);
  return block[0]!;
};

function extreme({ architecture, layers }: Policy): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer, index) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, (_, i) => (random(i) % 255) - 127),
      bias: layers[index]!.bias,
    })),
  };
}

const now = () => Number(process.hrtime.bigint()) / 1e9;

function contenders(
  network: Network,
  on: string,
  backend: Backend,
  weights: 'initial' | 'extreme',
): Contender[] {
  const policy = weights === 'initial' ? network.policy : extreme(network.policy);
  const loaded = backend.load(policy);
  const width = policy.architecture.observation;
  return batches.flatMap((batch) => {
    if (SLOW.has(on) && batch > SLOW_BATCH) return [];
    const observations = Int8Array.from({ length: batch * width }, (_, i) =>
      network.binary ? random(i) & 1 : (random(i) % 255) - 127,
    );
    const turn = () => {
      loaded.logits(observations, batch);
      const began = now();
      let passes = 0;
      let took = 0;
      do {
        loaded.logits(observations, batch);
        passes++;
        took = now() - began;
      } while (took < seconds);
      return Promise.resolve((passes * batch) / took);
    };
    return [{ network: network.name, batch, on, weights, turn }];
  });
}

/** The peers: a process that measures one turn for each line that it gets. */
class Peers {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;

  constructor(python: string) {
    const script = fileURLToPath(new URL('rollouts.py', import.meta.url));
    this.#child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(question: object): Promise<{ readonly [key: string]: unknown }> {
    this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the Python process ended; see above');
    return JSON.parse(value);
  }

  end(): void {
    this.#child.stdin!.end();
  }
}

useNodeSha256();
const places: [string, Backend][] = [
  ['simd', simdBackend()],
  ['simd plain', simdBackend('plain')],
  ['wasm', await loadBackend('wasm')],
  ['reference', await loadBackend('reference')],
  ['cpu', await loadBackend('cpu')],
];
const nets = networks();
const all: Contender[] = nets.flatMap((network) => [
  ...places.flatMap(([on, backend]) => contenders(network, on, backend, 'initial')),
  ...contenders(network, 'simd', places[0]![1], 'extreme'),
]);
const peers = flags.python === undefined ? null : new Peers(flags.python);
const versions = (await peers?.ask({ versions: true })) ?? {};
for (const network of nets) {
  for (const on of Object.keys(versions)) {
    for (const batch of batches) {
      const question = { on, batch, seconds, architecture: network.policy.architecture };
      const turn = async () => Number((await peers!.ask(question)).rate);
      all.push({ network: network.name, batch, on, weights: 'initial', turn });
    }
  }
}
const rates = all.map((): number[] => []);
for (let run = 0; run < runs; run++) {
  for (const [index, contender] of all.entries()) rates[index]!.push(await contender.turn());
  console.error(`run ${run + 1} of ${runs}`);
}
peers?.end();
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const results = all.map(({ turn: _, ...contender }, index) => {
  const perStep = products(nets.find(({ name }) => name === contender.network)!.policy.architecture.layers);
  const stepsPerSecond = median(rates[index]!);
  return { ...contender, stepsPerSecond, productsPerSecond: stepsPerSecond * perStep };
});
if (flags.json) {
  console.log(JSON.stringify({ node: process.versions.node, versions, runs, results }));
} else {
  for (const { name, policy } of nets) {
    console.log(
      `\n${name}: ${products(policy.architecture.layers)} products a step; thousand steps a second`,
    );
    const rows = new Map<string, Record<string, number>>();
    for (const { network, on, weights, batch, stepsPerSecond } of results) {
      if (network !== name) continue;
      const label = weights === 'extreme' ? `${on}, extreme weights` : on;
      rows.set(label, {
        ...rows.get(label),
        [`batch ${batch}`]: Number((stepsPerSecond / 1000).toPrecision(3)),
      });
    }
    console.table(Object.fromEntries(rows));
  }
}
