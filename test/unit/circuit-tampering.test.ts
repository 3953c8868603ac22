import { beforeAll, describe, expect, it } from 'vitest';
import { type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { foldDigest, foldVectors } from '../../src/proofs/fold.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/poseidon.ts';
import { statementDigest, traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec, StepStatement } from '../../src/proofs/types.ts';
import { layerWidths } from '../../src/proofs/widths.ts';
import { type ProverInput, type WitnessInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit, type TestCircuit } from '../helpers/circuit.ts';
import { honestStep, mlp, randomPolicy, randomSteps, Seeded } from '../helpers/steps.ts';

/**
 * Each test claims one false thing, recomputes all that depends on it as a prover would, and names the only
 * constraints that stand in the way. Constraints are named where nothing is optimised away (O0); the circuit that keys
 * are made for (O2) must refuse the same values.
 */

const ARCHITECTURE = mlp(
  [
    [3, 5, 500],
    [4, 3, 60],
  ],
  2,
);
const SPEC: CircuitSpec = { architecture: ARCHITECTURE, stepsPerProof: 2, variant: 'folds' };
const [FIRST, SECOND] = ARCHITECTURE.layers.map(layerWidths) as [
  ReturnType<typeof layerWidths>,
  ReturnType<typeof layerWidths>,
];

let named: TestCircuit;
let optimised: TestCircuit;
beforeAll(async () => {
  const { source } = generateCircuit(SPEC);
  named = await compileCircuit(source, 'O0');
  optimised = await compileCircuit(source, 'O2');
});

/** A policy and steps of which both hidden activations and logits vary. */
function honest(seed = 3): ProverInput {
  const random = new Seeded(seed);
  const policy: Policy = {
    architecture: ARCHITECTURE,
    layers: ARCHITECTURE.layers.map((layer) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, () => random.int(-20, 20)),
      bias: Int32Array.from({ length: weightRows(layer) }, () => random.int(-layer.biasMax, layer.biasMax)),
    })),
  };
  return {
    spec: SPEC,
    policy,
    rho: 0x1234_5678_9abcn ** 4n,
    context: 99n,
    steps: randomSteps(policy, 2, random),
  };
}

/** Why the circuit refuses these inputs, `none` if it accepts them. O0 and O2 must agree. */
async function verdict(input: WitnessInput): Promise<string[]> {
  const witness = await named.witness(input);
  const refused = optimised.violated(await optimised.witness(input)).length > 0;
  const blame = named.blame(witness);
  expect(refused).toBe(blame.length > 0);
  return blame;
}

/** The same for a whole witness of the named circuit, in which some signals were set by hand. */
function wireVerdict(witness: readonly bigint[]): string[] {
  const moved = optimised.names.map((name) => (name === 'one' ? 1n : witness[named.wires.get(name)!]!));
  const blame = named.blame(witness);
  expect(optimised.violated(moved).length > 0).toBe(blame.length > 0);
  return blame;
}

function at(witness: readonly bigint[], signal: string): bigint {
  return witness[wire(signal)]!;
}

function wire(signal: string): number {
  const index = named.wires.get(signal);
  if (index === undefined) throw new Error(`no signal ${signal}`);
  return index;
}

/** Sets signals of a copy of a witness. */
function set(witness: readonly bigint[], values: Record<string, bigint>): bigint[] {
  const copy = [...witness];
  for (const [signal, value] of Object.entries(values)) copy[wire(signal)] = signedToField(value);
  return copy;
}

/** Inputs with another matrix cell; the statement digest is made to fit, as a cheat's own statement would. */
async function claim(
  input: WitnessInput,
  cells: [
    signal: 'observation' | 'noise' | 'action' | 'accumulators',
    step: number,
    at: number,
    value: bigint,
  ][],
): Promise<WitnessInput> {
  const copy = structuredClone(input) as Record<string, unknown>;
  for (const [signal, step, column, value] of cells) {
    const rows = copy[signal] as (bigint | bigint[])[];
    if (signal === 'action') rows[step] = signedToField(value);
    else (rows[step] as bigint[])[column] = signedToField(value);
  }
  const witness = await named.witness(copy as WitnessInput);
  return { ...(copy as WitnessInput), statementDigest: at(witness, 'digest.out') };
}

