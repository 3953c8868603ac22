import { describe, expect, it } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit } from '../helpers/circuit.ts';
import { honestProver } from '../helpers/claims.ts';
import { movingWires, type View, wiresFreeAlone, wiresFreeResolved, witnessed } from '../helpers/mutation.ts';
import { mlp, Seeded } from '../helpers/steps.ts';
import { CHAIN_WEAKENING, DIGEST_WEAKENINGS, WEAKENINGS, type Weakening } from '../helpers/weakened.ts';

/**
 * The machine of circuit-mutation.test.ts on circuits from which one constraint was taken: it must find what that frees.
 * Otherwise its silence about the true circuit would mean nothing.
 */

const SPEC: CircuitSpec = {
  architecture: mlp(
    [
      [3, 6, 500],
      [6, 3, 60],
    ],
    3,
  ),
  stepsPerProof: 2,
  variant: 'folds',
};

const VIEWS: View[] = ['proof', 'opening'];
const isFold = (name: string) => /^folds\[/.test(name);

/** Wires that one view or the other leaves open, cheapest search first, until one is found that `frees` names. */
async function noticed(spec: CircuitSpec, { edits, frees }: Weakening): Promise<string[]> {
  const { source } = generateCircuit(spec);
  const input = witnessInput(honestProver(spec, 4));
  const optimised = await witnessed(await compileCircuit(source, 'O2', edits), input);
  const found: string[] = [];
  const search = (look: (view: View) => readonly string[]): boolean => {
    for (const view of VIEWS) found.push(...look(view).filter((name) => !name.endsWith('.factor')));
    return found.some((name) => frees.test(name));
  };
  if (search((view) => movingWires(optimised, view, isFold).names)) return found;
  if (search((view) => wiresFreeAlone(optimised, view, new Seeded(2)))) return found;
  const named = await witnessed(await compileCircuit(source, 'O0', edits), input);
  if (search((view) => movingWires(named, view, isFold).names)) return found;
  search((view) => wiresFreeResolved(named, view));
  return found;
}

describe('a circuit in which', () => {
  it('nothing was weakened leaves nothing open', async () => {
    expect(await noticed(SPEC, { title: '', edits: [], frees: /./ })).toEqual([]);
  });

  // Each takes two compilations: those that test other parts than these run at full counts.
  const CORE = /^the bits of|^an activation|^the trace holds|need not|next (index|best)/;
  for (const weakening of WEAKENINGS.filter(({ title }) => process.env.GRAIL_LONG || CORE.test(title))) {
    it(`${weakening.title} is told from the true one`, async () => {
      expect(await noticed(SPEC, weakening)).toContainEqual(expect.stringMatching(weakening.frees));
    });
  }

  for (const weakening of DIGEST_WEAKENINGS.slice(1)) {
    it(`${weakening.title} is told from the true one`, async () => {
      const found = await noticed({ ...SPEC, variant: 'digest' }, weakening);
      expect(found).toContainEqual(expect.stringMatching(weakening.frees));
    });
  }

  it(`${DIGEST_WEAKENINGS[0]!.title} is told from the true one`, async () => {
    const spec: CircuitSpec = { ...SPEC, variant: 'digest' };
    const input = witnessInput(honestProver(spec, 4));
    const { source } = generateCircuit(spec);
    // Folds are as good as fixed by their digest: what its constraint adds is one direction that they cannot move in.
    const directions = await Promise.all(
      [[], DIGEST_WEAKENINGS[0]!.edits].map(async (edits) => {
        const circuit = await witnessed(await compileCircuit(source, 'O2', edits), input);
        return movingWires(circuit, 'proof').dimension - movingWires(circuit, 'proof', isFold).dimension;
      }),
    );
    expect(directions).toEqual([5, 6]);
  });

  it(`${CHAIN_WEAKENING.title} is told from the true one`, async () => {
    const spec: CircuitSpec = {
      architecture: mlp(
        [
          [1, 1, 100],
          [130, 1, 100],
        ],
        2,
      ),
      stepsPerProof: 2,
      variant: 'folds',
    };
    const { source } = generateCircuit(spec);
    const weakened = await compileCircuit(source, 'O2', CHAIN_WEAKENING.edits);
    const circuit = await witnessed(weakened, witnessInput(honestProver(spec)));
    expect(movingWires(circuit, 'opening').names).toContainEqual(
      expect.stringMatching(CHAIN_WEAKENING.frees),
    );
  });
});
