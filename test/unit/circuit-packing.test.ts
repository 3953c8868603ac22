import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout, ELEMENT_BITS, NOISE_BITS } from '../../src/proofs/widths.ts';
import { compileCircuit, type TemplateEdit } from '../helpers/circuit.ts';
import { CLAIM_SPEC } from '../helpers/claims.ts';
import { type Constraint, constraintsOf } from '../helpers/constraints.ts';
import { mlp } from '../helpers/steps.ts';
import { network } from '../support/architectures.ts';

/**
 * Every packed element that a sponge takes, as the circuit's constraints make it: a sum of bits at powers of two. Two packings
 * differ in a bit, hence in the element, exactly if the bits' places and the actions' tile the element without overlap below r.
 */

/** A signal by the bits and actions that it is a sum of. */
type Sum = Map<string, bigint>;

/** Signals that linear constraints reduce to bits and actions. */
async function sums(spec: CircuitSpec, edits: readonly TemplateEdit[] = []): Promise<Map<string, Sum>> {
  const circuit = await compileCircuit(generateCircuit(spec).source, 'O0', edits);
  const { names } = circuit;
  const { rows, members, uses, bits } = constraintsOf(circuit.r1cs);
  const found = new Map<number, Sum>([[0, new Map([['one', 1n]])]]);
  const linear = ({ a, b }: Constraint) => a.size === 0 || b.size === 0;
  const queue: number[] = [];
  const settle = (wire: number, sum: Sum) => {
    found.set(wire, sum);
    queue.push(...uses[wire]!.filter((row) => linear(rows[row]!)));
  };
  for (const [wire, name] of names.entries()) {
    if (bits.has(wire) || /argmax\[\d+\]\.action$/.test(name)) settle(wire, new Map([[name, 1n]]));
  }
  for (const row of queue) {
    const open = members[row]!.filter((wire) => !found.has(wire));
    if (open.length !== 1) continue;
    const sum: Sum = new Map();
    const scale = -inverse(rows[row]!.c.get(open[0]!)!);
    for (const [wire, value] of rows[row]!.c) {
      if (wire === open[0]) continue;
      for (const [leaf, part] of found.get(wire)!) {
        sum.set(leaf, signedToField((sum.get(leaf) ?? 0n) + part * value * scale));
      }
    }
    settle(open[0]!, sum);
  }
  return new Map([...found].map(([wire, sum]) => [names[wire]!, sum]));
}

/** Places `[leaf, exponent, bits]` of a sum, lowest first, less its constant. */
function places(sum: Sum, actionBits: number): { leaf: string; at: number; bits: number }[] {
  return [...sum]
    .filter(([leaf, value]) => leaf !== 'one' && value !== 0n)
    .map(([leaf, value]) => {
      expect(value & (value - 1n)).toBe(0n);
      const bits = leaf.endsWith('.action') ? actionBits : 1;
      return { leaf, at: value.toString(2).length - 1, bits };
    })
    .sort((p, q) => p.at - q.at);
}

const CIRCUITS: [title: string, spec: CircuitSpec][] = [
  ['three layers', CLAIM_SPEC],
  [
    'widths that differ, five actions',
    {
      architecture: mlp(
        [
          [2, 7, 0],
          [3, 1, 131_072],
          [2, 2, 9],
        ],
        5,
      ),
      stepsPerProof: 3,
      variant: 'digest',
    },
  ],
  ['seventeen actions', { architecture: mlp([[2, 4, 77]], 17), stepsPerProof: 3, variant: 'folds' }],
  [
    'a convolution, two equations',
    {
      architecture: network(
        [3, 3, 1],
        [
          [{ filters: 2, kernel: 2, stride: 1 }, 5, 200],
          [2, 2, 70],
        ],
      ),
      stepsPerProof: 13,
      variant: 'folds',
    },
  ],
];

describe.each(CIRCUITS)('the packed elements of a circuit of %s', (title, spec) => {
  it('hold every bit of every accumulator, noise and action once, side by side', async () => {
    const { actionBits, equations, layers, statementElements, traceElements } = circuitLayout(spec);
    if (title.endsWith('two equations')) expect(equations).toBe(2);
    const all = await sums(spec);
    const prefix = spec.variant === 'digest' ? 'check.' : '';
    const elements = (sponge: string, from: number, count: number) =>
      Array.from({ length: count }, (_, e) => all.get(`${prefix}${sponge}.in[${from + e}]`)!);
    const { actions } = spec.architecture;
    const stepBits = layers.reduce((sum, layer) => sum + layer.out * layer.width, 0);
    for (const [list, bits] of [
      [elements('traceDigest', 0, traceElements), stepBits],
      [elements('digest', 2 + equations, statementElements), actions * NOISE_BITS + actionBits],
    ] as const) {
      const leaves = new Set<string>();
      let used = 0;
      for (const sum of list) {
        let end = 0;
        for (const { leaf, at, bits } of places(sum, actionBits)) {
          expect(at).toBe(end);
          end += bits;
          used += bits;
          leaves.add(leaf);
        }
        expect(sum.get('one') ?? 0n).toBe(0n);
        expect(end).toBeLessThanOrEqual(ELEMENT_BITS);
        expect(2n ** BigInt(end) < FIELD_ORDER).toBe(true);
      }
      expect(used).toBe(bits * spec.stepsPerProof);
      expect(leaves.size).toBe(used - actionsIn(leaves) * (actionBits - 1));
    }
  });
});

function actionsIn(leaves: ReadonlySet<string>): number {
  return [...leaves].filter((leaf) => leaf.endsWith('.action')).length;
}

it('would overlap if a range check were one bit wider than its field', async () => {
  const wider: TemplateEdit = { file: 'spot-check.circom', from: 'Num2Bits(14)', to: 'Num2Bits(15)' };
  const all = await sums(CLAIM_SPEC, [wider]);
  const { actionBits, equations } = circuitLayout(CLAIM_SPEC);
  const sum = all.get(`digest.in[${2 + equations}]`)!;
  const at = places(sum, actionBits).map((place) => place.at);
  expect(new Set(at).size).toBeLessThan(at.length);
});
