import type { Curve, Group } from 'ffjavascript';
import { GrailError } from '../protocol/errors.ts';
import { BASE_FIELD, bn254 } from './curve.ts';
import { decodeProof } from './encoding.ts';
import { FIELD_ORDER } from './poseidon.ts';
import {
  type PointG1,
  type PointG2,
  parseVerificationKey,
  unusableKey,
  type VerificationKey,
  verificationKeyHash,
} from './verification-key.ts';

export {
  checkVerificationKey,
  isDevelopmentKey,
  parseVerificationKey,
  type VerificationKey,
  verificationKeyHash,
} from './verification-key.ts';

/** A proof with the statement that it is checked against. */
export interface ProvenStatement {
  /** In the circuit's order. The verifier makes these itself; they never come from a prover. */
  readonly publicSignals: readonly bigint[];
  /** 256 untrusted bytes (docs/PROTOCOL.md, Proof encoding). */
  readonly proof: Uint8Array;
}

export interface ProofVerifier {
  readonly verificationKeyHash: string;
  /**
   * Resolves when the proof proves the statement.
   * @throws GrailError PROOF_ENCODING for bytes that are not three points of the right groups; PROOF_INVALID when the
   *   pairing equation does not hold or a signal is not a field element; KEY_MISMATCH when the statement has another
   *   number of signals than the key.
   */
  verify(publicSignals: readonly bigint[], proof: Uint8Array): Promise<void>;
  /** Checks each proof on its own, in order: null where it holds, else the error that `verify` gives. */
  verifyMany(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]>;
}

/** Prepared pairing inputs of a key; all points have been checked. */
interface PreparedKey {
  readonly ic: readonly Uint8Array[];
  readonly gamma: Uint8Array;
  readonly delta: Uint8Array;
  /** Miller loop of (α, β), before the final exponentiation. */
  readonly alphaBeta: Uint8Array;
}

/** An affine point from canonical coordinates, or undefined when it is not a finite point on the curve. */
function pointOn(group: Group, coordinates: readonly unknown[]): Uint8Array | undefined {
  const point = group.fromObject(coordinates);
  return !group.isZero(point) && group.isValid(point) ? point : undefined;
}

/** G1 of BN254 has no cofactor; the twist has one, so a point on it need not be of order r. */
function inG2Subgroup(curve: Curve, point: Uint8Array): boolean {
  return curve.G2.isZero(curve.G2.timesScalar(point, FIELD_ORDER));
}

function prepareKey(curve: Curve, key: VerificationKey): PreparedKey {
  const number = (text: string, field: string): bigint => {
    const value = BigInt(text);
    if (value >= BASE_FIELD)
      throw unusableKey(`${field} has a coordinate that is not below the modulus`, field);
    return value;
  };
  const g1 = ([x, y]: PointG1, field: string): Uint8Array => {
    const out = pointOn(curve.G1, [number(x, field), number(y, field)]);
    if (out === undefined) throw unusableKey(`${field} is not a point of G1`, field);
    return out;
  };
  const g2 = ([x, y]: PointG2, field: string): Uint8Array => {
    const coordinates = [x, y].map(([c0, c1]) => [number(c0, field), number(c1, field)]);
    const out = pointOn(curve.G2, coordinates);
    if (out === undefined || !inG2Subgroup(curve, out)) {
      throw unusableKey(`${field} is not a point of G2`, field);
    }
    return out;
  };
  if (key.IC.length !== key.nPublic + 1) throw unusableKey('IC has another length than nPublic + 1', 'IC');
  const prepared = (point: Uint8Array) => curve.prepareG2(curve.G2.toJacobian(point));
  return {
    ic: key.IC.map((point, i) => g1(point, `IC[${i}]`)),
    gamma: prepared(g2(key.vk_gamma_2, 'vk_gamma_2')),
    delta: prepared(g2(key.vk_delta_2, 'vk_delta_2')),
    alphaBeta: curve.millerLoop(
      curve.prepareG1(curve.G1.toJacobian(g1(key.vk_alpha_1, 'vk_alpha_1'))),
      prepared(g2(key.vk_beta_2, 'vk_beta_2')),
    ),
  };
}

