import {
  poseidon2,
  poseidon3,
  poseidon4,
  poseidon5,
  poseidon6,
  poseidon7,
  poseidon8,
  poseidon9,
  poseidon10,
  poseidon11,
  poseidon12,
  poseidon13,
  poseidon14,
  poseidon15,
  poseidon16,
} from 'poseidon-lite';
import { bytesToBig, u32 } from '../protocol/bytes.ts';
import { sha256, tag } from '../protocol/hash.ts';

/** r: the order of BN254's scalar field, where circuits compute. */
export const FIELD_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

/** Elements that one Poseidon permutation absorbs besides the running state. */
export const SPONGE_BLOCK = 15;

/** By number of inputs; index 0 and 1 are unused. The constants are circomlib's. */
const POSEIDON = [
  undefined,
  undefined,
  poseidon2,
  poseidon3,
  poseidon4,
  poseidon5,
  poseidon6,
  poseidon7,
  poseidon8,
  poseidon9,
  poseidon10,
  poseidon11,
  poseidon12,
  poseidon13,
  poseidon14,
  poseidon15,
  poseidon16,
] as const;

/** The three sponges of a proof. Each starts from a constant of its own. */
export type SpongeName = 'trace' | 'statement' | 'fold';

/** What a sponge over `elements` elements starts from: SHA-256(tag("poseidon/NAME") ‖ u32 elements) mod r. */
export function spongeDomain(name: SpongeName, elements: number): bigint {
  return toField(sha256(tag(`poseidon/${name}`), u32(elements)));
}

/**
 * Absorbs field elements, 15 a block: h = domain; h = Poseidon([h, block…]) for each block, the last of which may be
 * shorter. The number of elements is not encoded: it is fixed by the circuit, and `spongeDomain` binds it.
 * @throws RangeError for no elements, or one outside [0, r)
 */
export function sponge(domain: bigint, elements: readonly bigint[]): bigint {
  if (elements.length === 0) throw new RangeError('a sponge needs at least one element');
  for (const [i, element] of elements.entries()) {
    if (element < 0n || element >= FIELD_ORDER)
      throw new RangeError(`sponge element ${i} is not a field element`);
  }
  let state = domain;
  for (let at = 0; at < elements.length; at += SPONGE_BLOCK) {
    const block = [state, ...elements.slice(at, at + SPONGE_BLOCK)];
    state = POSEIDON[block.length]!(block);
  }
  return state;
}

/** The named sponge over `elements`. */
export function digestElements(name: SpongeName, elements: readonly bigint[]): bigint {
  return sponge(spongeDomain(name, elements.length), elements);
}

/** A big-endian byte string as a field element, mod r. */
export function toField(bytes: Uint8Array): bigint {
  return bytesToBig(bytes) % FIELD_ORDER;
}

/** An integer of either sign as a field element. */
export function signedToField(value: bigint): bigint {
  const rest = value % FIELD_ORDER;
  return rest < 0n ? rest + FIELD_ORDER : rest;
}
