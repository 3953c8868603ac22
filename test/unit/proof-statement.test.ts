import { describe, expect, it } from 'vitest';
import { trace } from '../../src/policy/forward.ts';
import { assertSound, generateCircuit } from '../../src/proofs/circuit.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/fields.ts';
import { foldDigest, foldObservations, foldPolicy, rhoFrom } from '../../src/proofs/fold.ts';
import { sponge, spongeDomain } from '../../src/proofs/poseidon.ts';
import { contextElement, statementDigest, traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout, layerWidths, packFields } from '../../src/proofs/widths.ts';
import { publicInputs, publicSignals, witnessInput } from '../../src/proofs/witness-input.ts';
import { CARTPOLE, mlp, randomPolicy, randomSteps, Seeded, SMALL_MLP } from '../helpers/steps.ts';

const ARCHITECTURE = SMALL_MLP;
const code = (value: string) => expect.objectContaining({ code: value });

function fill(byte: number, length = 32): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

const CONTEXT = {
  genesisHash: fill(1),
  policyRoot: fill(2),
  window: 3,
  miner: fill(4, 20),
  part: 5,
  challenges: [
    { slot: 6, step: 7 },
    { slot: 8, step: 9 },
  ],
  observations: [Int8Array.of(1, -2), Int8Array.of(3, -127)],
};

describe('the context element', () => {
  it('changes with every part of where the steps stand', () => {
    const variants = [
      CONTEXT,
      { ...CONTEXT, genesisHash: fill(9) },
      { ...CONTEXT, policyRoot: fill(9) },
      { ...CONTEXT, window: 4 },
      { ...CONTEXT, miner: fill(9, 20) },
      { ...CONTEXT, part: 6 },
      { ...CONTEXT, challenges: [CONTEXT.challenges[0]!, { slot: 8, step: 10 }] },
      { ...CONTEXT, challenges: [CONTEXT.challenges[0]!, { slot: 9, step: 9 }] },
      { ...CONTEXT, challenges: [...CONTEXT.challenges].reverse() },
      { ...CONTEXT, challenges: [CONTEXT.challenges[0]!], observations: [CONTEXT.observations[0]!] },
      { ...CONTEXT, observations: [Int8Array.of(1, -2), Int8Array.of(3, 127)] },
      { ...CONTEXT, observations: [...CONTEXT.observations].reverse() },
    ];
    const elements = variants.map(contextElement);
    expect(new Set(elements).size).toBe(variants.length);
    expect(elements.every((element) => element >= 0n && element < FIELD_ORDER)).toBe(true);
  });

  it('takes no hash or address of another length', () => {
    expect(() => contextElement({ ...CONTEXT, miner: fill(4, 32) })).toThrow(RangeError);
    expect(() => contextElement({ ...CONTEXT, policyRoot: fill(4, 31) })).toThrow(RangeError);
  });

  it('takes an observation for each challenge, all of one length', () => {
    const [first] = CONTEXT.observations as [Int8Array];
    for (const observations of [[first], [first, Int8Array.of(1)], []]) {
      expect(() => contextElement({ ...CONTEXT, observations })).toThrow(RangeError);
    }
  });
});