function cell(
  input: WitnessInput,
  signal: 'observation' | 'noise' | 'accumulators',
  step: number,
  i: number,
): bigint {
  return (input[signal] as readonly (readonly bigint[])[])[step]![i]!;
}

/** Accumulators of a step of which one was changed, everything after it recomputed by the policy. */
function adaptive(
  policy: Policy,
  observation: Int8Array,
  layer: number,
  row: number,
  by: number,
): Int32Array[] {
  const layers = trace(policy, observation);
  layers[layer]![row]! += by;
  for (let l = layer + 1; l < layers.length; l++) {
    const { shift } = policy.architecture.layers[l - 1]!;
    const x = Array.from(layers[l - 1]!, (y) => Math.min(Math.max((y + 2 ** (shift - 1)) >> shift, 0), 127));
    const { weight, bias } = policy.layers[l]!;
    layers[l] = bias.map((b, i) => x.reduce((sum, value, j) => sum + weight[i * x.length + j]! * value, b));
  }
  return layers;
}

describe('a false claim about a step', () => {
  it('is what each of these tests adds: the honest inputs satisfy every constraint', async () => {
    expect(await verdict(witnessInput(honest()))).toEqual([]);
  });

  it('is refused by the comparison when the action is another', async () => {
    const input = honest();
    const steps = input.steps.map((step) => ({ ...step, action: 1 - step.action }));
    const blame = await verdict(witnessInput({ ...input, steps: [input.steps[0]!, steps[1]!] }));
    expect(blame).toEqual([`argmax[1].margin[${input.steps[1]!.action}]`]);
  });

  it('is refused by the comparison when a tie is given to the higher index', async () => {
    const zero: Policy = {
      architecture: ARCHITECTURE,
      layers: ARCHITECTURE.layers.map((layer) => ({
        weight: new Int8Array(weightCount(layer)),
        bias: new Int32Array(weightRows(layer)),
      })),
    };
    const tie: StepStatement = { observation: Int8Array.of(1, 2, 3), noise: Int32Array.of(7, 7), action: 0 };
    const input = { ...honest(), policy: zero };
    expect(await verdict(witnessInput({ ...input, steps: [tie, tie] }))).toEqual([]);
    expect(await verdict(witnessInput({ ...input, steps: [tie, { ...tie, action: 1 }] }))).toEqual([
      'argmax[1].margin[0]',
    ]);
  });

  it('is refused when no action, or one that does not exist, is taken', async () => {
    const input = await claim(witnessInput(honest()), [['action', 0, 0, 2n]]);
    const blame = await verdict(input);
    expect(blame.filter((component) => !component.startsWith('argmax[0]'))).toEqual([]);
    expect(blame).toContain('argmax[0]');
  });

  for (const [layer, row, by] of [
    [0, 0, 1],
    [0, 3, -1],
    [1, 1, 1],
  ] as const) {
    it(`is refused by the layer's fold when accumulator ${row} of layer ${layer} is off by ${by}`, async () => {
      const input = honest();
      const accumulators = input.steps.map((step) => trace(input.policy, step.observation));
      accumulators[1] = adaptive(input.policy, input.steps[1]!.observation, layer, row, by);
      expect(await verdict(witnessInput({ ...input, accumulators }))).toEqual([`fold[${layer}]`]);
    });
  }

  it('is refused by the fold when errors of two steps would cancel if both had the same weight', async () => {
    const input = honest();
    const accumulators = input.steps.map((step, b) =>
      adaptive(input.policy, step.observation, 1, 0, b === 0 ? 1 : -1),
    );
    expect(await verdict(witnessInput({ ...input, accumulators }))).toEqual(['fold[1]']);
  });

  it('is refused by the bits when an accumulator’s bits are those of y + r', async () => {
    const witness = await named.witness(witnessInput(honest()));
    const packed = at(witness, 'accumulator[0][0].packed');
    const alias = packed + FIELD_ORDER;
    const bits: Record<string, bigint> = {};
    let rest = packed;
    for (let k = 0; k < FIRST.width; k++) {
      // The lower bits of y + r; the top wire takes whatever keeps the sum right, since 2^width < r.
      const bit = k < FIRST.width - 1 ? (alias >> BigInt(k)) & 1n : rest * inverse(2n ** BigInt(k));
      rest -= bit * 2n ** BigInt(k);
      bits[`accumulator[0][0].split.out[${k}]`] = bit;
      bits[`accumulator[0][0].bits[${k}]`] = bit;
    }
    expect(wireVerdict(set(witness, bits))).toContain('accumulator[0][0].split');
  });

  it('is refused by the accumulators’ bits when two neighbours split their element differently', async () => {
    const input = witnessInput(honest());
    const split = await claim(input, [
      ['accumulators', 0, 0, cell(input, 'accumulators', 0, 0) + 2n ** BigInt(FIRST.width)],
      ['accumulators', 0, 1, cell(input, 'accumulators', 0, 1) - 1n],
    ]);
    // The trace digest, hence the statement, is the same: only the range check tells the two apart.
    expect(split.statementDigest).toBe(input.statementDigest);
    expect(await verdict(split)).toContain('accumulator[0][0].split');
  });

  it('is refused by the observations’ bits when two neighbours split their element differently', async () => {
    const input = witnessInput(honest());
    const split = await claim(input, [
      ['observation', 1, 0, cell(input, 'observation', 1, 0) + 256n],
      ['observation', 1, 1, cell(input, 'observation', 1, 1) - 1n],
    ]);
    expect(split.statementDigest).toBe(input.statementDigest);
    expect(await verdict(split)).toContain('observationBits[1][0]');
  });

  it('is refused by the noise’s bits when two neighbours split their element differently', async () => {
    const input = witnessInput(honest());
    const split = await claim(input, [
      ['noise', 0, 0, cell(input, 'noise', 0, 0) - 2n ** 14n],
      ['noise', 0, 1, cell(input, 'noise', 0, 1) + 1n],
    ]);
    expect(split.statementDigest).toBe(input.statementDigest);
    expect(await verdict(split)).toContain('noiseBits[0][0]');
  });

  it('is refused by the requantisation when an activation is off by one', async () => {
    const input = honest();
    const witness = await named.witness(witnessInput(input));
    for (const by of [1n, -1n]) {
      const out = at(witness, 'requantise[0][1].out') + by;
      const u = at(witness, 'fold[1].u[1]');
      const changed = set(witness, {
        'requantise[0][1].out': out,
        'fold[1].x[0][1]': out,
        'fold[1].right[1]': at(witness, 'fold[1].right[1]') + u * by,
      });
      // Give the equation a constant that makes it hold: the activation is then the only false claim.
      const c = at(witness, 'fold[1].c') - u * by * inverse(1n + 2n ** BigInt(SECOND.stride));
      const blame = wireVerdict(set(changed, { 'fold[1].c': c, [`folds[${FIRST.in + 1 + SECOND.in}]`]: c }));
      expect(blame).toEqual(['requantise[0][1]']);
    }
  });

  it('is refused by the observation’s bits when an observation is −128', async () => {
    const input = await claim(witnessInput(honest()), [['observation', 0, 2, -128n]]);
    const blame = await verdict(input);
    expect(blame).toContain('observationBits[0][2]');
    const { steps } = honest();
    const minus128 = { ...steps[0]!, observation: Int8Array.of(0, 0, -128) };
    expect(() =>
      statementDigest({
        architecture: ARCHITECTURE,
        context: 1n,
        traceDigest: 1n,
        steps: [minus128, steps[1]!],
      }),
    ).toThrow(expect.objectContaining({ code: 'INT8_RANGE' }));
  });

  for (const noise of [-4097n, 12_288n]) {
    it(`is refused by the noise's bits when noise is ${noise}`, async () => {
      const input = await claim(witnessInput(honest()), [['noise', 1, 1, noise]]);
      expect(await verdict(input)).toContain('noiseBits[1][1]');
    });
  }
});

