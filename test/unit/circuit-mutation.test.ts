import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout } from '../../src/proofs/widths.ts';
import { type ProverInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { CLAIM_SPEC, honestAccumulators, honestProver } from '../helpers/claims.ts';
import { movingWires, type View, wiresFreeAlone, wiresFreeResolved, witnessed } from '../helpers/mutation.ts';
import { mlp, randomPolicy, randomSteps, Seeded } from '../helpers/steps.ts';
import { network } from '../support/architectures.ts';

/**
 * Every private wire of a satisfied circuit, by machine: alone, with all that depends on it derived anew, and in sets, by the kernel
 * of the derivative of all constraints. Nothing but `factor` may be free, where `outside` is zero: there it is multiplied by
 * zero, and nothing else reads it.
 */

const LONG = process.env.GRAIL_LONG !== undefined;

const CIRCUITS: { title: string; spec: CircuitSpec; resolve: boolean }[] = [
  { title: 'three layers, two steps', spec: CLAIM_SPEC, resolve: true },
  {
    title: 'three layers, two steps, the fold digest',
    spec: { ...CLAIM_SPEC, variant: 'digest' },
    resolve: true,
  },
  {
    title: 'a convolution and two dense layers',
    spec: {
      architecture: network(
        [3, 3, 1],
        [
          [{ filters: 2, kernel: 2, stride: 1 }, 5, 200],
          [3, 5, 300],
          [3, 2, 70],
        ],
      ),
      stepsPerProof: 2,
      variant: 'folds',
    },
    resolve: LONG,
  },
  {
    title: 'two equations',
    spec: {
      architecture: mlp(
        [
          [2, 4, 77],
          [5, 2, 9],
        ],
        2,
      ),
      stepsPerProof: 15,
      variant: 'digest',
    },
    resolve: LONG,
  },
  {
    title: 'one layer, whose folds are none',
    spec: { architecture: mlp([[3, 2, 50]], 4), stepsPerProof: 2, variant: 'digest' },
    resolve: true,
  },
  {
    title: 'hidden values that never saturate',
    spec: {
      architecture: mlp(
        [
          [1, 17, 0],
          [2, 9, 0],
          [3, 1, 0],
        ],
        3,
      ),
      stepsPerProof: 2,
      variant: 'folds',
    },
    resolve: LONG,
  },
];

/** The factors that are free: those of activations in [0, 127], in layers whose values can leave that range. */
function freeFactors(input: ProverInput): { free: string[]; fixed: number } {
  const { layers } = circuitLayout(input.spec);
  const prefix = input.spec.variant === 'digest' ? 'check.' : '';
  const free: string[] = [];
  let fixed = 0;
  for (const [b, step] of honestAccumulators(input).entries()) {
    const rows = step
      .slice(0, -1)
      .flatMap((y, layer) => Array.from(y, (value) => ({ value, ...layers[layer]! })));
    for (const [row, { value, shift, width }] of rows.entries()) {
      if (width - 1 <= shift + 7) continue;
      const rounded = Math.floor((value + 2 ** (shift - 1)) / 2 ** shift);
      if (rounded < 0 || rounded > 127) fixed += 1;
      else free.push(`${prefix}requantise[${b}][${row}].factor`);
    }
  }
  return { free: free.sort(), fixed };
}

const isFold = (name: string) => /^folds\[/.test(name);

describe('every private wire of a satisfied circuit is fixed by the others, but for factors where outside is zero', () => {
  for (const { title, spec, resolve } of CIRCUITS) {
    it(`in sets, alone and with its dependants: ${title}`, async () => {
      const { source } = generateCircuit(spec);
      const circuits = {
        optimised: await compileCircuit(source, 'O2'),
        named: await compileCircuit(source, 'O0'),
      };
      const random = new Seeded(5);
      const { equations, foldCount } = circuitLayout(spec);
      if (title === 'two equations') expect(equations).toBe(2);
      for (let round = 0; round < (LONG ? 12 : 2); round++) {
        const policy = round === 0 ? honestProver(spec).policy : randomPolicy(spec.architecture, random);
        const input: ProverInput = {
          ...honestProver(spec),
          policy,
          steps: randomSteps(policy, spec.stepsPerProof, random),
          rho: BigInt(random.word()) ** 7n,
        };
        const { free, fixed } = freeFactors(input);
        if (round === 0 && spec === CLAIM_SPEC) expect([free.length > 0, fixed > 0]).toEqual([true, true]);
        const inputs = witnessInput(input);
        const optimised = await witnessed(circuits.optimised, inputs);
        const named = await witnessed(circuits.named, inputs);
        for (const view of ['proof', 'opening'] as View[]) {
          for (const circuit of [optimised, named]) {
            const moving = movingWires(circuit, view, isFold);
            expect({ view, ...moving }).toEqual({ view, dimension: free.length, names: free });
          }
          if (round === 0 && spec.variant === 'digest' && foldCount > 0) {
            // Their digest is one number: at first order it leaves the folds all directions but one, and the equations,
            // once their observation folds are known, one more each. That no two of them can be found is Poseidon's part.
            const left = view === 'proof' ? foldCount - 1 : foldCount - 1 - equations;
            expect(movingWires(optimised, view).dimension).toBe(free.length + left);
          }
          expect(wiresFreeAlone(optimised, view, random)).toEqual(free);
          if (resolve && round === 0) expect(wiresFreeResolved(named, view)).toEqual(free);
        }
      }
    }, 1_800_000);
  }
});
