import { sameShared } from '../batch.ts';
import { FIELD_ORDER } from '../fields.ts';
import { type Engine, F12, G1_AFFINE, G1_JACOBIAN } from './engine.ts';
import type { PreparedKey } from './key.ts';
import { isUnitPairing, multiplyMillerValues, type Pair } from './miller.ts';

/** A proof whose points have been checked (`checkProof`), with its signals, all below r. Addresses. */
export interface CheckedProof {
  /** Its first signal. */
  readonly first: bigint;
  /** Those after the first are its own, and the same array for proofs that share them. */
  readonly signals: readonly bigint[];
  /** A and C, affine. */
  readonly a: number;
  readonly c: number;
  /** Lines of B. */
  readonly b: number;
}

/** Bytes of a proof's weight. */
const WEIGHT = 16;
const SCALAR = 32;
/** Pairs of one Miller loop: so long (about 20 ms) nothing else runs. */
const LOOP_PAIRS = 32;

/** The weighted sum of the equations of proofs of one key (docs/PROTOCOL.md, Batches). */
export class Equation {
  readonly #engine: Engine;
  readonly #key: PreparedKey;
  readonly #pause: () => Promise<void>;
  /** IC₀ + Σ_{i ≥ 2} s_i·IC_i of the newest signals after the first: a window's proofs share it. */
  readonly #sum: number;
  #summed: readonly bigint[] | undefined;

  /** @param pause lets others run */
  constructor(engine: Engine, key: PreparedKey, pause: () => Promise<void>) {
    this.#engine = engine;
    this.#key = key;
    this.#pause = pause;
    this.#sum = engine.alloc(G1_AFFINE);
  }

  /**
   * Whether Π e(z_j·A_j, B_j) = e(Σ z_j·α, β) · e(Σ z_j·(IC₀ + Σ s_ji·IC_i), γ) · e(Σ z_j·C_j, δ).
   * @param weights z_j, in [1, 2^128), one a proof; of a single proof 1
   */
  async holds(proofs: readonly CheckedProof[], weights: readonly bigint[]): Promise<boolean> {
    const engine = this.#engine;
    const { fn } = engine;
    const { alpha, beta, gamma, delta } = this.#key;
    const count = proofs.length;
    // Nothing that is allocated here outlives the verifier's turn.
    const points = engine.alloc(G1_JACOBIAN * (count + 3));
    const affine = engine.alloc(G1_AFFINE * (count + 3));
    const product = engine.alloc(F12);
    const [alphas, publics, cs] = [0, 1, 2].map((i) => points + G1_JACOBIAN * (count + i)) as [
      number,
      number,
      number,
    ];
    engine.scoped(() => {
      const bases = engine.alloc(G1_AFFINE * count);
      // The sum over C reads whole words, up to three bytes beyond its last scalar.
      const scalars = engine.alloc(WEIGHT * count + 8);
      for (const [i, { a, c }] of proofs.entries()) {
        const scalar = scalars + WEIGHT * i;
        engine.writeScalar(scalar, weights[i]!, WEIGHT);
        fn.g1m_timesScalarAffine(a, scalar, WEIGHT, points + G1_JACOBIAN * i);
        fn.g1m_copyAffine(c, bases + G1_AFFINE * i);
      }
      fn.g1m_multiexpAffine(bases, scalars, WEIGHT, count, cs);
      const total = weights.reduce((sum, weight) => sum + weight, 0n);
      this.#times(alpha, total, alphas);
      this.#publicPoint(proofs, weights, total, publics);
      fn.g1m_batchToAffine(points, count + 3, affine);
    });
    const lines = [...proofs.map(({ b }) => b), beta, gamma, delta];
    // A pairing with infinity is 1.
    const pairs = lines
      .map((line, i): Pair => ({ g1: affine + G1_AFFINE * i, lines: line }))
      .filter(({ g1 }) => fn.g1m_isZeroAffine(g1) === 0);
    fn.ftm_one(product);
    for (let from = 0; from < pairs.length; from += LOOP_PAIRS) {
      await this.#pause();
      multiplyMillerValues(engine, pairs.slice(from, from + LOOP_PAIRS), product);
    }
    return isUnitPairing(engine, product);
  }

  /** scalar·base for an affine base and a scalar of any size. */
  #times(base: number, scalar: bigint, to: number): void {
    this.#engine.scoped(() => {
      const at = this.#engine.alloc(SCALAR);
      this.#engine.writeScalar(at, scalar % FIELD_ORDER, SCALAR);
      this.#engine.fn.g1m_timesScalarAffine(base, at, SCALAR, to);
    });
  }

  /** Σ z_j·(IC₀ + Σ s_ji·IC_i). `total` is Σ z_j. */
  #publicPoint(proofs: readonly CheckedProof[], weights: readonly bigint[], total: bigint, to: number): void {
    const { fn } = this.#engine;
    const { ic } = this.#key;
    const first = proofs.reduce((sum, proof, i) => sum + weights[i]! * proof.first, 0n);
    const [{ signals }] = proofs as [CheckedProof];
    if (proofs.every((proof) => proof.signals === signals)) {
      this.#sumShared(signals);
      this.#engine.scoped(() => {
        const term = this.#engine.alloc(G1_JACOBIAN);
        this.#times(this.#sum, total, term);
        this.#times(ic + G1_AFFINE, first, to);
        fn.g1m_add(to, term, to);
      });
      return;
    }
    const coefficients = [total, first, ...signals.slice(1).fill(0n)];
    for (const [j, proof] of proofs.entries()) {
      for (let i = 1; i < signals.length; i++) coefficients[i + 1]! += weights[j]! * proof.signals[i]!;
    }
    this.#sumOfKey(coefficients, to);
  }

  /** Makes `#sum` that of these signals. */
  #sumShared(signals: readonly bigint[]): void {
    if (this.#summed !== undefined && sameShared(this.#summed, signals)) return;
    this.#engine.scoped(() => {
      const sum = this.#engine.alloc(G1_JACOBIAN);
      this.#sumOfKey([1n, 0n, ...signals.slice(1)], sum);
      this.#engine.fn.g1m_toAffine(sum, this.#sum);
    });
    this.#summed = signals;
  }

  /** Σ coefficient_i·IC_i, over all of the key's points. */
  #sumOfKey(coefficients: readonly bigint[], to: number): void {
    this.#engine.scoped(() => {
      const scalars = this.#engine.alloc(SCALAR * coefficients.length + 8);
      for (const [i, coefficient] of coefficients.entries()) {
        this.#engine.writeScalar(scalars + SCALAR * i, coefficient % FIELD_ORDER, SCALAR);
      }
      this.#engine.fn.g1m_multiexpAffine(this.#key.ic, scalars, SCALAR, coefficients.length, to);
    });
  }
}