describe('the digests of a proof', () => {
  const random = new Seeded(12);
  const policy = randomPolicy(ARCHITECTURE, random);
  const steps = randomSteps(policy, 2, random);
  const accumulators = () => steps.map((step) => trace(policy, step.observation));
  const statement = {
    architecture: ARCHITECTURE,
    context: 1n,
    traceDigest: 2n,
    observationFolds: [4n],
    steps,
  };

  it('change with any accumulator of any step', () => {
    const digests = new Set([traceDigest(ARCHITECTURE, accumulators())]);
    for (let step = 0; step < 2; step++) {
      for (const [layer, { length }] of accumulators()[step]!.entries()) {
        for (let row = 0; row < length; row++) {
          const changed = accumulators();
          changed[step]![layer]![row]! += 1;
          digests.add(traceDigest(ARCHITECTURE, changed));
        }
      }
    }
    expect(digests.size).toBe(13);
  });

  it('exist for the extreme accumulators of a layer, and for none beyond its width', () => {
    const { width, offset } = layerWidths(ARCHITECTURE.layers[1]!);
    for (const [value, inside] of [
      [-offset, true],
      [2 ** width - offset - 1, true],
      [-offset - 1, false],
      [2 ** width - offset, false],
    ] as const) {
      const changed = accumulators();
      changed[1]![1]![1] = value;
      const digest = () => traceDigest(ARCHITECTURE, changed);
      if (inside) expect(digest).not.toThrow();
      else expect(digest).toThrow(code('WITNESS_FAILED'));
    }
  });

  it('change with every value that a step states', () => {
    const [a, b] = [steps[0]!, steps[1]!];
    const g = a.noise.slice();
    g[1] = g[1]! === 12_066 ? 12_065 : g[1]! + 1;
    const variants = [
      statement,
      { ...statement, context: 2n },
      { ...statement, traceDigest: 3n },
      { ...statement, observationFolds: [5n] },
      { ...statement, steps: [{ ...a, noise: g }, b] },
      { ...statement, steps: [{ ...a, action: 1 - a.action }, b] },
      { ...statement, steps: [b, a] },
      { ...statement, steps: [a] },
    ];
    expect(new Set(variants.map(statementDigest)).size).toBe(variants.length);
  });

  it('state no −128, no noise outside 14 bits and no action that does not exist', () => {
    const a = steps[0]!;
    const state = (change: object) => () => statementDigest({ ...statement, steps: [{ ...a, ...change }] });
    const fold = (observation: Int8Array) => () =>
      foldObservations(ARCHITECTURE, foldPolicy(policy, 5n), [observation]);
    expect(fold(Int8Array.of(-127, 0, 127))).not.toThrow();
    expect(fold(Int8Array.of(-128, 0, 0))).toThrow(code('INT8_RANGE'));
    expect(fold(Int8Array.of(1, 2))).toThrow(code('WITNESS_FAILED'));
    expect(state({ noise: Int32Array.of(-4097, 0) })).toThrow(code('WITNESS_FAILED'));
    expect(state({ noise: Int32Array.of(0, 12_288) })).toThrow(code('WITNESS_FAILED'));
    expect(state({ action: 2 })).toThrow(code('WITNESS_FAILED'));
    expect(state({ action: -1 })).toThrow(code('WITNESS_FAILED'));
  });

  it('take an observation fold for each fold equation', () => {
    expect(() => statementDigest({ ...statement, observationFolds: [] })).toThrow(RangeError);
    expect(() => statementDigest({ ...statement, observationFolds: [1n, 2n] })).toThrow(RangeError);
  });

  it('reject an opening that is not a field element', () => {
    expect(() => statementDigest({ ...statement, traceDigest: FIELD_ORDER })).toThrow(RangeError);
  });
});

describe('packing', () => {
  it('puts fields into 252 bits, lowest first, and begins another element where one does not fit', () => {
    const widths = [18, 234, 20, 232, 1];
    const elements = packFields([5, 1, 7, 0, 1], widths);
    expect(elements).toEqual([5n + (1n << 18n), 7n, 1n]);
  });
});

describe('a sponge', () => {
  it('starts from another constant for each name and each number of elements', () => {
    const domains = (['trace', 'statement', 'fold'] as const).flatMap((name) =>
      [1, 2, 15, 16].map((n) => spongeDomain(name, n)),
    );
    expect(new Set(domains).size).toBe(12);
  });

  it('takes field elements only', () => {
    expect(() => sponge(0n, [FIELD_ORDER])).toThrow(RangeError);
    expect(() => sponge(0n, [-1n])).toThrow(RangeError);
  });

  it('of no elements is its domain', () => {
    expect(sponge(7n, [])).toBe(7n);
  });

  it('absorbs sixteen elements a block', () => {
    const elements = Array.from({ length: 17 }, (_, i) => BigInt(i));
    expect(sponge(7n, elements)).toBe(sponge(sponge(7n, elements.slice(0, 16)), [16n]));
  });
});

describe('fold vectors', () => {
  it('are made of weights and biases within the architecture’s ranges only', () => {
    const policy = randomPolicy(ARCHITECTURE, new Seeded(1));
    const [first, second] = policy.layers;
    const { biasMax } = ARCHITECTURE.layers[0]!;
    for (const change of [
      { weight: first!.weight.with(2, -128) },
      { bias: first!.bias.with(1, biasMax + 1) },
      { bias: first!.bias.with(1, -biasMax - 1) },
      { bias: first!.bias.slice(1) },
    ]) {
      const wrong = { ...policy, layers: [{ ...first!, ...change }, second!] };
      expect(() => foldPolicy(wrong, 3n)).toThrow(code('POLICY_INVALID'));
    }
  });

  it('satisfy Freivalds’ identity over all layers of honest steps', () => {
    const random = new Seeded(31);
    for (let i = 0; i < 20; i++) {
      const policy = randomPolicy(CARTPOLE, random);
      const rho = BigInt(random.word()) ** 7n;
      const folds = foldPolicy(policy, rho);
      const [step] = randomSteps(policy, 1, random);
      const layers = trace(policy, step!.observation);
      let left = 0n;
      let power = 1n;
      for (const y of layers.flatMap((rows) => [...rows])) {
        power = (power * rho) % FIELD_ORDER;
        left += power * BigInt(y);
      }
      const activations = layers.slice(0, -1).flatMap((rows, l) => {
        const { shift } = CARTPOLE.layers[l]!;
        return [...rows].map((y) => Math.min(Math.max(Math.floor(y / 2 ** shift + 0.5), 0), 127));
      });
      expect(folds.circuit).toHaveLength(activations.length);
      const right = activations.reduce((sum, x, j) => sum + folds.circuit[j]! * BigInt(x), 0n);
      const [known] = foldObservations(CARTPOLE, folds, [step!.observation]);
      expect(signedToField(left - right)).toBe(known);
    }
  });

  it('need a rho that is neither zero nor beyond the field', () => {
    const policy = randomPolicy(ARCHITECTURE, new Seeded(1));
    for (const rho of [0n, FIELD_ORDER, -1n]) expect(() => foldPolicy(policy, rho)).toThrow(RangeError);
  });

  it('have a digest that changes with each of them', () => {
    const policy = randomPolicy(ARCHITECTURE, new Seeded(1));
    const folds = foldPolicy(policy, 12_345n);
    const { circuit } = folds;
    const digests = circuit.map((value, i) => foldDigest({ ...folds, circuit: circuit.with(i, value + 1n) }));
    expect(new Set([foldDigest(folds), ...digests]).size).toBe(circuit.length + 1);
  });
});

