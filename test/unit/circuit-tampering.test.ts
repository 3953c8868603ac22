import { beforeAll, describe, expect, it } from 'vitest';
import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout } from '../../src/proofs/widths.ts';
import { type ProverInput, type WitnessInput, witnessInput } from '../../src/proofs/witness-input.ts';
import type { TemplateEdit } from '../helpers/circuit.ts';
import { CircuitPair } from '../helpers/circuit-pair.ts';
import {
  adaptiveTrace,
  CLAIM_SPEC,
  claimAccumulators,
  honestAccumulators,
  honestProver,
  moved,
  requantised,
  shifted,
} from '../helpers/claims.ts';
import { mlp } from '../helpers/steps.ts';

/**
 * Each test claims one false thing about accumulators or noise, recomputes all that depends on it as a prover would, and
 * names the only constraints that stand in the way. Constraints are named where nothing is optimised away (O0); the
 * circuit that keys are made for (O2) must refuse the same values.
 */

const { layers, folded } = circuitLayout(CLAIM_SPEC);
const [{ width }] = layers as [(typeof layers)[number]];
const LAST = layers.length - 1;
/** The fold equation by its two sides. */
const FOLD = 'fold[0].out = observationFolds[0]';

let pair: CircuitPair;
let input: ProverInput;
beforeAll(async () => {
  pair = await CircuitPair.compile(CLAIM_SPEC);
  input = honestProver(CLAIM_SPEC);
});

/** The verdict when step `step` claims accumulators with errors, everything after them computed by the policy. */
function falseAccumulators(
  errors: readonly [layer: number, row: number, by: number][],
  prover = input,
): Promise<string[]> {
  const accumulators = honestAccumulators(prover);
  accumulators[1] = adaptiveTrace(prover.policy, prover.steps[1]!.observation, shifted(...errors));
  return pair.verdict(claimAccumulators(prover, accumulators));
}

/** The same inputs with another matrix, and the statement digest that a cheat's own statement would have. */
async function stated(signal: 'noise' | 'accumulators', rows: bigint[][]): Promise<WitnessInput> {
  const changed = { ...witnessInput(input), [signal]: field(rows) };
  return { ...changed, statementDigest: pair.at(await pair.named.witness(changed), 'digest.out') };
}

function field(rows: bigint[][]): bigint[][] {
  return rows.map((row) => row.map((value) => ((value % FIELD_ORDER) + FIELD_ORDER) % FIELD_ORDER));
}

it('accepts what each of these tests changes: the honest inputs', async () => {
  expect(await pair.verdict(witnessInput(input))).toEqual([]);
  expect(await falseAccumulators([])).toEqual([]);
});

describe('the fold equation', () => {
  it('refuses any accumulator of any layer that is off by one', async () => {
    for (const [layer, { out }] of layers.entries()) {
      for (let row = 0; row < out; row++) {
        expect(await falseAccumulators([[layer, row, row % 2 === 0 ? 1 : -1]])).toEqual([FOLD]);
      }
    }
  });

  it('refuses errors of two rows, of two layers and of neighbours across a layer’s end that equal weights would cancel', async () => {
    const last = layers[0]!.out - 1;
    for (const errors of [
      [
        [0, 0, 1],
        [0, 1, -1],
      ],
      [
        [0, 2, 1],
        [LAST, 2, -1],
      ],
      [
        [0, last, 1],
        [1, 0, -1],
      ],
    ] as [number, number, number][][]) {
      expect(await falseAccumulators(errors)).toEqual([FOLD]);
      // At rho = 1 all weights are equal, and the same claim passes: only the powers tell the errors apart.
      expect(await falseAccumulators(errors, { ...input, rho: 1n })).toEqual([]);
    }
  });

  it('refuses errors of two steps that would cancel if both had the same weight', async () => {
    const accumulators = input.steps.map(({ observation }, b) =>
      adaptiveTrace(input.policy, observation, shifted([1, 0, b === 0 ? 1 : -1])),
    );
    expect(await pair.verdict(claimAccumulators(input, accumulators))).toEqual([FOLD]);
  });

  it('refuses an error of one step against 2^stride times it in the step before', async () => {
    // The only small errors of two steps that one weight would cancel; the step before has no room for it.
    expect(width).toBeLessThan(circuitLayout(CLAIM_SPEC).stride);
    const big = 2n ** BigInt(circuitLayout(CLAIM_SPEC).stride);
    const cells = moved(witnessInput(input).accumulators!, [1, 0, 1n], [0, 0, -big]);
    const blame = await pair.verdict(await stated('accumulators', cells));
    // The equation itself does not see it at the last layer of a network, whose accumulators feed nothing else.
    const hidden = layers.slice(0, LAST).reduce((sum, layer) => sum + layer.out, 0);
    const logits = moved(witnessInput(input).accumulators!, [1, hidden, 1n], [0, hidden, -big]);
    const unseen = await pair.verdict(await stated('accumulators', logits));
    expect(blame).toContain('accumulator[0][0].split');
    expect(unseen).toContain(`accumulator[0][${hidden}].split`);
    expect(unseen).not.toContain(FOLD);
  });

  it('refuses accumulators of layers that change places', async () => {
    const accumulators = honestAccumulators(input).map(([first, second, ...rest]) => [
      second!,
      first!,
      ...rest,
    ]);
    expect(await pair.verdict(claimAccumulators(input, accumulators))).toEqual([FOLD]);
  });

  it('refuses accumulators of steps that change places, and those of another step in both', async () => {
    const [a, b] = honestAccumulators(input) as [Int32Array[], Int32Array[]];
    for (const accumulators of [
      [b, a],
      [a, a],
    ]) {
      expect(await pair.verdict(claimAccumulators(input, accumulators))).toEqual([FOLD]);
    }
  });

  it('covers both steps here', () => {
    expect(folded).toBeGreaterThanOrEqual(CLAIM_SPEC.stepsPerProof);
  });
});

