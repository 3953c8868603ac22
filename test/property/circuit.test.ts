import { describe, expect, it } from 'vitest';
import {
  type Architecture,
  type HiddenLayer,
  layerOutputs,
  type Policy,
  weightCount,
  weightRows,
} from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import { foldPolicy } from '../../src/proofs/fold.ts';
import { traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec, StepStatement } from '../../src/proofs/types.ts';
import { circuitLayout, NOISE_MAX, NOISE_MIN } from '../../src/proofs/widths.ts';
import { publicInputs, publicSignals, witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit, type TestCircuit } from '../helpers/circuit.ts';
import { adaptiveTrace, shifted } from '../helpers/claims.ts';
import { CARTPOLE, honestStep, mlp, randomPolicy, randomSteps, Seeded, SMALL_MLP } from '../helpers/steps.ts';
import { network, SMALL_CONVOLUTIONS } from '../support/architectures.ts';

/** Steps of each network that are proven; every other action of them is tried as well. */
const STEPS = process.env.GRAIL_LONG ? 200 : 18;

/** What the circuit said of all steps, against the reference. */
const counted = { steps: 0, claims: 0, falseRejects: 0, falseAccepts: 0 };

const NETWORKS: { title: string; architecture: Architecture; stepsPerProof: number; variant?: 'digest' }[] = [
  {
    title: '3-4-2',
    architecture: SMALL_MLP,
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
    architecture: SMALL_MLP,
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
  {
    title: 'one layer with the fold digest, which is that of no elements',
    architecture: mlp([[5, 1, 1000]], 3),
    stepsPerProof: 2,
    variant: 'digest',
  },
  {
    title: 'the widest accumulators, the largest biases and shifts',
    architecture: mlp(
      [
        [1024, 17, 131_072],
        [2, 17, 131_072],
      ],
      2,
    ),
    stepsPerProof: 2,
  },
  { title: 'as many steps as one equation covers', architecture: mlp([[2, 4, 77]], 2), stepsPerProof: 14 },
  {
    title: 'one layer, and one step more than one equation covers',
    architecture: mlp([[2, 4, 77]], 2),
    stepsPerProof: 15,
  },
  {
    title: 'one step more than one equation covers',
    architecture: mlp(
      [
        [2, 4, 77],
        [2, 2, 9],
      ],
      2,
    ),
    stepsPerProof: 15,
  },
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

/** Proves steps by the policy, then false claims about one of them, and counts where circuit and reference differ. */
async function differ(
  circuit: TestCircuit,
  spec: CircuitSpec,
  policy: Policy,
  steps: readonly StepStatement[],
  random: Seeded,
): Promise<void> {
  const { architecture } = spec;
  const rho = 1n + (BigInt(random.word()) ** 7n % (FIELD_ORDER - 1n));
  const context = BigInt(random.word());
  const refused = async (claimed: readonly StepStatement[], accumulators?: readonly Int32Array[][]) => {
    const given = accumulators === undefined ? {} : { accumulators };
    const witness = await circuit.witness(
      witnessInput({ spec, policy, rho, context, steps: claimed, ...given }),
    );
    return { witness, refused: circuit.violated(witness).length > 0 };
  };
  const accumulators = steps.map((step) => trace(policy, step.observation));
  const honest = await refused(steps);
  counted.steps += steps.length;
  if (honest.refused) counted.falseRejects += 1;
  const publics = publicInputs({
    spec,
    rho,
    context,
    steps,
    folds: foldPolicy(policy, rho),
    traceDigest: traceDigest(architecture, accumulators),
  });
  expect(honest.witness.slice(1, 1 + circuit.r1cs.publics)).toEqual(publicSignals(publics));

  const at = random.int(0, steps.length - 1);
  const step = steps[at]!;
  for (let action = 0; action < architecture.actions; action++) {
    if (action === step.action) continue;
    counted.claims += 1;
    if (!(await refused(steps.with(at, { ...step, action }))).refused) counted.falseAccepts += 1;
  }
  // An accumulator that is off by one, and everything after it by the policy.
  const layer = random.int(0, architecture.layers.length - 1);
  const row = random.int(0, layerOutputs(architecture.layers[layer]!) - 1);
  const off = adaptiveTrace(policy, step.observation, shifted([layer, row, random.pick([-1, 1])]));
  counted.claims += 1;
  if (!(await refused(steps, accumulators.with(at, off))).refused) counted.falseAccepts += 1;
}

/** Random policies and steps. */
async function compare(circuit: TestCircuit, spec: CircuitSpec, count: number, seed: number): Promise<void> {
  const random = new Seeded(seed);
  for (let done = 0; done < count; done += spec.stepsPerProof) {
    const policy = randomPolicy(spec.architecture, random);
    await differ(circuit, spec, policy, randomSteps(policy, spec.stepsPerProof, random), random);
  }
  expect(counted).toMatchObject({ falseRejects: 0, falseAccepts: 0 });
}

function tensors(
  architecture: Architecture,
  weight: (layer: number, at: number) => number,
  bias: (layer: number, row: number) => number,
): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer, index) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, (_, at) => weight(index, at)),
      bias: Int32Array.from({ length: weightRows(layer) }, (_, row) => bias(index, row)),
    })),
  };
}

