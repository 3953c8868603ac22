import type { Architecture } from '../policy/architecture.ts';
import { concat, u32, u64 } from '../protocol/bytes.ts';
import type { Challenge } from '../protocol/challenges.ts';
import { GrailError } from '../protocol/errors.ts';
import { networkHash } from '../protocol/hash.ts';
import { digestElements, toField } from './poseidon.ts';
import type { StepStatement } from './types.ts';
import { circuitLayout, NOISE_OFFSET, packFields } from './widths.ts';

/**
 * What a proof is about (docs/PROTOCOL.md, Proof, Statement). A verifier computes all of it from its own replay, but
 * for the trace digest, which is the miner's opening.
 */

/** Where the steps of one proof stand. */
export interface ProofContext {
  readonly genesisHash: Uint8Array;
  readonly policyRoot: Uint8Array;
  readonly window: number;
  /** 20-byte address. */
  readonly miner: Uint8Array;
  /** Index of the proof among the miner's proofs of the window. */
  readonly part: number;
  /** The proof's challenged steps, sorted by (slot, step). */
  readonly challenges: readonly Challenge[];
  /** What was observed at each of them, `[observation]` int8: the circuit itself meets it only folded. */
  readonly observations: readonly Int8Array[];
}

/**
 * SHA-256(tag("proof/context") ‖ genesisHash ‖ policyRoot ‖ u64 window ‖ miner ‖ u32 part ‖ u32 count ‖ (u32 slot ‖
 * u32 step ‖ observation)…) mod r: the one field element that ties a statement to its network, policy, window, miner, steps and
 * what was observed at them.
 * @throws RangeError when a hash or the address has another length, or an observation is missing or longer than others.
 */
export function contextElement(context: ProofContext): bigint {
  const { genesisHash, policyRoot, window, miner, part, challenges, observations } = context;
  if (genesisHash.length !== 32 || policyRoot.length !== 32 || miner.length !== 20) {
    throw new RangeError('a proof context takes two 32-byte hashes and a 20-byte address');
  }
  const width = observations[0]?.length;
  if (observations.length !== challenges.length || observations.some(({ length }) => length !== width)) {
    throw new RangeError('a proof context takes an observation for each challenge, all of one length');
  }
  const steps = challenges.flatMap(({ slot, step }, i) => [
    u32(slot),
    u32(step),
    Uint8Array.from(observations[i]!, (value) => value & 255),
  ]);
  return toField(
    networkHash(
      'proof/context',
      genesisHash,
      policyRoot,
      u64(window),
      miner,
      u32(part),
      u32(challenges.length),
      concat(...steps),
    ),
  );
}

/**
 * The commitment to every accumulator of a proof's steps: the trace sponge over y + offset, packed at each layer's
 * width, step by step, layer by layer, row by row.
 * @param accumulators one element a step, each `[layers][out]` int32 before requantisation, as `trace` gives them
 * @throws GrailError WITNESS_FAILED for an accumulator that no policy of this architecture can have
 */
export function traceDigest(architecture: Architecture, accumulators: readonly Int32Array[][]): bigint {
  const layout = circuitLayout({ architecture, stepsPerProof: accumulators.length });
  const values: number[] = [];
  for (const step of accumulators) {
    for (const [index, layer] of layout.layers.entries()) {
      const rows = step[index];
      if (rows?.length !== layer.out) throw shape(`layer ${index} takes ${layer.out} accumulators`);
      for (const y of rows) values.push(y + layer.offset);
    }
  }
  return digestElements('trace', packFields(values, layout.traceFields));
}

/** A proof's statement: what `statementDigest` is taken over. */
export interface Statement {
  readonly architecture: Architecture;
  /** contextElement's value. */
  readonly context: bigint;
  /** traceDigest's value: the miner's opening. */
  readonly traceDigest: bigint;
  /** foldObservations' value, one element for each fold equation. */
  readonly observationFolds: readonly bigint[];
  /** The steps' noise and actions. */
  readonly steps: readonly StepStatement[];
}

/**
 * The public input that states the proof: the statement sponge over [context, traceDigest, observation folds…, packed
 * steps…].
 * @throws GrailError WITNESS_FAILED for noise or an action out of range
 */
export function statementDigest(statement: Statement): bigint {
  const { architecture, context, observationFolds, steps } = statement;
  const layout = circuitLayout({ architecture, stepsPerProof: steps.length });
  if (observationFolds.length !== layout.equations) {
    throw new RangeError(`expected ${layout.equations} observation folds, got ${observationFolds.length}`);
  }
  const packed = packFields(statementValues(architecture, steps), layout.statementFields);
  return digestElements('statement', [context, statement.traceDigest, ...observationFolds, ...packed]);
}

function statementValues(architecture: Architecture, steps: readonly StepStatement[]): number[] {
  const values: number[] = [];
  for (const [index, { noise, action }] of steps.entries()) {
    if (noise.length !== architecture.actions) throw shape(`step ${index} takes noise for every action`);
    if (!Number.isInteger(action) || action < 0 || action >= architecture.actions) {
      throw new GrailError('WITNESS_FAILED', `step ${index}: there is no action ${action}`, { step: index });
    }
    for (const g of noise) values.push(g + NOISE_OFFSET);
    values.push(action);
  }
  return values;
}

function shape(message: string): GrailError {
  return new GrailError('WITNESS_FAILED', message);
}
