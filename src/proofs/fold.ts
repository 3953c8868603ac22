import {
  type Architecture,
  fanIn,
  type Layer,
  type LayerTensors,
  layerInputs,
  layerOutputs,
  type Policy,
  patchIndices,
  positions,
  weightRows,
} from '../policy/architecture.ts';
import { checkPolicy } from '../policy/quantiser.ts';
import { bytesToBig, concat, u64 } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { networkHash } from '../protocol/hash.ts';
import { FIELD_ORDER, signedToField } from './fields.ts';
import { digestElements } from './poseidon.ts';
import type { ProofVariant } from './types.ts';
import { circuitLayout } from './widths.ts';

/**
 * A policy folded at ρ (docs/PROTOCOL.md, Proof, Fold): with Freivalds' identity, Σᵢ ρ^(i+1)·yᵢ = Σⱼ vⱼ·xⱼ + c stands
 * for y = Wx + b, at any ρ that was drawn after y was fixed.
 */

/** Field elements in [0, r). */
export interface PolicyFolds {
  /** v of the first layer, one element for each observed value: the verifier folds the observations itself. */
  readonly observation: readonly bigint[];
  /** The biases of all layers. */
  readonly constant: bigint;
  /** What circuits take: v of every other layer, one element for each value that it takes, layer by layer. */
  readonly circuit: readonly bigint[];
}

/**
 * ρ of a window: 1 + (SHA-256(tag("rho") ‖ genesisHash ‖ u64 window ‖ policyRoot ‖ challengeSeed ‖ openingsRoot)
 * mod (r − 1)), so never zero. Nobody knows it before every opening of the window is in the ledger.
 */
export function rhoFrom(input: {
  genesisHash: Uint8Array;
  window: number;
  policyRoot: Uint8Array;
  challengeSeed: Uint8Array;
  /** Root of the closed opening phase. */
  openingsRoot: Uint8Array;
}): bigint {
  const { genesisHash, window, policyRoot, challengeSeed, openingsRoot } = input;
  for (const hash of [genesisHash, policyRoot, challengeSeed, openingsRoot]) {
    if (hash.length !== 32) throw new RangeError('rho is derived from 32-byte hashes');
  }
  const digest = networkHash(
    'rho',
    genesisHash,
    concat(u64(window), policyRoot, challengeSeed, openingsRoot),
  );
  return 1n + (bytesToBig(digest) % (FIELD_ORDER - 1n));
}

/**
 * The policy's fold vectors. All accumulators of a step are numbered through, layer by layer, y in a layer in the order
 * `[positions, rows]`; a layer whose first accumulator is number f gives row i of position p the weight ρ^(f+p·rows+i+1):
 *
 *     u_k = Σᵢ ρ^(f+i+1) · W[i][k]                          folds the weights once, whatever the number of positions
 *     vⱼ  = Σ over places (p, k) of value j in a patch: ρ^(p·rows) · u_k
 *     c   = Σ_p ρ^(p·rows) · Σᵢ ρ^(f+i+1) · b[i]
 *     Σ_{p,i} ρ^(f+p·rows+i+1) · y[p][i] = Σⱼ vⱼ · xⱼ + c
 *
 * A dense layer has one position, so v = u. The circuit sees v: a convolution is to it a dense layer of `layerOutputs`
 * rows.
 * @throws RangeError when ρ is not in [1, r); GrailError POLICY_INVALID for a value outside the architecture's ranges
 */
export function foldPolicy(policy: Policy, rho: bigint): PolicyFolds {
  if (rho < 1n || rho >= FIELD_ORDER) throw new RangeError('rho is not in [1, r)');
  // The bound on errors, hence the proof's soundness, rests on |w| ≤ 127 and |b| ≤ biasMax.
  checkPolicy(policy);
  const { layers } = policy.architecture;
  const powers = rhoPowers(
    rho,
    layers.reduce((rows, layer) => rows + layerOutputs(layer), 0),
  );
  let first = 0;
  let constant = 0n;
  const vectors = layers.map((layer, index) => {
    const { weight, bias } = policy.layers[index]!;
    const { v, c } = foldLayer(layer, { weight, bias }, powers, first);
    first += layerOutputs(layer);
    constant += c;
    return v;
  });
  return { observation: vectors[0]!, constant: constant % FIELD_ORDER, circuit: vectors.slice(1).flat() };
}

