import { beforeAll, describe, expect, it } from 'vitest';
import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import { foldDigest, foldPolicy } from '../../src/proofs/fold.ts';
import { traceDigest } from '../../src/proofs/statement.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { type ProverInput, type WitnessInput, witnessInput } from '../../src/proofs/witness-input.ts';
import type { TemplateEdit } from '../helpers/circuit.ts';
import { CircuitPair } from '../helpers/circuit-pair.ts';
import {
  adaptiveTrace,
  CLAIM_SPEC,
  claimAccumulators,
  honestAccumulators,
  honestProver,
  shifted,
} from '../helpers/claims.ts';
import { mlp, randomPolicy, Seeded } from '../helpers/steps.ts';

/**
 * Forgers who change what enters the sponges on its way there, or the sponges' own state, and state what comes out: the
 * wires between the parts of the circuit.
 */

const { architecture } = CLAIM_SPEC;

let pair: CircuitPair;
let input: ProverInput;
beforeAll(async () => {
  pair = await CircuitPair.compile(CLAIM_SPEC);
  input = honestProver(CLAIM_SPEC);
});

describe('the wires of the digests', () => {
  const edits = (from: string, to: string, file = 'spot-check.circom'): TemplateEdit[] => [
    { file, from, to },
  ];

  /** A forger's witness whose statement is the verifier's of what the forger claims. */
  async function forge(changed: readonly TemplateEdit[], prover = input): Promise<string[]> {
    const witness = await pair.forged(changed, witnessInput(prover));
    return pair.wireVerdict(pair.set(witness, { statementDigest: pair.at(witness, 'digest.out') }));
  }

  it('refuse the trace digest of another step in the place of its own', async () => {
    const [a] = honestAccumulators(input);
    const other = traceDigest(architecture, [a!, a!]);
    const blame = await forge(
      edits(
        'digest.in[1] <== traceDigest.out;',
        `digest.in[1] <-- ${other}; digest.in[1] === traceDigest.out;`,
      ),
    );
    expect(blame).toEqual(['digest.in[1] = traceDigest.out']);
  });

  it('refuse another context, or other observation folds, than the circuit’s own', async () => {
    expect(
      await forge(
        edits('digest.in[0] <== context;', 'digest.in[0] <-- context + 1; digest.in[0] === context;'),
      ),
    ).toEqual(['context = digest.in[0]']);
    expect(
      await forge(
        edits(
          'digest.in[2 + e] <== observationFolds[e];',
          'digest.in[2 + e] <-- observationFolds[e] + 1; digest.in[2 + e] === observationFolds[e];',
        ),
      ),
    ).toEqual(['digest.in[2] = observationFolds[0]']);
  });

  it('refuse accumulators in the trace that are not those of the layers', async () => {
    const rows = architecture.layers.reduce(
      (sum, layer) => sum + (layer.type === 'dense' ? layer.out : 0),
      0,
    );
    const blame = await forge(
      edits(
        'trace.in[b * rows + row] <== accumulator[b][row].packed;',
        `trace.in[b * rows + row] <-- accumulator[b][row].packed + (b == 1 && row == 0 ? 1 : 0);
            trace.in[b * rows + row] === accumulator[b][row].packed;`,
      ),
    );
    expect(blame).toEqual([`accumulator[1][0].packed = trace.in[${rows}]`]);
  });

  it('refuse accumulators in the fold that are not those of the trace', async () => {
    const blame = await forge(
      edits(
        'fold[e].y[b] <== accumulators[from + b];',
        `for (var o = 0; o < rows; o++) {
                fold[e].y[b][o] <-- accumulators[from + b][o] + (o == 2 ? 1 : 0);
                fold[e].y[b][o] === accumulators[from + b][o];
            }`,
      ),
    );
    expect(blame).toContain('accumulators[0][2] = fold[0].y[0][2]');
    expect(
      blame.filter((one) => !/^accumulators\[[01]\]\[2\] = fold\[0\]\.y|^fold\[0\]\.out/.test(one)),
    ).toEqual([]);
  });

  it('refuse a sponge that starts from a capacity of the prover’s choice', async () => {
    for (const lane of ['0', 'domain + 1', `${FIELD_ORDER - 1n}`]) {
      const blame = await forge(
        edits(
          'block[k].initialState <== domain;',
          `block[k].initialState <-- ${lane}; block[k].initialState === domain;`,
          'sponge.circom',
        ),
      );
      expect(blame).toEqual(['digest', 'traceDigest'].flatMap((name) => [expect.stringMatching(`^${name}`)]));
    }
  });

  it('refuse a sponge whose later blocks start from a capacity of the prover’s choice', async () => {
    // So many accumulators that the trace takes two blocks: with the capacity between them free, digests could be met in the
    // middle.
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
    const long = await CircuitPair.compile(spec);
    const prover = honestProver(spec);
    const own = witnessInput(prover);
    expect(await long.verdict(own)).toEqual([]);
    const witness = await long.forged(
      edits(
        'block[k].initialState <== block[k - 1].out[0];',
        'block[k].initialState <-- 5; block[k].initialState === block[k - 1].out[0];',
        'sponge.circom',
      ),
      own,
    );
    const blame = long.wireVerdict(long.set(witness, { statementDigest: long.at(witness, 'digest.out') }));
    expect(blame).toEqual(['traceDigest']);
  }, 300_000);
});

describe('the variant with a fold digest', () => {
  const spec: CircuitSpec = { ...CLAIM_SPEC, variant: 'digest' };

  it('refuses the folds of another policy, whether or not their digest is the verifier’s', async () => {
    const digest = await CircuitPair.compile(spec);
    const prover = { ...honestProver(spec), spec };
    const own = witnessInput(prover);
    expect(await digest.verdict(own)).toEqual([]);
    const other = foldPolicy(randomPolicy(architecture, new Seeded(8)), prover.rho);
    const fold = 'check.fold[0].out = check.observationFolds[0]';
    expect(await digest.verdict({ ...own, folds: other.circuit })).toEqual([fold, 'digest.out = foldDigest']);
    expect(await digest.verdict({ ...own, folds: other.circuit, foldDigest: foldDigest(other) })).toEqual([
      fold,
    ]);
  });

  it('refuses folds that the prover made to fit false accumulators', async () => {
    const digest = await CircuitPair.compile(spec);
    const prover = { ...honestProver(spec), spec };
    const accumulators = honestAccumulators(prover);
    accumulators[0] = adaptiveTrace(prover.policy, prover.steps[0]!.observation, shifted([0, 0, 1]));
    const claim = claimAccumulators(prover, accumulators);
    const fitted = await fittingFolds(digest, claim);
    expect(await digest.verdict({ ...claim, folds: fitted })).toEqual(['digest.out = foldDigest']);
  });

  /** Fold vectors of which one element takes up the equation's whole error. */
  async function fittingFolds(digest: CircuitPair, claim: WitnessInput): Promise<bigint[]> {
    const witness = await digest.named.witness(claim);
    const error = digest.at(witness, 'check.fold[0].out') - digest.at(witness, 'check.observationFolds[0]');
    const folds = claim.folds as readonly bigint[];
    const j = folds.findIndex((_, index) => digest.at(witness, `check.fold[0].part[${index}]`) !== 0n);
    // part = v · X, so v + v · error / part adds the error to it.
    const part = digest.at(witness, `check.fold[0].part[${j}]`);
    return folds.with(j, signedToField(folds[j]! + folds[j]! * error * inverse(part)));
  }
});