describe('a verifier’s own inputs', () => {
  it('refuse a proof of the same steps in another order', async () => {
    const input = honest();
    const [a, b] = input.steps as [StepStatement, StepStatement];
    const swapped = witnessInput({ ...input, steps: [b, a] });
    const expected = witnessInput(input).statementDigest!;
    expect(await verdict({ ...swapped, statementDigest: expected })).toEqual([
      'statementDigest = digest.out',
    ]);
  });

  it('refuse a proof of other steps, another context or another opening', async () => {
    const input = honest();
    const own = witnessInput(input);
    const accumulators = input.steps.map((step) => trace(input.policy, step.observation));
    accumulators[0]![0]![0]! += 1;
    const statement = { architecture: ARCHITECTURE, context: input.context, steps: input.steps };
    const opened = traceDigest(ARCHITECTURE, accumulators);
    const replayed = honestStep(input.policy, Int8Array.of(9, 9, 9), input.steps[0]!.noise);
    const honestTrace = traceDigest(
      ARCHITECTURE,
      input.steps.map((step) => trace(input.policy, step.observation)),
    );
    for (const digest of [
      statementDigest({ ...statement, traceDigest: opened }),
      statementDigest({ ...statement, context: 100n, traceDigest: honestTrace }),
      statementDigest({ ...statement, traceDigest: honestTrace, steps: [replayed, input.steps[1]!] }),
    ]) {
      expect(await verdict({ ...own, statementDigest: digest })).toEqual(['statementDigest = digest.out']);
    }
  });

  it('refuse a proof at another rho', async () => {
    const input = witnessInput(honest());
    expect(await verdict({ ...input, rho: (input.rho as bigint) + 1n })).toEqual(['fold[0]', 'fold[1]']);
  });

  it('refuse a proof of another policy, were it one weight apart', async () => {
    const input = honest();
    const weight = input.policy.layers[1]!.weight.slice();
    weight[5]! += 1;
    const other = {
      ...input.policy,
      layers: [input.policy.layers[0]!, { ...input.policy.layers[1]!, weight }],
    };
    const folds = foldVectors(other, input.rho);
    expect(await verdict({ ...witnessInput(input), folds })).toEqual(['fold[1]']);
  });
});