/** v and c of the layer whose first accumulator has the weight powers[first]. */
function foldLayer(
  layer: Layer,
  { weight, bias }: LayerTensors,
  powers: readonly bigint[],
  first: number,
): { v: bigint[]; c: bigint } {
  const [width, rows] = [fanIn(layer), weightRows(layer)];
  const u = new Array<bigint>(width).fill(0n);
  let biases = 0n;
  for (let i = 0; i < rows; i++) {
    const power = powers[first + i]!;
    for (let k = 0; k < width; k++) {
      const value = weight[i * width + k]!;
      if (value !== 0) u[k]! += BigInt(value) * power;
    }
    biases += BigInt(bias[i]!) * power;
  }
  const folded = u.map(signedToField);
  const patches = patchIndices(layer);
  const v = new Array<bigint>(layerInputs(layer)).fill(0n);
  let c = 0n;
  for (let p = 0; p < positions(layer); p++) {
    const shift = p === 0 ? 1n : powers[p * rows - 1]!;
    for (let k = 0; k < width; k++) v[patches[p * width + k]!]! += shift * folded[k]!;
    c += shift * biases;
  }
  return { v: v.map(signedToField), c: signedToField(c) };
}

/**
 * What the verifier knows of each fold equation of a proof: Σⱼ vⱼ · Σ_b 2^(SL·b)·x[b][j] + c · Σ_b 2^(SL·b), over the up to B'
 * steps b that it covers, with v of the first layer, its observations x and the biases c of all layers.
 * @param observations one a step, `[observation]` int8 in [-127, 127]
 * @returns `[⌈steps / B'⌉]` field elements
 * @throws GrailError INT8_RANGE for an observation of −128; WITNESS_FAILED for one of another length
 */
export function foldObservations(
  architecture: Architecture,
  { observation: v, constant }: PolicyFolds,
  observations: readonly Int8Array[],
): bigint[] {
  const { stride, folded } = circuitLayout({ architecture, stepsPerProof: observations.length });
  for (const [step, observation] of observations.entries()) {
    if (observation.length !== architecture.observation) {
      throw new GrailError(
        'WITNESS_FAILED',
        `step ${step} takes ${architecture.observation} observed values`,
      );
    }
    if (observation.includes(-128)) {
      throw new GrailError('INT8_RANGE', `step ${step}: an observation holds −128`, { step });
    }
  }
  const out: bigint[] = [];
  for (let from = 0; from < observations.length; from += folded) {
    let sum = 0n;
    for (const [b, observation] of observations.slice(from, from + folded).entries()) {
      let step = constant;
      for (const [j, x] of observation.entries()) if (x !== 0) step += BigInt(x) * v[j]!;
      sum += signedToField(step) << BigInt(stride * b);
    }
    out.push(sum % FIELD_ORDER);
  }
  return out;
}

const digests = new WeakMap<PolicyFolds, bigint>();

/**
 * Digest of the circuit's fold vectors: the fold sponge over all of them. In every window's ledger entry. Computed once of the
 * same folds, as all proofs of a window ask for it.
 */
export function foldDigest(folds: PolicyFolds): bigint {
  const digest = digests.get(folds) ?? digestElements('fold', folds.circuit);
  digests.set(folds, digest);
  return digest;
}

/** What a proof of this variant takes as public inputs after ρ: the fold vectors, or their digest alone. */
export function foldInputs(variant: ProofVariant, folds: PolicyFolds): readonly bigint[] {
  return variant === 'folds' ? folds.circuit : [foldDigest(folds)];
}

/** ρ, ρ², …, ρ^count. */
function rhoPowers(rho: bigint, count: number): bigint[] {
  const powers = [rho];
  while (powers.length < count) powers.push((powers.at(-1)! * rho) % FIELD_ORDER);
  return powers;
}
