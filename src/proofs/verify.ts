import { fromHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { batchTranscript, batchWeights, findInvalid, MAX_BATCH, type ProvenStatement } from './batch.ts';
import { decodeProof } from './encoding.ts';
import { FIELD_ORDER } from './fields.ts';
import { Engine, F1, G1_AFFINE, G2_AFFINE } from './pairing/engine.ts';
import { type CheckedProof, Equation } from './pairing/equation.ts';
import { prepareKey } from './pairing/key.ts';
import { LINES, LineMaker } from './pairing/lines.ts';
import { type VerificationKey, verificationKeyHash } from './verification-key.ts';

export type { ProvenStatement } from './batch.ts';
export {
  checkVerificationKey,
  isDevelopmentKey,
  parseVerificationKey,
  type VerificationKey,
  verificationKeyHash,
} from './verification-key.ts';

/** Proofs whose points are checked, about 0.4 ms each, before others may run. */
const CHECKED_AT_ONCE = 32;

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
   * Null where a proof holds, else the error that `verify` gives, in the items' order. Proofs are checked in batches of
   * `MAX_BATCH`, which takes a third of the time; one that is invalid costs the others time and nothing else.
   */
  verifyMany(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]>;
}

export interface VerifierOptions {
  /** Lets others run; awaited after every 10 to 30 ms of work. Default: a turn of the event loop. */
  readonly pause?: () => Promise<void>;
}

const nextTurn = () =>
  new Promise<void>((resolve) => {
    // Browsers have no setImmediate, Node's timers wait a millisecond.
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });

/**
 * A verifier of one key. It shares what proofs have in common: the key's points are prepared once, and the part of the
 * public input that a window's proofs share (all signals but the first, the statement digest) is summed once as long
 * as it stays the same.
 * @throws GrailError KEY_MISMATCH when the key is malformed or one of its points is not of its group.
 */
export async function createVerifier(
  key: VerificationKey,
  { pause = nextTurn }: VerifierOptions = {},
): Promise<ProofVerifier> {
  const engine = await Engine.load();
  const maker = new LineMaker(engine);
  const prepared = prepareKey(engine, maker, key);
  const equation = new Equation(engine, prepared, pause);
  const keyHash = verificationKeyHash(key);

  function checkSignals(signals: readonly bigint[]): void {
    if (signals.length !== prepared.publicSignals) {
      throw new GrailError(
        'KEY_MISMATCH',
        `the statement has ${signals.length} public signals, the key ${prepared.publicSignals}: they are of different circuits`,
        { expected: prepared.publicSignals, got: signals.length },
      );
    }
    for (const [index, signal] of signals.entries()) {
      if (signal < 0n || signal >= FIELD_ORDER) {
        throw new GrailError('PROOF_INVALID', `public signal ${index} is not below the field's order`, {
          signal: index,
        });
      }
    }
  }

  /** The proof's points, each on its curve and in its subgroup. @throws GrailError */
  function check({ publicSignals, proof }: ProvenStatement): CheckedProof {
    checkSignals(publicSignals);
    const coordinates = decodeProof(proof);
    const [a, b, c, lines] = [G1_AFFINE, G2_AFFINE, G1_AFFINE, LINES].map((bytes) => engine.alloc(bytes)) as [
      number,
      number,
      number,
      number,
    ];
    const [ax, ay, bx1, bx0, by1, by0, cx, cy] = coordinates;
    const { g1m_inCurveAffine, g2m_inCurveAffine } = engine.fn;
    for (const [point, at, values, onCurve] of [
      ['A', a, [ax, ay], g1m_inCurveAffine],
      ['B', b, [bx0, bx1, by0, by1], g2m_inCurveAffine],
      ['C', c, [cx, cy], g1m_inCurveAffine],
    ] as const) {
      for (const [i, value] of values.entries()) engine.writeNumber(at + F1 * i, value);
      if (onCurve(at) === 0) {
        throw new GrailError('PROOF_ENCODING', `${point} is not a point on the curve`, { point });
      }
    }
    if (!maker.make(b, lines)) {
      throw new GrailError('PROOF_ENCODING', 'B is on the curve but not in the subgroup of order r', {
        point: 'B',
      });
    }
    return { signals: publicSignals, a, c, b: lines };
  }

  async function verifyBatch(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]> {
    const results: (GrailError | null)[] = [];
    const checked: { readonly index: number; readonly points: CheckedProof }[] = [];
    for (const [index, item] of items.entries()) {
      if (index % CHECKED_AT_ONCE === CHECKED_AT_ONCE - 1) await pause();
      try {
        checked.push({ index, points: check(item) });
        results.push(null);
      } catch (error) {
        if (!(error instanceof GrailError)) throw error;
        results.push(error);
      }
    }
    const points = checked.map((proof) => proof.points);
    const transcript = batchTranscript(
      fromHex(keyHash),
      checked.map(({ index }) => items[index]!),
    );
    const invalid = await findInvalid(
      points.length,
      (from, to) => equation.holds(points.slice(from, to), batchWeights(transcript, from, to)),
      (index) => equation.holds([points[index]!], [1n]),
    );
    for (const position of invalid) {
      results[checked[position]!.index] = new GrailError(
        'PROOF_INVALID',
        'the proof does not verify for this statement',
        { publicSignals: prepared.publicSignals },
      );
    }
    return results;
  }

  async function verifyMany(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]> {
    const results: (GrailError | null)[] = [];
    for (let from = 0; from < items.length; from += MAX_BATCH) {
      const batch = items.slice(from, from + MAX_BATCH);
      results.push(...(await engine.exclusively(() => verifyBatch(batch))));
    }
    return results;
  }

  return {
    verificationKeyHash: keyHash,
    verifyMany,
    async verify(publicSignals, proof) {
      const [error] = await verifyMany([{ publicSignals, proof }]);
      if (error) throw error;
    },
  };
}
