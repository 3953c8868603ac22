import { beforeAll, describe, expect, it } from 'vitest';
import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import { foldObservations, foldPolicy } from '../../src/proofs/fold.ts';
import { statementDigest, traceDigest } from '../../src/proofs/statement.ts';
import { circuitLayout } from '../../src/proofs/widths.ts';
import { type ProverInput, witnessInput } from '../../src/proofs/witness-input.ts';
import type { TemplateEdit } from '../helpers/circuit.ts';
import { CircuitPair } from '../helpers/circuit-pair.ts';
import { CLAIM_SPEC, honestAccumulators, honestProver, zeroPolicy } from '../helpers/claims.ts';
import { honestStep } from '../helpers/steps.ts';

/**
 * An action is an output of the circuit, so that a prover who wants another one must change the wires of the tournament
 * that finds it. Each test changes one kind of them, computes everything after it, states the action that comes out, and
 * names the constraint that refuses it.
 */

const { architecture } = CLAIM_SPEC;
const ACTIONS = architecture.actions;
const { compareBits } = circuitLayout(CLAIM_SPEC);

let pair: CircuitPair;
let input: ProverInput;
beforeAll(async () => {
  pair = await CircuitPair.compile(CLAIM_SPEC);
  const prover = honestProver(CLAIM_SPEC);
  // Step 0 takes action 0, then come 1 and 2; step 1 takes action 1: whichever duel is forged, the action is another.
  const steps = [Int32Array.of(12_000, 5000, -2500), Int32Array.of(2000, 12_000, -2500)].map((noise, b) =>
    honestStep(prover.policy, prover.steps[b]!.observation, noise),
  );
  input = { ...prover, steps };
  expect(honestActions()).toEqual([0, 1]);
});

const edit = (from: string, to: string): TemplateEdit => ({ file: 'argmax.circom', from, to });

/** Num2Bits of the duel of `rival` with other bits: the same constraints. */
function leadBits(rival: number, hint: string): TemplateEdit[] {
  return [
    edit('lead[j - 1] = Num2Bits(bits + 1);', `lead[j - 1] = Forged(bits + 1, j == ${rival});`),
    edit(
      'template ArgmaxUncheckedScores(',
      `template Forged(n, on) {
    signal input in;
    signal output out[n];
    var lc1 = 0;
    var e2 = 1;
    for (var i = 0; i < n; i++) {
        var bit = (in >> i) & 1;
        out[i] <-- on ? (${hint}) : bit;
        out[i] * (out[i] - 1) === 0;
        lc1 += out[i] * e2;
        e2 = e2 + e2;
    }
    lc1 === in;
}
template ArgmaxUncheckedScores(`,
    ),
  ];
}

/** A forger's witness that states the actions it comes to, those actions, and why it is refused. */
async function forge(
  edits: readonly TemplateEdit[],
  prover = input,
): Promise<{ actions: number[]; blame: string[]; witness: bigint[] }> {
  const computed = await pair.forged(edits, witnessInput(prover));
  const witness = pair.set(computed, { statementDigest: pair.at(computed, 'digest.out') });
  const actions = prover.steps.map((_, b) => Number(pair.at(witness, `argmax[${b}].action`)));
  if (actions.every((action) => action < ACTIONS)) {
    // The digest is the one that a verifier of this false statement would have.
    const folds = foldPolicy(prover.policy, prover.rho);
    expect(pair.at(witness, 'statementDigest')).toBe(
      statementDigest({
        architecture,
        context: prover.context,
        traceDigest: traceDigest(architecture, honestAccumulators(prover)),
        observationFolds: foldObservations(
          architecture,
          folds,
          prover.steps.map(({ observation }) => observation),
        ),
        steps: prover.steps.map((step, b) => ({ ...step, action: actions[b]! })),
      }),
    );
  }
  return { actions, blame: pair.wireVerdict(witness), witness };
}

