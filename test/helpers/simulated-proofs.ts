import type { Group } from 'ffjavascript';
import type { ProvenStatement } from '../../src/proofs/batch.ts';
import { bn254 } from '../../src/proofs/curve.ts';
import { encodeProof, type ProofCoordinates } from '../../src/proofs/encoding.ts';
import { FIELD_ORDER, inverse } from '../../src/proofs/fields.ts';
import type { PointG1, PointG2, VerificationKey } from '../../src/proofs/verification-key.ts';
import { u32, utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';

/** A scalar in [1, r) that follows from a name: nothing here is random. */
export function scalarOf(name: string, index = 0): bigint {
  return (
    1n + (BigInt(`0x${Buffer.from(sha256(utf8(name), u32(index))).toString('hex')}`) % (FIELD_ORDER - 1n))
  );
}

const mod = (value: bigint) => ((value % FIELD_ORDER) + FIELD_ORDER) % FIELD_ORDER;

/** Logarithms of a proof's points. */
export interface ProofLogarithms {
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
}

/**
 * A verification key all of whose logarithms are known, of no circuit: it proves anything, in milliseconds and without a
 * prover, by Groth16's simulator. For bulk, and for proofs that are false in a chosen way.
 */
export class SimulatedKey {
  readonly key: VerificationKey;
  readonly #g1: (scalar: bigint) => [bigint, bigint];
  readonly #g2: (scalar: bigint) => [[bigint, bigint], [bigint, bigint]];
  readonly #name: string;

  private constructor(
    name: string,
    key: VerificationKey,
    g1: (scalar: bigint) => [bigint, bigint],
    g2: (scalar: bigint) => [[bigint, bigint], [bigint, bigint]],
  ) {
    this.#name = name;
    this.key = key;
    this.#g1 = g1;
    this.#g2 = g2;
  }

  /** @param name keys of different names have nothing in common */
  static async create(publicSignals: number, name = 'simulated'): Promise<SimulatedKey> {
    const curve = await bn254();
    const times = (group: Group) => (scalar: bigint) =>
      group.toObject(group.toAffine(group.timesScalar(group.g, mod(scalar))));
    const g1 = times(curve.G1) as (scalar: bigint) => [bigint, bigint];
    const g2 = times(curve.G2) as (scalar: bigint) => [[bigint, bigint], [bigint, bigint]];
    const point1 = (scalar: bigint): PointG1 => {
      const [x, y] = g1(scalar);
      return [`${x}`, `${y}`, '1'];
    };
    const point2 = (scalar: bigint): PointG2 => {
      const [x, y] = g2(scalar);
      return [
        [`${x[0]}`, `${x[1]}`],
        [`${y[0]}`, `${y[1]}`],
        ['1', '0'],
      ];
    };
    const secret = (part: string, index = 0) => scalarOf(`${name} ${part}`, index);
    const text = (value: unknown): unknown => (Array.isArray(value) ? value.map(text) : `${value}`);
    const pairing = curve.pairing(
      curve.G1.timesScalar(curve.G1.g, secret('alpha')),
      curve.G2.timesScalar(curve.G2.g, secret('beta')),
    );
    const key: VerificationKey = {
      protocol: 'groth16',
      curve: 'bn128',
      nPublic: publicSignals,
      vk_alpha_1: point1(secret('alpha')),
      vk_beta_2: point2(secret('beta')),
      vk_gamma_2: point2(secret('gamma')),
      vk_delta_2: point2(secret('delta')),
      vk_alphabeta_12: text(curve.Gt.toObject(pairing)) as VerificationKey['vk_alphabeta_12'],
      IC: Array.from({ length: publicSignals + 1 }, (_, i) => point1(secret('ic', i))),
    };
    return new SimulatedKey(name, key, g1, g2);
  }

  /** Logarithms of a valid proof of these signals; another for each `nonce`. */
  logarithms(publicSignals: readonly bigint[], nonce = 0): ProofLogarithms {
    const secret = (part: string, index = 0) => scalarOf(`${this.#name} ${part}`, index);
    const [a, b] = [scalarOf('a', nonce), scalarOf('b', nonce)];
    const statement = publicSignals.reduce((sum, s, i) => sum + s * secret('ic', i + 1), secret('ic', 0));
    const rest = a * b - secret('alpha') * secret('beta') - secret('gamma') * statement;
    return { a, b, c: mod(rest * inverse(secret('delta'))) };
  }

  /** The signals with that at `index` replaced such that IC₀ + Σ s_i·IC_i is infinity. */
  vanishing(signals: readonly bigint[], index: number): bigint[] {
    const ic = (i: number) => scalarOf(`${this.#name} ic`, i);
    const others = signals.reduce((sum, s, i) => (i === index ? sum : sum + s * ic(i + 1)), ic(0));
    return signals.with(index, mod(-others * inverse(ic(index + 1))));
  }

  /** The proof whose points have these logarithms, valid or not. */
  encode({ a, b, c }: ProofLogarithms): Uint8Array {
    const [[ax, ay], [bx, by], [cx, cy]] = [this.#g1(a), this.#g2(b), this.#g1(c)];
    const coordinates: ProofCoordinates = [ax, ay, bx[1], bx[0], by[1], by[0], cx, cy];
    return encodeProof(coordinates);
  }

  /** A valid proof of these signals. */
  prove(publicSignals: readonly bigint[], nonce = 0): ProvenStatement {
    return { publicSignals, proof: this.encode(this.logarithms(publicSignals, nonce)) };
  }

  /** A proof of right form that proves nothing. */
  fake(publicSignals: readonly bigint[], nonce = 0): ProvenStatement {
    const { a, b, c } = this.logarithms(publicSignals, nonce);
    return { publicSignals, proof: this.encode({ a, b, c: c + 1n }) };
  }
}

/** Signals of proof `index` of a window: the first its own, the others those of `window`. */
export function windowSignals(count: number, index: number, window = 0): bigint[] {
  return Array.from({ length: count }, (_, i) =>
    i === 0 ? scalarOf(`statement ${window}`, index) : scalarOf(`fold ${window}`, i),
  );
}