describe('rho', () => {
  it('is a non-zero field element that changes with everything it is derived from', () => {
    const input = {
      genesisHash: fill(1),
      window: 2,
      policyRoot: fill(3),
      challengeSeed: fill(4),
      openingsRoot: fill(5),
    };
    const values = [
      input,
      { ...input, genesisHash: fill(9) },
      { ...input, window: 3 },
      { ...input, policyRoot: fill(9) },
      { ...input, challengeSeed: fill(9) },
      { ...input, openingsRoot: fill(9) },
    ].map(rhoFrom);
    expect(new Set(values).size).toBe(values.length);
    expect(values.every((rho) => rho > 0n && rho < FIELD_ORDER)).toBe(true);
  });
});

describe('the inputs of a proof', () => {
  const random = new Seeded(2);
  const policy = randomPolicy(ARCHITECTURE, random);
  const steps = randomSteps(policy, 2, random);

  it('are the statement, rho and the fold vectors, or their digest alone, in that order', () => {
    for (const variant of ['folds', 'digest'] as const) {
      const spec: CircuitSpec = { architecture: ARCHITECTURE, stepsPerProof: 2, variant };
      const folds = foldPolicy(policy, 77n);
      const inputs = publicInputs({ spec, rho: 77n, folds, context: 1n, traceDigest: 2n, steps });
      const signals = publicSignals(inputs);
      expect(signals).toHaveLength(generateCircuit(spec).publicCount);
      expect(signals.slice(0, 2)).toEqual([inputs.statementDigest, 77n]);
      expect(signals.slice(2)).toEqual(variant === 'folds' ? folds.circuit : [foldDigest(folds)]);
    }
  });

  it('are made for the circuit’s number of steps only', () => {
    const spec: CircuitSpec = { architecture: ARCHITECTURE, stepsPerProof: 3, variant: 'folds' };
    expect(() => witnessInput({ spec, policy, rho: 1n, context: 1n, steps })).toThrow(code('WITNESS_FAILED'));
  });
});

describe('the circuit generator', () => {
  const spec: CircuitSpec = { architecture: ARCHITECTURE, stepsPerProof: 2, variant: 'folds' };

  it('gives the same text for the same specification, and another name for each other one', () => {
    expect(generateCircuit(structuredClone(spec))).toEqual(generateCircuit(spec));
    const names = [
      spec,
      { ...spec, stepsPerProof: 3 },
      { ...spec, variant: 'digest' as const },
      {
        ...spec,
        architecture: mlp(
          [
            [3, 5, 501],
            [4, 3, 60],
          ],
          2,
        ),
      },
    ].map((other) => generateCircuit(other).name);
    expect(new Set(names).size).toBe(4);
  });

  it('refuses an architecture whose accumulators can reach 2^24, and a proof of no steps', () => {
    const wide = mlp([[1024, 17, 131_072]], 2);
    const beyond = { ...wide, layers: [{ ...wide.layers[0]!, biasMax: 2 ** 18 }] };
    expect(() => generateCircuit({ ...spec, architecture: beyond })).toThrow(code('CIRCUIT_UNSOUND'));
    expect(() => generateCircuit({ ...spec, stepsPerProof: 0 })).toThrow(code('CIRCUIT_UNSOUND'));
  });

  it('refuses a layout that breaks a rule of widths', () => {
    const layout = circuitLayout(spec);
    const [first, second] = layout.layers;
    const layer = (change: object) => ({ layers: [{ ...first!, ...change }, second!] });
    expect(() => assertSound(layout, 2)).not.toThrow();
    for (const change of [
      layer({ width: first!.width - 1 }),
      layer({ offset: first!.offset + 1 }),
      { stride: first!.width - 1 },
      { folded: 0 },
    ]) {
      expect(() => assertSound({ ...layout, ...change }, 2)).toThrow(code('CIRCUIT_UNSOUND'));
    }
  });

  it('takes nothing from its caller but how steps are folded: all other numbers are the specification’s', () => {
    const layout = circuitLayout(spec);
    const misleading = { ...layout, compareBits: 1, actionBits: 0, layers: [], traceElements: 7 };
    expect(generateCircuit(spec, misleading)).toEqual(generateCircuit(spec));
  });
});