const honestActions = () => input.steps.map(({ action }) => action);

it('accepts the tournament’s own wires, and states the reference’s actions', async () => {
  const { actions, blame } = await forge(leadBits(1, 'bit'));
  expect(actions).toEqual(honestActions());
  expect(blame).toEqual([]);
});

describe('the bits of a lead', () => {
  for (let rival = 1; rival < ACTIONS; rival++) {
    const duel = new RegExp(`^argmax\\[[01]\\]\\.lead\\[(${rival - 1}|[${rival}-9])\\]$`);

    it(`refuse a top bit that says otherwise of action ${rival}`, async () => {
      const { actions, blame } = await forge(leadBits(rival, 'i == n - 1 ? 1 - bit : bit'));
      expect(actions).not.toEqual(honestActions());
      expect(blame).toContain(`argmax[0].lead[${rival - 1}]`);
      expect(blame.filter((component) => !duel.test(component))).toEqual([]);
    });

    it(`refuse it too when the lowest bit of action ${rival}’s makes up the sum`, async () => {
      const { actions, blame, witness } = await forge(
        leadBits(
          rival,
          'i == n - 1 ? 1 - bit : (i == 0 ? bit + (((in >> (n - 1)) & 1) * 2 - 1) * 2 ** (n - 1) : bit)',
        ),
      );
      expect(actions).not.toEqual(honestActions());
      expect(blame).toContain(`argmax[0].lead[${rival - 1}]`);
      expect(blame.filter((component) => !duel.test(component))).toEqual([]);
      const lead = (k: number) => pair.at(witness, `argmax[0].lead[${rival - 1}].out[${k}]`);
      let sum = 0n;
      for (let k = 0; k <= compareBits; k++) sum += lead(k) << BigInt(k);
      expect(sum % FIELD_ORDER).toBe(pair.at(witness, `argmax[0].lead[${rival - 1}].in`));
    });
  }
});

describe('a tie', () => {
  const tied = (): ProverInput => {
    const policy = zeroPolicy(CLAIM_SPEC);
    const steps = [Int32Array.of(7, 7, 7), Int32Array.of(3, 9, 9)].map((noise) =>
      honestStep(policy, Int8Array.of(1, 2, 3, 4), noise),
    );
    return { ...input, policy, steps };
  };

  it('goes to the lowest index', async () => {
    const { actions, blame } = await forge([], tied());
    expect(actions).toEqual([0, 1]);
    expect(blame).toEqual([]);
  });

  it('is refused by the bits of the lead when the higher index takes it', async () => {
    const { actions, blame } = await forge(leadBits(2, 'i == n - 1 ? 1 : (i < n - 1 ? 0 : bit)'), tied());
    expect(actions).toEqual([2, 2]);
    expect(blame).toEqual(['argmax[0].lead[1]', 'argmax[1].lead[1]']);
  });

  it('is refused by the lead’s number when the comparison forgets to subtract one', async () => {
    const { actions, blame } = await forge(
      [
        edit(
          'lead[j - 1].in <== score[j] - best[j - 1] - 1 + 2 ** bits;',
          `lead[j - 1].in <-- score[j] - best[j - 1] + 2 ** bits;
        lead[j - 1].in === score[j] - best[j - 1] - 1 + 2 ** bits;`,
        ),
      ],
      tied(),
    );
    expect(actions).toEqual([2, 2]);
    expect(blame).toEqual(['argmax[0]', 'argmax[1]']);
  });
});

