import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { type Artefacts, loadArtefacts } from '../../src/proofs/artefacts.ts';
import { createProver, type Prover } from '../../src/proofs/prove.ts';
import { contextElement } from '../../src/proofs/statement.ts';
import type { CircuitSpec, StepStatement } from '../../src/proofs/types.ts';
import { createVerifier, type ProofVerifier } from '../../src/proofs/verify.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { mlp, randomPolicy, randomSteps, Seeded } from '../helpers/steps.ts';
import { openedBy, type Told, toldContext, toldSignals } from '../helpers/told.ts';
import { network } from '../support/architectures.ts';

/**
 * The spot check as a whole, Groth16 included, in both variants: a proof holds for its own statement alone. One thing is
 * changed in each test, as a verifier that replays something else would have it.
 */
const architecture = mlp(
  [
    [3, 4, 512],
    [4, 1, 512],
  ],
  2,
);
const random = new Seeded(7);
const policy = randomPolicy(architecture, random);
const other = randomPolicy(architecture, random);
const steps = randomSteps(policy, 2, random);
const rho = 0x1234567890abcdef1234567890abcdefn;
const context = toldContext(policy, steps, [
  { slot: 0, step: 3 },
  { slot: 1, step: 9 },
]);
const truth: Told = { policy, steps, rho, context, opened: openedBy(policy, steps) };

const [first, second] = steps as [StepStatement, StepStatement];
const changedObservation = first.observation.with(0, first.observation[0] === 5 ? 6 : 5);
const changes: readonly (readonly [what: string, told: Partial<Told>])[] = [
  ['another action', { steps: [{ ...first, action: 1 - first.action }, second] }],
  ['another observation', { steps: [{ ...first, observation: changedObservation }, second] }],
  ['another noise', { steps: [{ ...first, noise: first.noise.with(0, first.noise[0]! ^ 1) }, second] }],
  ['the steps swapped', { steps: [second, first] }],
  ['another opening', { opened: openedBy(policy, [{ ...first, observation: changedObservation }, second]) }],
  ['another rho', { rho: rho + 1n }],
  ['another policy’s folds', { policy: other }],
  ['another window', { context: { ...context, window: 6 } }],
  ['another miner', { context: { ...context, miner: new Uint8Array(20).fill(3) } }],
  ['another network', { context: { ...context, genesisHash: new Uint8Array(32).fill(9) } }],
  ['another part', { context: { ...context, part: 1 } }],
  ['another slot', { context: { ...context, challenges: [{ slot: 2, step: 3 }, context.challenges[1]!] } }],
  ['another step', { context: { ...context, challenges: [{ slot: 0, step: 4 }, context.challenges[1]!] } }],
  [
    'other observations with the same fold, were there any',
    { context: { ...context, observations: [changedObservation, second.observation] } },
  ],
  ['another policy version', { context: { ...context, policyRoot: policyRoot(other) } }],
];

describe.each(['folds', 'digest'] as const)('a spot check of variant %s', (variant) => {
  const spec: CircuitSpec = { architecture, stepsPerProof: 2, variant };
  let cache: string;
  let artefacts: Artefacts;
  let prover: Prover;
  let verifier: ProofVerifier;
  let proof: Uint8Array;

  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'grail-spot-check-'));
    artefacts = await loadArtefacts(spec, { cacheDirectory: cache });
    prover = await createProver(artefacts);
    verifier = await createVerifier(artefacts.verificationKey);
    const made = await prover.prove(
      witnessInput({ spec, policy, rho, context: contextElement(context), steps }),
    );
    proof = made.proof;
    expect(made.publicSignals).toEqual(toldSignals(spec, truth));
  }, 300_000);

  afterAll(async () => {
    await prover?.close();
    await rm(cache, { recursive: true, force: true });
  });

  test('holds for its own statement', async () => {
    await verifier.verify(toldSignals(spec, truth), proof);
  });

  test.each(changes)('fails for %s', async (_what, change) => {
    await expectCode('PROOF_INVALID', verifier.verify(toldSignals(spec, { ...truth, ...change }), proof));
  });

  test('is of its own variant', async () => {
    expect(artefacts.verificationKey.nPublic).toBe(variant === 'digest' ? 3 : 2 + 4);
  });
});

describe('a spot check of a convolution', () => {
  const convolutional = network(
    [5, 5, 2],
    [
      [{ filters: 4, kernel: 3, stride: 1 }, 5, 900],
      [8, 5, 300],
      [3, 2, 70],
    ],
  );
  const spec: CircuitSpec = { architecture: convolutional, stepsPerProof: 2, variant: 'folds' };
  const policy = randomPolicy(convolutional, random);
  const steps = randomSteps(policy, 2, random);
  const [first, second] = steps as [StepStatement, StepStatement];
  const truth: Told = { policy, steps, rho, context, opened: openedBy(policy, steps) };
  const kernel = policy.layers[0]!;
  const other: Policy = {
    ...policy,
    layers: policy.layers.with(0, {
      ...kernel,
      weight: kernel.weight.with(5, kernel.weight[5] === 1 ? 2 : 1),
    }),
  };
  let cache: string;

  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'grail-spot-check-'));
  });
  afterAll(() => rm(cache, { recursive: true, force: true }));

  test('holds for its own statement, and fails for another action, observation or kernel', async () => {
    const artefacts = await loadArtefacts(spec, { cacheDirectory: cache });
    const prover = await createProver(artefacts);
    const verifier = await createVerifier(artefacts.verificationKey);
    try {
      const made = await prover.prove(
        witnessInput({ spec, policy, rho, context: contextElement(context), steps }),
      );
      expect(made.publicSignals).toEqual(toldSignals(spec, truth));
      await verifier.verify(toldSignals(spec, truth), made.proof);
      const seen = first.observation.with(49, first.observation[49] === 5 ? 6 : 5);
      for (const told of [
        { ...truth, steps: [{ ...first, action: (first.action + 1) % 3 }, second] },
        { ...truth, steps: [{ ...first, observation: seen }, second] },
        { ...truth, policy: other },
      ]) {
        await expectCode('PROOF_INVALID', verifier.verify(toldSignals(spec, told), made.proof));
      }
    } finally {
      await prover.close();
    }
  }, 300_000);
});
