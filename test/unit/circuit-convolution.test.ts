import { beforeAll, describe, expect, it } from 'vitest';
import { layerInputs, type Policy } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { foldVectors } from '../../src/proofs/fold.ts';
import { FIELD_ORDER, signedToField } from '../../src/proofs/poseidon.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { type ProverInput, type WitnessInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit, type TestCircuit } from '../helpers/circuit.ts';
import { randomSteps, Seeded } from '../helpers/steps.ts';
import { network } from '../support/architectures.ts';

/**
 * False claims about a convolution, as in circuit-tampering.test.ts: 5 × 5 × 2, a 3 × 3 convolution of four filters whose
 * patches overlap, a dense layer of eight, three actions.
 */
const ARCHITECTURE = network(
  [5, 5, 2],
  [
    [{ filters: 4, kernel: 3, stride: 1 }, 5, 900],
    [8, 5, 300],
    [3, 2, 70],
  ],
);
const POSITIONS = 9;
const ROWS = 4;

function honest(variant: CircuitSpec['variant']): ProverInput {
  const random = new Seeded(21);
  const policy: Policy = {
    architecture: ARCHITECTURE,
    layers: [4 * 18, 8 * 36, 3 * 8].map((weights, index) => ({
      weight: Int8Array.from({ length: weights }, () => random.int(-20, 20)),
      bias: Int32Array.from({ length: [4, 8, 3][index]! }, () => random.int(-70, 70)),
    })),
  };
  return {
    spec: { architecture: ARCHITECTURE, stepsPerProof: 2, variant },
    policy,
    rho: 0x1234_5678_9abcn ** 4n,
    context: 99n,
    steps: randomSteps(policy, 2, random),
  };
}

/** The accumulators of a step when the convolution's are these, everything after them computed by the policy. */
function adaptive({ architecture, layers }: Policy, first: Int32Array): Int32Array[] {
  const { shift } = architecture.layers[0]!;
  const x = Int8Array.from(first, (y) => Math.min(Math.max((y + 2 ** (shift - 1)) >> shift, 0), 127));
  const rest = architecture.layers.slice(1);
  const tail: Policy = {
    architecture: { ...architecture, observation: layerInputs(rest[0]!), layers: rest },
    layers: layers.slice(1),
  };
  return [first, ...trace(tail, x)];
}

describe.each(['folds', 'digest'] as const)('the circuit of a convolution, variant %s', (variant) => {
  const input = honest(variant);
  const spotCheck = variant === 'folds' ? '' : 'check.';
  let named: TestCircuit;
  let optimised: TestCircuit;
  beforeAll(async () => {
    const { source } = generateCircuit(input.spec);
    named = await compileCircuit(source, 'O0');
    optimised = await compileCircuit(source, 'O2');
  }, 300_000);

  /** Why the circuit refuses these inputs, none if it accepts them. O0 and O2 must agree. */
  async function verdict(inputs: WitnessInput): Promise<string[]> {
    const blame = named.blame(await named.witness(inputs));
    expect(optimised.violated(await optimised.witness(inputs)).length > 0).toBe(blame.length > 0);
    return blame;
  }

  /** The verdict when step 1 claims other accumulators of the convolution. */
  function claimed(change: (y: Int32Array) => Int32Array): Promise<string[]> {
    const accumulators = input.steps.map(({ observation }) => trace(input.policy, observation));
    accumulators[1] = adaptive(input.policy, change(accumulators[1]![0]!));
    return verdict(witnessInput({ ...input, accumulators }));
  }

  it('accepts the oracle’s accumulators', async () => {
    expect(await verdict(witnessInput(input))).toEqual([]);
    expect(await claimed((y) => y)).toEqual([]);
  });

  it('refuses an accumulator that is off by one at any position', async () => {
    for (let p = 0; p < POSITIONS; p++) {
      const at = p * ROWS + (p % ROWS);
      const off = p % 2 === 0 ? 1 : -1;
      const blame = await claimed((y) => y.with(at, y[at]! + off));
      // Where the change leads to another action too, the comparison agrees with the fold.
      expect(blame.filter((component) => !component.includes('argmax'))).toEqual([`${spotCheck}fold[0]`]);
    }
  });

  it('refuses errors of two positions that would cancel if both had the same weight', async () => {
    const blame = await claimed((y) => y.with(0, y[0]! + 1).with(ROWS, y[ROWS]! - 1));
    expect(blame).toContain(`${spotCheck}fold[0]`);
  });

  it('refuses the accumulators of another position', async () => {
    const blame = await claimed((y) => y.map((_, i) => y[(i + ROWS) % y.length]!));
    expect(blame).toContain(`${spotCheck}fold[0]`);
  });

  it('refuses another action', async () => {
    const steps = input.steps.with(1, { ...input.steps[1]!, action: (input.steps[1]!.action + 1) % 3 });
    const blame = await verdict(witnessInput({ ...input, steps }));
    expect(blame).toContain(`${spotCheck}argmax[1].margin[${input.steps[1]!.action}]`);
    expect(blame.filter((component) => !component.startsWith(`${spotCheck}argmax[1].margin`))).toEqual([]);
  });

  it('refuses another policy’s folds, were it one weight of the kernel apart', async () => {
    const [first, ...rest] = input.policy.layers;
    const weight = first!.weight.with(7, first!.weight[7]! + 1);
    const folds = foldVectors({ ...input.policy, layers: [{ ...first!, weight }, ...rest] }, input.rho);
    const blame = await verdict({ ...witnessInput(input), folds });
    expect(blame[0]).toBe(`${spotCheck}fold[0]`);
  });

  it('refuses an activation of the convolution that is not its requantised accumulator', async () => {
    const own = witnessInput(input);
    const witness = await named.witness(own);
    const wire = (signal: string) => named.wires.get(`${spotCheck}${signal}`)!;
    // An activation of the last position, and the product in the next layer's fold that it enters.
    const i = (POSITIONS - 1) * ROWS;
    const changed = [...witness];
    changed[wire(`requantise[0][${i}].out`)]! += 1n;
    changed[wire(`fold[1].x[0][${i}]`)]! += 1n;
    const product = wire(`fold[1].right[${i}]`);
    changed[product] = (changed[product]! + witness[wire(`fold[1].u[${i}]`)]!) % FIELD_ORDER;
    const blame = named.blame(changed.map(signedToField));
    expect(blame).toEqual([`${spotCheck}fold[1]`, `${spotCheck}requantise[0][${i}]`]);
  });
});