/** Where arithmetic has its edges; every list of steps is filled up to a proof with its own first one. */
function edges(architecture: Architecture): { title: string; policy: Policy; steps: StepStatement[] }[] {
  const { observation, actions, layers } = architecture;
  const last = layers.length - 1;
  const { shift, biasMax } = layers[last]!;
  const biggest = (layer: number) => layers[layer]!.biasMax;
  const x = (value: number | ((j: number) => number)) =>
    Int8Array.from({ length: observation }, (_, j) => (typeof value === 'number' ? value : value(j)));
  const noise = (value: number | ((i: number) => number)) =>
    Int32Array.from({ length: actions }, (_, i) => (typeof value === 'number' ? value : value(i)));
  const made = (policy: Policy, ...steps: [Int8Array, Int32Array][]) => ({
    policy,
    steps: steps.map(([seen, gumbel]) => honestStep(policy, seen, gumbel)),
  });
  const zero = tensors(
    architecture,
    () => 0,
    () => 0,
  );
  // Logits that biases alone decide: one more for every other action, where biasMax has room for it.
  const unit = Math.min(2 ** shift, biasMax);
  const apart = tensors(
    architecture,
    () => 0,
    (layer, row) => (layer === last && row % 2 === 1 ? unit : 0),
  );
  const largest = tensors(architecture, () => 127, biggest);
  const smallest = tensors(
    architecture,
    () => -127,
    (layer) => -biggest(layer),
  );
  const mixed = tensors(
    architecture,
    (layer, at) => ((at + layer) % 2 === 0 ? 127 : -127),
    (layer, row) => (row % 2 === 0 ? biggest(layer) : -biggest(layer)),
  );
  const oneRow = tensors(
    architecture,
    (layer, at) => (at < weightCount(layers[layer]!) / weightRows(layers[layer]!) ? 127 : 0),
    () => 0,
  );
  const halves = tensors(
    architecture,
    () => 0,
    (layer, row) =>
      Math.max(-biggest(layer), Math.min(biggest(layer), (row - 1) * 2 ** (layers[layer]!.shift - 1))),
  );
  return [
    {
      title: 'ties of all',
      ...made(zero, [x(0), noise(0)], [x(127), noise(NOISE_MAX)], [x(-127), noise(NOISE_MIN)]),
    },
    {
      title: 'ties of some',
      ...made(
        zero,
        [x(5), noise((i) => (i === 0 ? -1 : 0))],
        [x(5), noise((i) => (i === actions - 1 ? 7 : i % 2) + 1)],
      ),
    },
    {
      title: 'logits one apart that noise makes equal',
      ...made(
        apart,
        [x(1), noise((i) => (i % 2 === 1 ? 3 : 4))],
        [x(1), noise((i) => (i % 2 === 1 ? 4 : 3))],
        [x(1), noise((i) => (i % 2 === 1 ? 3 : 5))],
      ),
    },
    {
      title: 'largest accumulators, saturated',
      ...made(largest, [x(127), noise(NOISE_MAX)], [x(-127), noise(0)]),
    },
    {
      title: 'smallest accumulators, all zero after',
      ...made(smallest, [x(127), noise(NOISE_MIN)], [x(-127), noise(0)]),
    },
    {
      title: 'bounds of both signs',
      ...made(
        mixed,
        [x((j) => (j % 2 === 0 ? 127 : -127)), noise((i) => (i % 2 === 0 ? NOISE_MIN : NOISE_MAX))],
        [x((j) => (j % 2 === 0 ? -127 : 127)), noise((i) => (i % 2 === 0 ? NOISE_MAX : NOISE_MIN))],
      ),
    },
    { title: 'zero rows', ...made(oneRow, [x(127), noise(1)], [x(-127), noise(1)], [x(0), noise(1)]) },
    { title: 'values at the rounding’s halves', ...made(halves, [x(0), noise(0)]) },
  ];
}

describe('the spot-check circuit', () => {
  for (const [index, { title, architecture, stepsPerProof, variant }] of NETWORKS.entries()) {
    it(`accepts exactly the reference’s actions, edges included: ${title}`, async () => {
      const spec: CircuitSpec = { architecture, stepsPerProof, variant: variant ?? 'folds' };
      if (title.endsWith('equation covers')) {
        expect(circuitLayout(spec)).toMatchObject({ folded: 14, equations: stepsPerProof - 13 });
      }
      const circuit = await compileCircuit(generateCircuit(spec).source, 'O2');
      await compare(circuit, spec, STEPS, 1000 + index);
      const random = new Seeded(index);
      for (const { title: edge, policy, steps } of edges(architecture)) {
        for (let from = 0; from < steps.length; from += stepsPerProof) {
          const filled = Array.from({ length: stepsPerProof }, (_, b) => steps[from + b] ?? steps[0]!);
          await differ(circuit, spec, policy, filled, random);
        }
        expect({ edge, ...counted }).toMatchObject({ edge, falseRejects: 0, falseAccepts: 0 });
      }
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

  it('rejected no true step of all these, and accepted no false one', () => {
    console.log(`circuit against reference: ${JSON.stringify(counted)}`);
    expect(counted).toMatchObject({ falseRejects: 0, falseAccepts: 0 });
    expect(counted.steps).toBeGreaterThanOrEqual(process.env.GRAIL_LONG ? 2000 : 300);
    expect(counted.claims).toBeGreaterThan(counted.steps / 2);
  });
});
