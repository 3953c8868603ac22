import { GrailError } from '../../protocol/errors.ts';
import { type ProvenStatement, sameShared } from '../batch.ts';
import { decodeProof } from '../encoding.ts';
import { FIELD_ORDER } from '../fields.ts';
import { type Engine, F1, G1_AFFINE, G2_AFFINE } from './engine.ts';
import type { CheckedProof } from './equation.ts';
import { LINES, type LineMaker } from './lines.ts';

/**
 * Everything that is checked of a proof before any pairing; its points then lie in the engine's memory.
 * @param signalsOfKey how many the key has
 * @param before a checked proof whose signals after the first are, most likely, the same
 * @throws GrailError KEY_MISMATCH for another number of signals, PROOF_INVALID for one that is not below r, PROOF_ENCODING for bytes
 *   that are not finite points of G1, G2 and G1
 */
export function checkProof(
  engine: Engine,
  maker: LineMaker,
  signalsOfKey: number,
  { publicSignals, proof }: ProvenStatement,
  before?: CheckedProof,
): CheckedProof {
  if (publicSignals.length !== signalsOfKey) {
    throw new GrailError(
      'KEY_MISMATCH',
      `the statement has ${publicSignals.length} public signals, the key ${signalsOfKey}: they are of different circuits`,
      { expected: signalsOfKey, got: publicSignals.length },
    );
  }
  checkSignal(publicSignals, 0);
  const known = before !== undefined && sameShared(before.signals, publicSignals);
  if (!known) for (let index = 1; index < publicSignals.length; index++) checkSignal(publicSignals, index);
  const [ax, ay, bx1, bx0, by1, by0, cx, cy] = decodeProof(proof);
  const { g1m_inCurveAffine, g2m_inCurveAffine } = engine.fn;
  const place = (
    point: 'A' | 'B' | 'C',
    bytes: number,
    coordinates: readonly bigint[],
    onCurve: (at: number) => number,
  ): number => {
    const at = engine.alloc(bytes);
    for (const [i, coordinate] of coordinates.entries()) engine.writeNumber(at + F1 * i, coordinate);
    if (onCurve(at) === 0) {
      throw new GrailError('PROOF_ENCODING', `${point} is not a point on the curve`, { point });
    }
    return at;
  };
  const a = place('A', G1_AFFINE, [ax, ay], g1m_inCurveAffine);
  const b = place('B', G2_AFFINE, [bx0, bx1, by0, by1], g2m_inCurveAffine);
  const c = place('C', G1_AFFINE, [cx, cy], g1m_inCurveAffine);
  const lines = engine.alloc(LINES);
  if (!maker.make(b, lines)) {
    throw new GrailError('PROOF_ENCODING', 'B is on the curve but not in the subgroup of order r', {
      point: 'B',
    });
  }
  return { first: publicSignals[0]!, signals: known ? before.signals : publicSignals, a, b: lines, c };
}

function checkSignal(signals: readonly bigint[], index: number): void {
  const signal = signals[index]!;
  if (signal < 0n || signal >= FIELD_ORDER) {
    throw new GrailError('PROOF_INVALID', `public signal ${index} is not below the field's order`, {
      signal: index,
    });
  }
}
