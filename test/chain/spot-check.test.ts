import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileSolidity } from '../../contracts/compile.ts';
import { exportVerifier } from '../../src/chain/export-verifier.ts';
import { loadArtefacts } from '../../src/proofs/artefacts.ts';
import { createProver } from '../../src/proofs/prove.ts';
import { contextElement } from '../../src/proofs/statement.ts';
import type { CircuitSpec, StepStatement } from '../../src/proofs/types.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { CARTPOLE, mlp, randomPolicy, randomSteps, Seeded } from '../helpers/steps.ts';
import { openedBy, type Told, toldContext, toldSignals } from '../helpers/told.ts';
import { type Anvil, startAnvil } from '../support/anvil.ts';
import { type Deployed, deploy, encode, outcome } from '../support/contract.ts';

/** The whole way: steps of a policy, their proof, and a contract that is told the statement by someone who replayed. */
const small = mlp(
  [
    [3, 4, 512],
    [4, 1, 512],
  ],
  2,
);
const spec: CircuitSpec = process.env.GRAIL_LONG
  ? { architecture: CARTPOLE, stepsPerProof: 8, variant: 'digest' }
  : { architecture: small, stepsPerProof: 2, variant: 'digest' };
const random = new Seeded(11);
const policy = randomPolicy(spec.architecture, random);
const other = randomPolicy(spec.architecture, random);
const steps = randomSteps(policy, spec.stepsPerProof, random);
const rho = 0x1234567890abcdef1234567890abcdefn;
const context = toldContext(policy, steps);
const truth: Told = { policy, steps, rho, context, opened: openedBy(policy, steps) };

let node: Anvil;
let verifier: Deployed;
let proof: Uint8Array;

beforeAll(async () => {
  const artefacts = await loadArtefacts(spec);
  const prover = await createProver(artefacts);
  ({ proof } = await prover.prove(
    witnessInput({ spec, policy, rho, context: contextElement(context), steps }),
  ));
  await prover.close();
  const source = await exportVerifier(artefacts.verificationKey, { name: 'Check', insecureDev: true });
  node = await startAnvil();
  verifier = await deploy(node, compileSolidity(source).get('Check')!);
}, 600_000);

afterAll(() => node?.stop());

const verify = (told: readonly bigint[]) => outcome(verifier, encode(verifier, 'verify', proof, told));

describe('the contract of a spot check', () => {
  test('accepts a proof of the steps that were taken, with three signals', async () => {
    const signals = toldSignals(spec, truth);
    expect(signals).toHaveLength(3);
    expect(await verify(signals)).toBe('true');
  });

  const [first, ...rest] = steps as [StepStatement, ...StepStatement[]];
  test.each([
    ['another action', { steps: [{ ...first, action: 1 - first.action }, ...rest] }],
    ['another policy', { policy: other }],
    ['another rho', { rho: rho + 1n }],
    ['another miner', { context: { ...context, miner: new Uint8Array(20).fill(3) } }],
    ['another step', { context: { ...context, challenges: [...context.challenges].reverse() } }],
  ])('refuses it for %s', async (_, told) => {
    expect(await verify(toldSignals(spec, { ...truth, ...told }))).toBe('ProofInvalid()');
  });
});
