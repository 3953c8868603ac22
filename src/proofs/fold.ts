import {
  fanIn,
  type Layer,
  type LayerTensors,
  layerInputs,
  layerOutputs,
  type Policy,
  patchIndices,
  positions,
  weightCount,
  weightRows,
} from '../policy/architecture.ts';
import { bytesToBig, concat, u64 } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { networkHash } from '../protocol/hash.ts';
import { digestElements, FIELD_ORDER, signedToField } from './poseidon.ts';
import type { ProofVariant } from './types.ts';

/**
 * A policy folded at ρ (docs/PROTOCOL.md, Proof, Fold): with Freivalds' identity, Σᵢ ρ^(i+1)·yᵢ = Σⱼ uⱼ·xⱼ + c stands
 * for y = Wx + b, at any ρ that was drawn after y was fixed.
 */

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
 * The fold vectors of every layer, in the order of the circuit's inputs: one element for each value that the layer
 * takes, then one for its biases, layer by layer. Field elements in [0, r).
 *
 * With y in the order `[positions, rows]` and weight ρ^(p·rows+i+1) for row i of position p:
 *
 *     u_k = Σᵢ ρ^(i+1) · W[i][k]                            folds the weights once, whatever the number of positions
 *     vⱼ  = Σ over places (p, k) of value j in a patch: ρ^(p·rows) · u_k
 *     c   = Σ_p ρ^(p·rows) · Σᵢ ρ^(i+1) · b[i]
 *     Σ_{p,i} ρ^(p·rows+i+1) · y[p][i] = Σⱼ vⱼ · xⱼ + c
 *
 * A dense layer has one position, so v = u. The circuit sees v: a convolution is to it a dense layer of
 * `layerOutputs` rows.
 * @throws RangeError when ρ is not in [1, r)
 */
export function foldVectors(policy: Policy, rho: bigint): bigint[] {
  if (rho < 1n || rho >= FIELD_ORDER) throw new RangeError('rho is not in [1, r)');
  const { layers } = policy.architecture;
  const powers = rhoPowers(rho, Math.max(...layers.map(layerOutputs)));
  const folds: bigint[] = [];
  for (const [index, layer] of layers.entries()) {
    const { weight, bias } = policy.layers[index]!;
    if (weight.length !== weightCount(layer) || bias.length !== weightRows(layer)) {
      throw new GrailError(
        'WITNESS_FAILED',
        `layer ${index}: the tensors are not of the architecture's shape`,
      );
    }
    folds.push(...foldLayer(layer, { weight, bias }, powers));
  }
  return folds;
}

/** v and c of one layer. */
function foldLayer(layer: Layer, { weight, bias }: LayerTensors, powers: readonly bigint[]): bigint[] {
  const [width, rows] = [fanIn(layer), weightRows(layer)];
  const u = new Array<bigint>(width).fill(0n);
  let biases = 0n;
  for (let i = 0; i < rows; i++) {
    const power = powers[i]!;
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
  return [...v.map(signedToField), signedToField(c)];
}

/** Digest of fold vectors: the fold sponge over all of them. In every window's ledger entry. */
export function foldDigest(folds: readonly bigint[]): bigint {
  return digestElements('fold', folds);
}

/** What a proof of this variant takes as public inputs after ρ: the fold vectors, or their digest alone. */
export function foldInputs(variant: ProofVariant, folds: readonly bigint[]): readonly bigint[] {
  return variant === 'folds' ? folds : [foldDigest(folds)];
}

/** ρ, ρ², …, ρ^count. */
function rhoPowers(rho: bigint, count: number): bigint[] {
  const powers = [rho];
  while (powers.length < count) powers.push((powers.at(-1)! * rho) % FIELD_ORDER);
  return powers;
}
