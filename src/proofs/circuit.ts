import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { architectureSchema } from '../policy/architecture.ts';
import { toHex, utf8 } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { packageRoot } from '../storage/package-root.ts';
import { spongeDomain } from './poseidon.ts';
import type { CircuitSpec } from './types.ts';
import { type CircuitLayout, circuitLayout, ELEMENT_BITS, FOLD_BITS, type FoldShape } from './widths.ts';

/** A generated circuit. */
export interface GeneratedCircuit {
  /** Names the circuit and, by a hash of every source it is made of, its version. Fit for a file name. */
  readonly name: string;
  /** The main file, in circom 2.2. It includes templates of circuits/, which include circomlib's. */
  readonly source: string;
  /** Public signals: statementDigest, rho, then the fold vectors or their digest. */
  readonly publicCount: number;
}

const CIRCUITS = join(packageRoot(), 'circuits');

/**
 * The circuit of a specification (docs/PROTOCOL.md, Proof). The same specification and templates give the same text.
 * Compile it with `circuits/` and the folder that holds circomlib on the library path.
 * @param fold another stride or number of folded steps than the specification's, subject to the same rules
 * @throws GrailError CIRCUIT_UNSOUND when a rule on which the proof's soundness rests does not hold.
 */
export function generateCircuit(spec: CircuitSpec, fold: FoldShape = {}): GeneratedCircuit {
  if (!Number.isInteger(spec.stepsPerProof) || spec.stepsPerProof < 1) {
    throw unsound(`a proof of ${spec.stepsPerProof} steps`);
  }
  const parsed = architectureSchema.safeParse(spec.architecture);
  if (!parsed.success) throw unsound(parsed.error.issues[0]!.message);
  const layout = circuitLayout(spec, fold);
  assertSound(layout, spec.stepsPerProof);
  const source = mainSource(spec, layout);
  return {
    name: circuitName(spec, source),
    source,
    publicCount: 2 + (spec.variant === 'folds' ? layout.foldCount : 1),
  };
}

/**
 * The rules on widths that the soundness argument uses.
 * @throws GrailError CIRCUIT_UNSOUND naming the layer and the rule.
 */
export function assertSound(layout: CircuitLayout, stepsPerProof: number): void {
  const { stride } = layout;
  const covered = Math.min(layout.folded, stepsPerProof);
  for (const [index, layer] of layout.layers.entries()) {
    const fail = (rule: string) => unsound(`layer ${index}: ${rule}`, index);
    const { bound, width, shift } = layer;
    if (bound >= 2 ** 24) throw fail('an accumulator can reach 2^24');
    // y + offset must fit its bits for every true accumulator, and a wrong one must differ by less than 2^width.
    if (bound >= 2 ** (width - 1)) throw fail(`${width} bits do not hold every accumulator`);
    if (layer.offset !== 2 ** (shift - 1) + 2 ** (width - 1)) throw fail('the packing offset is wrong');
    if (stride < width) throw fail('steps of a fold overlap');
    if (covered < 1 || width + stride * (covered - 1) > FOLD_BITS) {
      throw fail(`${covered} steps in one equation let errors add up to a multiple of r`);
    }
  }
  const last = layout.layers.at(-1)!;
  const largestLogit = Math.floor(last.bound / 2 ** last.shift);
  if (largestLogit + 2 ** 14 >= 2 ** 24) throw unsound('a score can reach 2^24');
  if (layout.compareBits > 32) throw unsound('score differences need more than 32 bits');
  for (const width of [...layout.traceFields, ...layout.statementFields]) {
    if (width < 1 || width > ELEMENT_BITS) throw unsound(`a packed field of ${width} bits`);
  }
}

function mainSource(spec: CircuitSpec, layout: CircuitLayout): string {
  const { architecture, stepsPerProof, variant } = spec;
  const list = (values: readonly number[]) => `[${values.join(', ')}]`;
  const { layers } = layout;
  const parameters: [name: string, value: string | number | bigint][] = [
    ['steps', stepsPerProof],
    ['layers', layers.length],
    ['sizes', list([architecture.observation, ...layers.map((layer) => layer.out)])],
    ['shifts', list(layers.map((layer) => layer.shift))],
    ['widths', list(layers.map((layer) => layer.width))],
    ['stride', layout.stride],
    ['folded', layout.folded],
    ['actionBits', layout.actionBits],
    ['compareBits', layout.compareBits],
    ['traceDomain', spongeDomain('trace', layout.traceElements)],
    ['traceElements', layout.traceElements],
    ['statementDomain', spongeDomain('statement', layout.statementInputs)],
    ['statementElements', layout.statementElements],
  ];
  if (variant === 'digest') parameters.push(['foldDomain', spongeDomain('fold', layout.foldCount)]);
  const [file, template, last] =
    variant === 'folds'
      ? ['spot-check.circom', 'SpotCheck', 'folds']
      : ['spot-check-digest.circom', 'SpotCheckDigest', 'foldDigest'];
  const lines = parameters.map(
    ([name, value], i) => `    /* ${name} */ ${value}${i < parameters.length - 1 ? ',' : ''}`,
  );
  return [
    'pragma circom 2.2.0;',
    '',
    `include "${file}";`,
    '',
    `component main {public [statementDigest, rho, ${last}]} = ${template}(`,
    ...lines,
    ');',
    '',
  ].join('\n');
}

function circuitName(spec: CircuitSpec, source: string): string {
  const parts = [tag('circuit'), sha256(canonicalBytes(spec)), sha256(utf8(source))];
  for (const file of readdirSync(CIRCUITS).sort()) {
    if (file.endsWith('.circom')) parts.push(sha256(utf8(file)), sha256(readFileSync(join(CIRCUITS, file))));
  }
  const hash = toHex(sha256(...parts)).slice(2, 14);
  return `spot-check-${spec.variant}-b${spec.stepsPerProof}-${hash}`;
}

function unsound(reason: string, layer?: number): GrailError {
  return new GrailError(
    'CIRCUIT_UNSOUND',
    `refusing to generate a circuit: ${reason}`,
    layer === undefined ? {} : { layer },
  );
}