/** The proof's points, each on its curve and in its subgroup. @throws GrailError PROOF_ENCODING */
function proofPoints(curve: Curve, proof: Uint8Array): { a: Uint8Array; b: Uint8Array; c: Uint8Array } {
  const [ax, ay, bx1, bx0, by1, by0, cx, cy] = decodeProof(proof);
  const on = (point: string, group: Group, coordinates: readonly unknown[]): Uint8Array => {
    const found = pointOn(group, coordinates);
    if (found === undefined) {
      throw new GrailError('PROOF_ENCODING', `${point} is not a point on the curve`, { point });
    }
    return found;
  };
  const a = on('A', curve.G1, [ax, ay]);
  const b = on('B', curve.G2, [
    [bx0, bx1],
    [by0, by1],
  ]);
  const c = on('C', curve.G1, [cx, cy]);
  if (!inG2Subgroup(curve, b)) {
    throw new GrailError('PROOF_ENCODING', 'B is on the curve but not in the subgroup of order r', {
      point: 'B',
    });
  }
  return { a, b, c };
}

/**
 * A verifier of one key. It shares what proofs have in common: the key's pairings are prepared once, and the part of
 * the public input that a window's proofs share (all signals but the first, the statement digest) is summed once as
 * long as it stays the same.
 * @throws GrailError KEY_MISMATCH when the key is malformed or one of its points is not of its group.
 */
export async function createVerifier(key: VerificationKey): Promise<ProofVerifier> {
  const curve = await bn254();
  const { G1, G2, Gt } = curve;
  const { ic, gamma, delta, alphaBeta } = prepareKey(curve, parseVerificationKey(key));
  let shared: { readonly signals: readonly bigint[]; readonly sum: Uint8Array } | undefined;

  /** IC₀ + Σ_{i ≥ 2} signal_i · IC_i, remembered for the next proof of the window. */
  async function sharedSum(signals: readonly bigint[]): Promise<Uint8Array> {
    if (shared?.signals.every((value, i) => value === signals[i])) return shared.sum;
    const bases = new Uint8Array(64 * signals.length);
    const scalars = new Uint8Array(32 * signals.length);
    const view = new DataView(scalars.buffer);
    signals.forEach((signal, i) => {
      bases.set(ic[i + 2]!, 64 * i);
      for (let word = 0; word < 4; word++) {
        view.setBigUint64(32 * i + 8 * word, BigInt.asUintN(64, signal >> BigInt(64 * word)), true);
      }
    });
    const sum = signals.length === 0 ? ic[0]! : G1.add(await G1.multiExpAffine(bases, scalars), ic[0]!);
    shared = { signals: [...signals], sum };
    return sum;
  }

  async function verify(publicSignals: readonly bigint[], proof: Uint8Array): Promise<void> {
    if (publicSignals.length !== key.nPublic) {
      throw new GrailError(
        'KEY_MISMATCH',
        `the statement has ${publicSignals.length} public signals, the key ${key.nPublic}: they are of different circuits`,
        { expected: key.nPublic, got: publicSignals.length },
      );
    }
    publicSignals.forEach((signal, index) => {
      if (signal < 0n || signal >= FIELD_ORDER) {
        throw new GrailError('PROOF_INVALID', `public signal ${index} is not below the field's order`, {
          signal: index,
        });
      }
    });
    const { a, b, c } = proofPoints(curve, proof);
    let publicPoint = G1.toJacobian(await sharedSum(publicSignals.slice(1)));
    publicPoint = G1.add(publicPoint, G1.timesScalar(ic[1]!, publicSignals[0]!));
    const miller = (g1: Uint8Array, preparedG2: Uint8Array) =>
      curve.millerLoop(curve.prepareG1(G1.toJacobian(g1)), preparedG2);
    let product = Gt.mul(alphaBeta, miller(G1.neg(a), curve.prepareG2(G2.toJacobian(b))));
    product = Gt.mul(product, miller(c, delta));
    if (!G1.isZero(publicPoint)) product = Gt.mul(product, miller(publicPoint, gamma));
    if (!Gt.eq(curve.finalExponentiation(product), Gt.one)) {
      throw new GrailError('PROOF_INVALID', 'the proof does not verify for this statement', {
        publicSignals: publicSignals.length,
      });
    }
  }

  return {
    verificationKeyHash: verificationKeyHash(key),
    verify,
    async verifyMany(items) {
      const results: (GrailError | null)[] = [];
      for (const { publicSignals, proof } of items) {
        try {
          await verify(publicSignals, proof);
          results.push(null);
        } catch (error) {
          if (!(error instanceof GrailError)) throw error;
          results.push(error);
        }
      }
      return results;
    },
  };
}