describe('the variant with a fold digest', () => {
  let digest: TestCircuit;
  const spec: CircuitSpec = { ...SPEC, variant: 'digest' };
  beforeAll(async () => {
    digest = await compileCircuit(generateCircuit(spec).source, 'O0');
  });

  it('refuses the folds of another policy, whether or not their digest is the verifier’s', async () => {
    const input = { ...honest(), spec };
    const own = witnessInput(input);
    expect(digest.blame(await digest.witness(own))).toEqual([]);
    const random = randomPolicy(ARCHITECTURE, new Seeded(8));
    const folds = foldVectors(random, input.rho);
    const witness = await digest.witness({ ...own, folds });
    expect(digest.blame(witness)).toEqual(['check.fold[0]', 'check.fold[1]', 'foldDigest = digest.out']);
    const both = await digest.witness({ ...own, folds, foldDigest: foldDigest(folds) });
    expect(digest.blame(both)).toEqual(['check.fold[0]', 'check.fold[1]']);
  });
});

/** 1 / value mod r, by Fermat. */
function inverse(value: bigint): bigint {
  let result = 1n;
  let base = signedToField(value);
  for (let exponent = FIELD_ORDER - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % FIELD_ORDER;
    base = (base * base) % FIELD_ORDER;
  }
  return result;
}
