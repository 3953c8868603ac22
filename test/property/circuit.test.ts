import { describe, expect, it } from 'vitest';
import type { Architecture, HiddenLayer } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { foldVectors } from '../../src/proofs/fold.ts';
import { FIELD_ORDER } from '../../src/proofs/poseidon.ts';
import { traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec, StepStatement } from '../../src/proofs/types.ts';
import { publicInputs, publicSignals, witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit, type TestCircuit } from '../helpers/circuit.ts';
import { CARTPOLE, mlp, randomPolicy, randomSteps, Seeded } from '../helpers/steps.ts';
import { network, SMALL_CONVOLUTIONS } from '../support/architectures.ts';

/** Steps of each network that are proven; every other action of them is tried as well. */
const STEPS = process.env.GRAIL_LONG ? 400 : 24;

const NETWORKS: { title: string; architecture: Architecture; stepsPerProof: number; variant?: 'digest' }[] = [
  {
    title: '3-4-2',
    architecture: mlp(
      [
        [3, 5, 500],
        [4, 3, 60],
      ],
      2,
    ),
    stepsPerProof: 2,
  },
  {
    title: '2-3-2-5 with five actions',
    architecture: mlp(
      [
        [2, 7, 0],
        [3, 1, 131_072],
        [2, 2, 9],
      ],
      5,
    ),
    stepsPerProof: 3,
  },
  { title: 'one layer, 5-3', architecture: mlp([[5, 1, 1000]], 3), stepsPerProof: 1 },
  {
    title: 'widths that leave a hidden layer one bit or none',
    architecture: mlp(
      [
        [1, 17, 0],
        [2, 15, 0],
        [2, 1, 0],
      ],
      2,
    ),
    stepsPerProof: 2,
  },
  {
    title: '3-4-2 with the fold digest',
    architecture: mlp(
      [
        [3, 5, 500],
        [4, 3, 60],
      ],
      2,
    ),
    stepsPerProof: 2,
    variant: 'digest',
  },
  {
    title: '5 × 5 × 2, a convolution of stride 2, a dense layer of eight',
    architecture: network(
      [5, 5, 2],
      [
        [{ filters: 4, kernel: 3, stride: 2 }, 6, 700],
        [8, 5, 300],
        [3, 2, 131_072],
      ],
    ),
    stepsPerProof: 2,
  },
  {
    title: 'a convolution after another',
    architecture: SMALL_CONVOLUTIONS,
    stepsPerProof: 3,
  },
  { title: 'as many steps as one equation covers', architecture: mlp([[2, 4, 77]], 2), stepsPerProof: 12 },
  { title: 'one step more than one equation covers', architecture: mlp([[2, 4, 77]], 2), stepsPerProof: 13 },
];

/** A network of one to three layers with shifts and bounds of any size; tens of values at most. */
function randomNetwork(random: Seeded): { architecture: Architecture; stepsPerProof: number } {
  const layers = Array.from({ length: random.int(1, 3) }, (): [number, number, number] => {
    const shift = random.int(1, 17);
    return [random.int(1, 9), shift, random.int(0, 1) === 0 ? random.int(0, 200) : random.int(0, 131_072)];
  });
  return { architecture: mlp(layers, random.int(2, 6)), stepsPerProof: random.int(1, 4) };
}

/** A network of one or two convolutions over a small grid, and one or two dense layers. */
function randomConvolutions(random: Seeded): { architecture: Architecture; stepsPerProof: number } {
  const arithmetic = () => [random.int(1, 12), random.int(0, 2000)] as const;
  const convolution = (): [HiddenLayer, number, number] => [
    { filters: random.int(1, 3), kernel: random.int(1, 2), stride: random.int(1, 2) },
    ...arithmetic(),
  ];
  const shape = [random.int(3, 4), random.int(3, 5), random.int(1, 2)];
  const hidden = random.int(0, 1) === 0 ? [convolution()] : [convolution(), convolution()];
  const units: [HiddenLayer, number, number][] =
    random.int(0, 1) === 0 ? [] : [[random.int(1, 5), ...arithmetic()]];
  return {
    architecture: network(shape, [...hidden, ...units, [random.int(2, 5), ...arithmetic()]]),
    stepsPerProof: random.int(1, 3),
  };
}

/** Steps of which the circuit must accept exactly the reference's actions. */
async function compare(circuit: TestCircuit, spec: CircuitSpec, count: number, seed: number): Promise<void> {
  const random = new Seeded(seed);
  for (let done = 0; done < count; done += spec.stepsPerProof) {
    const policy = randomPolicy(spec.architecture, random);
    const rho = 1n + (BigInt(random.word()) ** 7n % (FIELD_ORDER - 1n));
    const context = BigInt(random.word());
    const prove = (steps: readonly StepStatement[]) =>
      circuit.witness(witnessInput({ spec, policy, rho, context, steps }));
    const steps = randomSteps(policy, spec.stepsPerProof, random);
    const witness = await prove(steps);
    expect(circuit.violated(witness)).toEqual([]);
    const publics = publicInputs({
      spec,
      rho,
      context,
      steps,
      folds: foldVectors(policy, rho),
      traceDigest: traceDigest(
        spec.architecture,
        steps.map((step) => trace(policy, step.observation)),
      ),
    });
    expect(witness.slice(1, 1 + circuit.r1cs.publics)).toEqual(publicSignals(publics));
    const at = random.int(0, steps.length - 1);
    for (let action = 0; action < spec.architecture.actions; action++) {
      if (action === steps[at]!.action) continue;
      const wrong = steps.with(at, { ...steps[at]!, action });
      expect(circuit.violated(await prove(wrong))).not.toEqual([]);
    }
  }
}

describe('the spot-check circuit', () => {
  for (const [index, { title, architecture, stepsPerProof, variant }] of NETWORKS.entries()) {
    it(`accepts exactly the reference’s actions: ${title}`, async () => {
      const spec: CircuitSpec = { architecture, stepsPerProof, variant: variant ?? 'folds' };
      const circuit = await compileCircuit(generateCircuit(spec).source, 'O2');
      await compare(circuit, spec, STEPS, 1000 + index);
    }, 1_800_000);
  }

  it('accepts exactly the reference’s actions: networks drawn at random', async () => {
    const random = new Seeded(77);
    for (let i = 0; i < (process.env.GRAIL_LONG ? 24 : 2); i++) {
      const spec: CircuitSpec = {
        ...(i % 2 === 0 ? randomNetwork(random) : randomConvolutions(random)),
        variant: random.pick(['folds', 'folds', 'digest']),
      };
      const circuit = await compileCircuit(generateCircuit(spec).source, 'O2');
      await compare(circuit, spec, STEPS / 2, random.word());
    }
  }, 1_800_000);

  it('accepts exactly the reference’s actions: 4-32-32-2, eight steps a proof', async () => {
    const spec: CircuitSpec = { architecture: CARTPOLE, stepsPerProof: 8, variant: 'folds' };
    const circuit = await compileCircuit(generateCircuit(spec).source, 'O2');
    await compare(circuit, spec, process.env.GRAIL_LONG ? 160 : 16, 5);
  }, 1_800_000);
});