describe('the wires between the duels', () => {
  it('refuse another best score', async () => {
    for (const by of ['2 ** (bits - 1)', '0 - 2 ** (bits - 1)']) {
      const { blame } = await forge([
        edit(
          'best[j] <== best[j - 1] + lead[j - 1].out[bits] * (score[j] - best[j - 1]);',
          `best[j] <-- best[j - 1] + lead[j - 1].out[bits] * (score[j] - best[j - 1]) + (${by});
                best[j] === best[j - 1] + lead[j - 1].out[bits] * (score[j] - best[j - 1]);`,
        ),
      ]);
      expect(blame).toEqual(expect.arrayContaining(['argmax[0]', 'argmax[1]']));
      expect(blame.filter((component) => !/^argmax\[[01]\](\.lead\[1\])?$/.test(component))).toEqual([]);
    }
  });

  it('refuse a first score that is not that of action 0', async () => {
    const { blame } = await forge([
      edit('best[0] <== score[0];', 'best[0] <-- score[0] + 40; best[0] === score[0];'),
    ]);
    expect(blame.map((component) => component.slice(0, 9))).toEqual(['argmax[0]', 'argmax[1]']);
  });

  it('refuse another index of the best so far', async () => {
    for (const at of ['1', '3']) {
      const { actions, blame } = await forge([
        edit('index[0] <== 0;', `index[0] <-- ${at}; index[0] === 0;`),
        edit(
          'index[j] <== index[j - 1] + lead[j - 1].out[bits] * (j - index[j - 1]);',
          `index[j] <-- ${at};
                index[j] === index[j - 1] + lead[j - 1].out[bits] * (j - index[j - 1]);`,
        ),
      ]);
      expect(actions).toContain(Number(at));
      expect(blame).toEqual(['argmax[0]', 'argmax[1]']);
    }
  });

  it('refuse another action at the end, one that does not exist among them', async () => {
    for (let by = 1; by < 4; by++) {
      const { actions, blame } = await forge([
        edit(
          'action <== index[last] + lead[last].out[bits] * (actions - 1 - index[last]);',
          `action <-- (index[last] + lead[last].out[bits] * (actions - 1 - index[last]) + ${by}) % 4;
    action === index[last] + lead[last].out[bits] * (actions - 1 - index[last]);`,
        ),
      ]);
      expect(actions).toEqual(honestActions().map((action) => (action + by) % 4));
      expect(blame).toEqual(['argmax[0]', 'argmax[1]']);
    }
  });

  it('refuse scores that are not logit plus noise', async () => {
    const { actions, blame } = await forge([
      {
        file: 'spot-check.circom',
        from: 'argmax[b].score[i] <== logit + noise[b][i];',
        to: `argmax[b].score[i] <-- logit + noise[b][i] + (i == ${(input.steps[0]!.action + 1) % ACTIONS} ? 9000 : 0);
            argmax[b].score[i] === logit + noise[b][i];`,
      },
    ]);
    expect(actions).not.toEqual(honestActions());
    expect(blame).toHaveLength(2);
    expect(blame.every((constraint) => constraint.includes('.score['))).toBe(true);
  });
});

describe('a statement', () => {
  it('refuses another action than the tournament’s', async () => {
    for (let other = 0; other < ACTIONS; other++) {
      if (other === input.steps[1]!.action) continue;
      const steps = input.steps.with(1, { ...input.steps[1]!, action: other });
      expect(await pair.verdict(witnessInput({ ...input, steps }))).toEqual(['digest.out = statementDigest']);
    }
  });

  it('refuses an action that reaches it by another wire', async () => {
    const witness = await pair.forged(
      [
        {
          file: 'spot-check.circom',
          from: 'statement.in[b * stepFields + actions] <== argmax[b].action;',
          to: `statement.in[b * stepFields + actions] <-- (argmax[b].action + 1) % ${ACTIONS};
        statement.in[b * stepFields + actions] === argmax[b].action;`,
        },
      ],
      witnessInput(input),
    );
    const stated = pair.set(witness, { statementDigest: pair.at(witness, 'digest.out') });
    expect(pair.wireVerdict(stated)).toEqual(
      input.steps.map((_, b) => `argmax[${b}].action = statement.in[${b * (ACTIONS + 1) + ACTIONS}]`),
    );
  });
});
