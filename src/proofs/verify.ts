import type { Curve, Group } from 'ffjavascript';
import { GrailError } from '../protocol/errors.ts';
import { batchScalars, sameTail } from './batch-scalars.ts';
import { BASE_FIELD, bn254 } from './curve.ts';
import { decodeProof } from './encoding.ts';
import { FIELD_ORDER } from './field.ts';
import {
  inG2Subgroup,
  littleEndian,
  millerProduct,
  PAIRS_AT_ONCE,
  type Pair,
  type PreparedG2,
} from './pairing.ts';
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
  /**
   * Checks many proofs together (docs/PROTOCOL.md, Batches), 1.4 ms each instead of 5 where all are valid; other work runs in between.
   * @returns in order: null where the proof holds, else the error that `verify` gives
   */
  verifyMany(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]>;
}

/** The most proofs that are checked by one equation: more are checked in turns. */
export const MAX_BATCH = 256;

/** Pairing inputs of a key; all points have been checked. */
interface PreparedKey {
  readonly ic: readonly Uint8Array[];
  readonly alpha: Uint8Array;
  readonly beta: PreparedG2;
  readonly gamma: PreparedG2;
  readonly delta: PreparedG2;
}

/** A proof whose points are of their groups and whose signals are field elements. */
interface Candidate extends ProvenStatement {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly c: Uint8Array;
}

