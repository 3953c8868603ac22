/**
 * Constraints of the spot check, compiled by circom at O2, beside a circuit of the same network that multiplies every weight
 * (bench/circuits/matmul.circom, one step, compiled in the same run). Prints a table, or with --json one object.
 *
 *     npm run bench -- circuits [--quick] [--json]
 *
 * --quick leaves out what takes minutes: the wide network and the convolution.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Architecture, Layer } from '../src/policy/architecture.ts';
import { generateCircuit } from '../src/proofs/circuit.ts';
import { compileCircuit } from '../src/proofs/compile.ts';
import { circuitCost } from '../src/proofs/cost.ts';
import { parseR1cs } from '../src/proofs/r1cs.ts';
import type { CircuitSpec, ProofVariant } from '../src/proofs/types.ts';
import { circuitLayout } from '../src/proofs/widths.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { PROVEN_NETWORKS } from './support/proven-networks.ts';

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
});
useNodeSha256();

/** The main component of the comparison. */
function matmulSource(architecture: Architecture): string {
  const { layers, compareBits } = circuitLayout({ architecture, stepsPerProof: 1 });
  const column = (of: (layer: Layer, index: number) => number) =>
    `[${architecture.layers.map(of).join(', ')}]`;
  const grid = (layer: Layer) =>
    layer.type === 'conv2d'
      ? layer
      : { height: 1, width: 1, cin: layer.in, kernel: 1, stride: 1, cout: layer.out };
  const parameters = [
    String(layers.length),
    ...(['height', 'width', 'cin', 'kernel', 'stride', 'cout'] as const).map((key) =>
      column((layer) => grid(layer)[key]),
    ),
    column(({ shift }) => shift),
    column((_, index) => layers[index]!.width),
    String(compareBits),
  ];
  const template = readFileSync(new URL('./circuits/matmul.circom', import.meta.url), 'utf8');
  return `${template}\ncomponent main = MatmulStep(${parameters.join(', ')});\n`;
}

async function compile(name: string, source: string): Promise<{ constraints: number; seconds: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'grail-circuits-'));
  const started = performance.now();
  try {
    const { r1cs } = await compileCircuit({ name, source, directory });
    const { constraints } = parseR1cs(readFileSync(r1cs));
    return { constraints, seconds: Math.round((performance.now() - started) / 100) / 10 };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const rows: Record<string, string | number>[] = [];
for (const { name, architecture, stepsPerProof, heavy } of PROVEN_NETWORKS) {
  if (heavy && flags.quick) continue;
  const matmul = await compile('main', matmulSource(architecture));
  for (const variant of ['folds', 'digest'] satisfies ProofVariant[]) {
    const spec: CircuitSpec = { architecture, stepsPerProof, variant };
    const { constraints, seconds } = await compile('main', generateCircuit(spec).source);
    const cost = circuitCost(spec);
    if (cost.constraints !== constraints) {
      throw new Error(`${name}: counted ${cost.constraints} constraints, compiled ${constraints}`);
    }
    const step = Math.round(constraints / stepsPerProof);
    rows.push({
      network: name,
      B: stepsPerProof,
      variant,
      constraints,
      'a step': step,
      publics: cost.publics,
      domain: `2^${cost.domainBits}`,
      'matmul, a step': matmul.constraints,
      times: Math.round((10 * matmul.constraints) / step) / 10,
      'compile s': seconds,
    });
    if (!flags.json) console.error(`${name}, ${variant}: ${constraints}`);
  }
}
if (flags.json) console.log(JSON.stringify({ circuits: rows }));
else console.table(rows);
