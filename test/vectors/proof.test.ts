import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Architecture, Policy } from '../../src/policy/architecture.ts';
import { trace } from '../../src/policy/forward.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { foldDigest, foldObservations, foldPolicy, rhoFrom } from '../../src/proofs/fold.ts';
import { sponge, spongeDomain } from '../../src/proofs/poseidon.ts';
import { contextElement, statementDigest, traceDigest } from '../../src/proofs/statement.ts';
import { circuitLayout, packFields } from '../../src/proofs/widths.ts';
import { witnessInput } from '../../src/proofs/witness-input.ts';
import { bigToBytes, fromHex, toHex } from '../../src/protocol/bytes.ts';
import { compileCircuit } from '../helpers/circuit.ts';

/** The values that docs/PROTOCOL.md, Proof, prints. */
const vectors = JSON.parse(readFileSync(new URL('./proof.json', import.meta.url), 'utf8')) as {
  architecture: Architecture;
  layers: { weight: number[]; bias: number[] }[];
  genesisHash: string;
  policyRoot: string;
  window: number;
  miner: string;
  part: number;
  challenges: { slot: number; step: number }[];
  challengeSeed: string;
  openingsRoot: string;
  steps: { observation: number[]; noise: number[]; action: number }[];
  accumulators: number[][][];
  widths: object[];
  stride: number;
  folded: number;
  compareBits: number;
  spongeDomains: { trace1: string; statement4: string; fold4: string };
  sponge17: { digest: string };
  tracePacked: string[];
  traceDigest: string;
  context: string;
  statementPacked: string[];
  statementDigest: string;
  rho: string;
  observationVector: string[];
  constant: string;
  observationFolds: string[];
  folds: string[];
  foldDigest: string;
};

const { architecture } = vectors;
const policy: Policy = {
  architecture,
  layers: vectors.layers.map(({ weight, bias }) => ({
    weight: Int8Array.from(weight),
    bias: Int32Array.from(bias),
  })),
};
const steps = vectors.steps.map(({ observation, noise, action }) => ({
  observation: Int8Array.from(observation),
  noise: Int32Array.from(noise),
  action,
}));
const ids = {
  genesisHash: fromHex(vectors.genesisHash),
  policyRoot: fromHex(vectors.policyRoot),
  window: vectors.window,
};
const layout = circuitLayout({ architecture, stepsPerProof: steps.length });
const hex = (value: bigint) => toHex(bigToBytes(value, 32));
const field = (text: string) => BigInt(text);

describe('the proof’s vectors', () => {
  it('give the accumulators of the policy', () => {
    const rows = steps.map((step) => trace(policy, step.observation).map((y) => [...y]));
    expect(rows).toEqual(vectors.accumulators);
  });

  it('give the layers’ widths', () => {
    expect(layout.layers).toMatchObject(vectors.widths);
    const { stride, folded, compareBits } = vectors;
    expect(layout).toMatchObject({ stride, folded, compareBits });
  });

  it('give the sponges’ domains and a sponge of two blocks', () => {
    expect(hex(spongeDomain('trace', 1))).toBe(vectors.spongeDomains.trace1);
    expect(hex(spongeDomain('statement', 4))).toBe(vectors.spongeDomains.statement4);
    expect(hex(spongeDomain('fold', 4))).toBe(vectors.spongeDomains.fold4);
    const elements = Array.from({ length: 17 }, (_, i) => BigInt(i + 1));
    expect(hex(sponge(1n, elements))).toBe(vectors.sponge17.digest);
  });

  it('give the packed accumulators and the trace digest', () => {
    const values = vectors.accumulators.flatMap((step) =>
      step.flatMap((y, l) => y.map((value) => value + layout.layers[l]!.offset)),
    );
    expect(packFields(values, layout.traceFields).map(hex)).toEqual(vectors.tracePacked);
    const accumulators = steps.map((step) => trace(policy, step.observation));
    expect(hex(traceDigest(architecture, accumulators))).toBe(vectors.traceDigest);
  });

  it('give the context and the packed statement', () => {
    const { part, challenges } = vectors;
    const context = contextElement({
      ...ids,
      miner: fromHex(vectors.miner),
      part,
      challenges,
      observations: steps.map(({ observation }) => observation),
    });
    expect(hex(context)).toBe(vectors.context);
    const values = vectors.steps.flatMap(({ noise, action }) => [...noise.map((g) => g + 4096), action]);
    expect(packFields(values, layout.statementFields).map(hex)).toEqual(vectors.statementPacked);
  });

  it('give rho, the fold vectors and their digest, the observations’ fold and the statement digest', () => {
    const rho = rhoFrom({
      ...ids,
      challengeSeed: fromHex(vectors.challengeSeed),
      openingsRoot: fromHex(vectors.openingsRoot),
    });
    expect(hex(rho)).toBe(vectors.rho);
    const folds = foldPolicy(policy, rho);
    expect(folds.observation.map(hex)).toEqual(vectors.observationVector);
    expect(hex(folds.constant)).toBe(vectors.constant);
    expect(folds.circuit.map(hex)).toEqual(vectors.folds);
    expect(hex(foldDigest(folds))).toBe(vectors.foldDigest);
    const observations = steps.map(({ observation }) => observation);
    const observationFolds = foldObservations(architecture, folds, observations);
    expect(observationFolds.map(hex)).toEqual(vectors.observationFolds);
    const digest = statementDigest({
      architecture,
      context: field(vectors.context),
      traceDigest: field(vectors.traceDigest),
      observationFolds,
      steps,
    });
    expect(hex(digest)).toBe(vectors.statementDigest);
  });

  it('satisfy the circuit, with the public signals in the documented order', async () => {
    const spec = { architecture, stepsPerProof: steps.length, variant: 'folds' } as const;
    const circuit = await compileCircuit(generateCircuit(spec).source, 'O2');
    const witness = await circuit.witness(
      witnessInput({ spec, policy, rho: field(vectors.rho), context: field(vectors.context), steps }),
    );
    expect(circuit.violated(witness)).toEqual([]);
    const publics = witness.slice(1, 1 + circuit.r1cs.publics).map(hex);
    expect(publics).toEqual([vectors.statementDigest, vectors.rho, ...vectors.folds]);
  });
});