/** An affine point from canonical coordinates, or undefined when it is not a finite point on the curve. */
function pointOn(group: Group, coordinates: readonly unknown[]): Uint8Array | undefined {
  const point = group.fromObject(coordinates);
  return !group.isZero(point) && group.isValid(point) ? point : undefined;
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
    alpha: g1(key.vk_alpha_1, 'vk_alpha_1'),
    beta: prepared(g2(key.vk_beta_2, 'vk_beta_2')),
    gamma: prepared(g2(key.vk_gamma_2, 'vk_gamma_2')),
    delta: prepared(g2(key.vk_delta_2, 'vk_delta_2')),
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
 * A verifier of one key. It shares what proofs have in common: the key's points are prepared once, and the part of
 * the public input that a window's proofs share (all signals but the first, the statement digest) is summed once as
 * long as it stays the same.
 * @throws GrailError KEY_MISMATCH when the key is malformed or one of its points is not of its group.
 */
export async function createVerifier(key: VerificationKey): Promise<ProofVerifier> {
  const curve = await bn254();
  const { G1, Gt } = curve;
  const { ic, alpha, beta, gamma, delta } = prepareKey(curve, parseVerificationKey(key));
  const keyHash = verificationKeyHash(key);
  let shared: { readonly signals: readonly bigint[]; readonly sum: Uint8Array } | undefined;

  /** Σ scalars[i] · bases[i]; scalars of up to `bytes` bytes. */
  function sum(bases: readonly Uint8Array[], scalars: readonly bigint[], bytes = 32): Promise<Uint8Array> {
    const points = new Uint8Array(64 * bases.length);
    const digits = new Uint8Array(bytes * scalars.length);
    bases.forEach((base, i) => {
      points.set(base, 64 * i);
      digits.set(littleEndian(scalars[i]!, bytes), bytes * i);
    });
    return G1.multiExpAffine(points, digits);
  }

  /** IC₀ + Σ_{i ≥ 2} signal_i · IC_i, remembered for the next proof of the window. */
  async function sharedSum(signals: readonly bigint[]): Promise<Uint8Array> {
    if (shared && sameTail(shared.signals, signals)) return shared.sum;
    const tail = signals.slice(1);
    const rest = tail.length === 0 ? ic[0]! : G1.add(await sum(ic.slice(2), tail), ic[0]!);
    shared = { signals, sum: rest };
    return rest;
  }

  /** Σ_j z_j · (IC₀ + Σ_i signal_ji · IC_i). */
  async function publicPoint(batch: readonly Candidate[], scalars: readonly bigint[]): Promise<Uint8Array> {
    const first = batch[0]!.publicSignals;
    const weighted = (of: (candidate: Candidate) => bigint) =>
      batch.reduce((total, candidate, j) => (total + scalars[j]! * of(candidate)) % FIELD_ORDER, 0n);
    const own = G1.timesScalar(
      ic[1]!,
      weighted(({ publicSignals }) => publicSignals[0]!),
    );
    if (batch.every(({ publicSignals }) => sameTail(first, publicSignals))) {
      return G1.add(
        G1.timesScalar(
          await sharedSum(first),
          weighted(() => 1n),
        ),
        own,
      );
    }
    const rest = first.slice(1).map((_, i) => weighted(({ publicSignals }) => publicSignals[i + 1]!));
    return G1.add(await sum([ic[0]!, ...ic.slice(2)], [weighted(() => 1n), ...rest]), own);
  }

  /** Π e(z_j·A_j, B_j) = e(α, β)^Σz · e(public point, γ) · e(Σ z_j·C_j, δ). */
  async function holds(batch: readonly Candidate[], scalars: readonly bigint[]): Promise<boolean> {
    const total = scalars.reduce((all, z) => all + z, 0n) % FIELD_ORDER;
    const pairs: Pair[] = [
      { g1: G1.neg(G1.timesScalar(alpha, total)), g2: { prepared: beta } },
      { g1: G1.neg(await publicPoint(batch, scalars)), g2: { prepared: gamma } },
      {
        g1: G1.neg(
          await sum(
            batch.map(({ c }) => c),
            scalars,
            16,
          ),
        ),
        g2: { prepared: delta },
      },
      ...batch.map(({ a, b }, j) => ({
        g1: scalars[j] === 1n ? a : G1.timesScalar(a, scalars[j]!),
        g2: b,
      })),
    ];
    let product = Gt.one;
    for (let at = 0; at < pairs.length; at += PAIRS_AT_ONCE) {
      if (at > 0) await breath();
      product = Gt.mul(product, millerProduct(curve, pairs.slice(at, at + PAIRS_AT_ONCE)));
    }
    return Gt.eq(curve.finalExponentiation(product), Gt.one);
  }

  /** @throws GrailError as `verify` */
  function parse({ publicSignals, proof }: ProvenStatement): Candidate {
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
    return { publicSignals, proof, ...proofPoints(curve, proof) };
  }

  /** The error of a proof that does not hold by itself, null for one that does. */
  async function single(candidate: Candidate): Promise<GrailError | null> {
    if (await holds([candidate], [1n])) return null;
    return new GrailError('PROOF_INVALID', 'the proof does not verify for this statement', {
      publicSignals: key.nPublic,
    });
  }

  /** Results of a batch: it as a whole, else its halves with scalars of their own, down to single proofs. */
  async function settle(batch: readonly Candidate[]): Promise<(GrailError | null)[]> {
    if (batch.length === 0) return [];
    if (batch.length === 1) return [await single(batch[0]!)];
    if (await holds(batch, batchScalars(keyHash, batch))) return batch.map(() => null);
    const half = batch.length >> 1;
    return [...(await settle(batch.slice(0, half))), ...(await settle(batch.slice(half)))];
  }

  return {
    verificationKeyHash: keyHash,
    async verify(publicSignals, proof) {
      const error = await single(parse({ publicSignals, proof }));
      if (error !== null) throw error;
    },
    async verifyMany(items) {
      const results = new Array<GrailError | null>(items.length).fill(null);
      const candidates: { candidate: Candidate; index: number }[] = [];
      for (const [index, item] of items.entries()) {
        if (index > 0 && index % PAIRS_AT_ONCE === 0) await breath();
        try {
          candidates.push({ candidate: parse(item), index });
        } catch (error) {
          if (!(error instanceof GrailError)) throw error;
          results[index] = error;
        }
      }
      for (let at = 0; at < candidates.length; at += MAX_BATCH) {
        const batch = candidates.slice(at, at + MAX_BATCH);
        const settled = await settle(batch.map(({ candidate }) => candidate));
        for (const [i, { index }] of batch.entries()) results[index] = settled[i]!;
      }
      return results;
    },
  };
}

/** Lets other work of this thread run. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