describe('the range of an accumulator', () => {
  /** Num2Bits with another hint: the same constraints. */
  const bitsOf = (hint: string): TemplateEdit[] => [
    {
      file: 'accumulator.circom',
      from: 'component split = Num2Bits(width);',
      to: 'component split = Forged(width, shift);',
    },
    {
      file: 'accumulator.circom',
      from: 'template Accumulator(',
      to: `template Forged(n, shift) {
    signal input in;
    signal output out[n];
    var lc1 = 0;
    var e2 = 1;
    var rest = in;
    for (var i = 0; i < n; i++) {
        ${hint}
        out[i] * (out[i] - 1) === 0;
        lc1 += out[i] * e2;
        rest -= out[i] * e2;
        e2 = e2 + e2;
    }
    lc1 === in;
}
template Accumulator(`,
    },
  ];

  it('refuses the bits of y + r, whether the last wire makes up the sum or not', async () => {
    // The bits of in + (r − 1) + 1, digit by digit, so that nothing is reduced.
    const alias = `var carry = 0;
        for (var k = 0; k <= i; k++) {
            var sum = ((in >> k) & 1) + ((${FIELD_ORDER - 1n} >> k) & 1) + (k == 0 ? 1 : carry);
            carry = sum >> 1;
            if (k == i) { out[i] <-- sum & 1; }
        }`;
    const plain = await pair.forged(bitsOf(alias), witnessInput(input));
    expect(pair.wireVerdict(plain)).toContain('accumulator[0][0].split');
    const summed = alias.replace('sum & 1', 'i == n - 1 ? rest / e2 : sum & 1');
    const witness = await pair.forged(bitsOf(summed), witnessInput(input));
    expect(pair.wireVerdict(witness)).toContain('accumulator[0][0].split');
    expect(pair.at(witness, 'accumulator[0][0].split.out[0]')).toBe(
      1n - (pair.at(witness, 'accumulator[0][0].packed') & 1n),
    );
  });

  it('refuses negative remainders: an activation one higher, its remainder 2^shift lower', async () => {
    // Bit `shift` gains one where it can, bit `shift − 1` loses two: the sum, hence the trace, stays.
    const hint = `var up = 1 - ((in >> shift) & 1);
        out[i] <-- ((in >> i) & 1) + (i == shift ? up : (i == shift - 1 ? 0 - 2 * up : 0));`;
    const higher = (y: number, shift: number) => {
      const value = Math.floor((y + 2 ** (shift - 1)) / 2 ** shift);
      return Math.min(Math.max(value % 2 === 0 ? value + 1 : value, 0), 127);
    };
    // Every layer follows from the false activations, so that the equation has nothing to object to.
    const accumulators = input.steps.map(({ observation }) =>
      adaptiveTrace(input.policy, observation, (y) => y, higher),
    );
    const claim = claimAccumulators(input, accumulators);
    const witness = await pair.forged(bitsOf(hint), claim);
    const own = pair.set(witness, {});
    const blame = pair.wireVerdict(own);
    expect(blame.length).toBeGreaterThan(0);
    expect(blame.filter((component) => !/^(accumulator|argmax)\[|statementDigest/.test(component))).toEqual(
      [],
    );
    expect(blame.filter((component) => component.startsWith('accumulator'))).not.toEqual([]);
    expect(blame).not.toContain(FOLD);
    const hidden = accumulators.flatMap((step) => step.slice(0, LAST).flatMap((y) => Array.from(y)));
    expect(hidden.some((y) => higher(y, layers[0]!.shift) !== requantised(y, layers[0]!.shift))).toBe(true);
  });

  it('refuses two neighbours that split their element differently', async () => {
    const own = witnessInput(input);
    for (const row of [0, layers[0]!.out - 1, layers[0]!.out + layers[1]!.out - 1]) {
      const split = await stated(
        'accumulators',
        moved(own.accumulators!, [0, row, 2n ** BigInt(width)], [0, row + 1, -1n]),
      );
      // The trace digest, hence the statement, is the same: only the range check tells the two apart.
      expect(split.statementDigest).toBe(own.statementDigest);
      expect(await pair.verdict(split)).toContain(`accumulator[0][${row}].split`);
    }
  });

  it('refuses a step whose last accumulator borrows from the first of the next step', async () => {
    const own = witnessInput(input);
    const rows = layers.reduce((sum, layer) => sum + layer.out, 0);
    const split = await stated(
      'accumulators',
      moved(own.accumulators!, [0, rows - 1, 2n ** BigInt(layers[LAST]!.width)], [1, 0, -1n]),
    );
    expect(split.statementDigest).toBe(own.statementDigest);
    expect(await pair.verdict(split)).toContain(`accumulator[0][${rows - 1}].split`);
  });

  it('refuses the first accumulator beyond either end', async () => {
    const own = witnessInput(input);
    const { offset } = layers[0]!;
    const rows = own.accumulators as readonly (readonly bigint[])[];
    for (const value of [BigInt(-offset) - 1n, 2n ** BigInt(width) - BigInt(offset)]) {
      const row = rows[0]!.with(0, value);
      const blame = await pair.verdict(await stated('accumulators', [row, [...rows[1]!]]));
      expect(blame).toContain('accumulator[0][0].split');
    }
    for (const value of [BigInt(-offset), 2n ** BigInt(width) - BigInt(offset) - 1n]) {
      const row = rows[0]!.with(0, value);
      const blame = await pair.verdict(await stated('accumulators', [row, [...rows[1]!]]));
      expect(blame).not.toContain('accumulator[0][0].split');
    }
  });
});

describe('the range of noise', () => {
  it('refuses two neighbours that split their element differently', async () => {
    const own = witnessInput(input);
    const split = await stated('noise', moved(own.noise!, [0, 0, -(2n ** 14n)], [0, 1, 1n]));
    expect(split.statementDigest).toBe(own.statementDigest);
    expect(await pair.verdict(split)).toContain('noiseBits[0][0]');
  });

  it('refuses noise that borrows from the next step’s, across the action between them', async () => {
    const own = witnessInput(input);
    const { actionBits } = circuitLayout(CLAIM_SPEC);
    const borrowed = 2n ** BigInt(14 + actionBits);
    const split = await stated('noise', moved(own.noise!, [0, 2, -borrowed], [1, 0, 1n]));
    expect(split.statementDigest).toBe(own.statementDigest);
    expect(await pair.verdict(split)).toContain('noiseBits[0][2]');
  });

  for (const noise of [-4097n, 12_288n]) {
    it(`refuses noise of ${noise}`, async () => {
      const rows = structuredClone(witnessInput(input).noise) as bigint[][];
      rows[1]![1] = noise;
      expect(await pair.verdict(await stated('noise', rows))).toContain('noiseBits[1][1]');
    });
  }
});

describe('two fold equations', () => {
  const spec: CircuitSpec = {
    architecture: mlp(
      [
        [2, 4, 77],
        [2, 2, 9],
      ],
      2,
    ),
    stepsPerProof: 15,
    variant: 'folds',
  };
  let two: CircuitPair;
  let prover: ProverInput;
  beforeAll(async () => {
    two = await CircuitPair.compile(spec);
    prover = honestProver(spec);
    expect(circuitLayout(spec)).toMatchObject({ equations: 2, folded: 14 });
  });

  /** The verdict on errors of one accumulator in these steps. */
  function off(...errors: readonly [step: number, by: number][]): Promise<string[]> {
    const accumulators = honestAccumulators(prover);
    for (const [step, by] of errors) {
      accumulators[step] = adaptiveTrace(prover.policy, prover.steps[step]!.observation, shifted([0, 1, by]));
    }
    return two.verdict(claimAccumulators(prover, accumulators));
  }
  const equation = (e: number) => `fold[${e}].out = observationFolds[${e}]`;

  it('each refuse errors of their own steps, and errors of both do not cancel', async () => {
    expect(await off()).toEqual([]);
    expect(await off([13, 1])).toEqual([equation(0)]);
    expect(await off([14, 1])).toEqual([equation(1)]);
    expect(await off([0, 1], [14, -1])).toEqual([equation(0), equation(1)]);
  });

  it('refuse each other’s observation folds', async () => {
    const own = witnessInput(prover);
    const observationFolds = [...(own.observationFolds as readonly bigint[])].reverse();
    expect(await two.verdict({ ...own, observationFolds })).toEqual([
      'digest.out = statementDigest',
      equation(0),
      equation(1),
    ]);
  });
});
