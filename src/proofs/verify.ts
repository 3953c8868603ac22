import { fromHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { batchTranscript, batchWeights, findInvalid, MAX_BATCH, type ProvenStatement } from './batch.ts';
import { checkProof } from './pairing/check.ts';
import { Engine } from './pairing/engine.ts';
import { type CheckedProof, Equation } from './pairing/equation.ts';
import { prepareKey } from './pairing/key.ts';
import { LineMaker } from './pairing/lines.ts';
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
   * `MAX_BATCH`, which takes a quarter of the time; one that is invalid costs the others time and nothing else.
   */
  verifyMany(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]>;
}

export interface VerifierOptions {
  /** Lets others run; awaited after every 10 to 40 ms of work. Default: a turn of the event loop. */
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

  async function verifyBatch(items: readonly ProvenStatement[]): Promise<(GrailError | null)[]> {
    const results: (GrailError | null)[] = [];
    const checked: { readonly index: number; readonly points: CheckedProof }[] = [];
    for (const [index, item] of items.entries()) {
      if (index % CHECKED_AT_ONCE === CHECKED_AT_ONCE - 1) await pause();
      try {
        checked.push({
          index,
          points: checkProof(engine, maker, prepared.publicSignals, item, checked.at(-1)?.points),
        });
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
