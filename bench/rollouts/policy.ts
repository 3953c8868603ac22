import { fileURLToPath } from 'node:url';
import { type Backend, loadBackend, simdBackend } from '../../src/backends/index.ts';
import { products } from '../../src/policy/index.ts';
import { extreme, type Network, networks, observations } from '../support/networks.ts';
import { Peer } from '../support/peer.ts';
import { median, rateInFlight, rateOf } from '../support/timing.ts';
import { ONNX_NAME, onnxPass } from './onnx.ts';

/** Plain integers and TensorFlow.js's own JavaScript are slow: larger batches say nothing new of them. */
const SLOW = new Set(['reference', 'cpu']);
const SLOW_BATCH = 64;

/** MinAtar's, beside CartPole's network and a wide one. */
const GAMES = ['Breakout'];

export interface PolicyOptions {
  readonly python: string | null;
  /** Whether onnxruntime-node takes part: it is installed at need. */
  readonly onnx: boolean;
  readonly runs: number;
  /** Of one turn. */
  readonly seconds: number;
  readonly batches: readonly number[];
  readonly progress: (line: string) => void;
}

export interface PolicyResult {
  readonly network: string;
  readonly batch: number;
  readonly on: string;
  readonly weights: 'initial' | 'extreme';
  readonly stepsPerSecond: number;
  readonly productsPerSecond: number;
}

/** One measured thing: gives steps a second of one turn. */
interface Contender {
  readonly network: string;
  readonly batch: number;
  readonly on: string;
  readonly weights: 'initial' | 'extreme';
  readonly turn: () => Promise<number>;
}

function contenders(
  network: Network,
  on: string,
  backend: Backend,
  weights: 'initial' | 'extreme',
  { batches, seconds }: PolicyOptions,
): Contender[] {
  const policy = weights === 'initial' ? network.policy : extreme(network.policy);
  const loaded = backend.load(policy);
  return batches.flatMap((batch) => {
    if (SLOW.has(on) && batch > SLOW_BATCH) return [];
    const values = observations(batch * policy.architecture.observation, network);
    const turn = async () => rateOf(() => loaded.logits(values, batch), batch, seconds);
    return [{ network: network.name, batch, on, weights, turn }];
  });
}

/** Exact policy steps a second of every backend on one core, beside float32 peers on one thread. */
export async function policySection(options: PolicyOptions) {
  const { python, onnx, runs, seconds, batches, progress } = options;
  const places: [string, Backend][] = [
    ['simd', simdBackend()],
    ['simd plain', simdBackend('plain')],
    ['wasm', await loadBackend('wasm')],
    ['reference', await loadBackend('reference')],
    ['cpu', await loadBackend('cpu')],
  ];
  const nets = networks(GAMES);
  const all: Contender[] = nets.flatMap((network) => [
    ...places.flatMap(([on, backend]) => contenders(network, on, backend, 'initial', options)),
    ...contenders(network, 'simd', places[0]![1], 'extreme', options),
  ]);
  const peer =
    python === null ? null : new Peer(python, fileURLToPath(new URL('policy.py', import.meta.url)));
  const versions = (await peer?.ask({ versions: true })) ?? {};
  for (const network of nets) {
    for (const on of Object.keys(versions)) {
      for (const batch of batches) {
        const question = { on, batch, seconds, architecture: network.policy.architecture };
        const turn = async () => Number((await peer!.ask(question)).rate);
        all.push({ network: network.name, batch, on, weights: 'initial', turn });
      }
    }
  }
  for (const network of onnx ? nets : []) {
    for (const batch of batches) {
      const pass = await onnxPass(network.policy.architecture, batch);
      const turn = () => rateInFlight(pass, batch, 1, seconds);
      all.push({ network: network.name, batch, on: ONNX_NAME, weights: 'initial', turn });
    }
  }
  const rates = all.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, contender] of all.entries()) rates[index]!.push(await contender.turn());
    progress(`policy: run ${run + 1} of ${runs}`);
  }
  peer?.end();
  const results = all.map(({ turn: _, ...contender }, index): PolicyResult => {
    const net = nets.find(({ name }) => name === contender.network)!;
    const stepsPerSecond = median(rates[index]!);
    const perStep = products(net.policy.architecture.layers);
    return { ...contender, stepsPerSecond, productsPerSecond: stepsPerSecond * perStep };
  });
  return { versions, results };
}

export function printPolicy({ results }: Awaited<ReturnType<typeof policySection>>): void {
  for (const { name, policy } of networks(GAMES)) {
    const perStep = products(policy.architecture.layers);
    console.log(`\n${name}: ${perStep} products a step; thousand steps a second, one thread`);
    const rows = new Map<string, Record<string, number>>();
    for (const { network, on, weights, batch, stepsPerSecond } of results) {
      if (network !== name) continue;
      const label = weights === 'extreme' ? `${on}, extreme weights` : on;
      const cell = { [`batch ${batch}`]: Number((stepsPerSecond / 1000).toPrecision(3)) };
      rows.set(label, { ...rows.get(label), ...cell });
    }
    console.table(Object.fromEntries(rows));
  }
}
