import type { Curve } from 'ffjavascript';
import { decodeProof, encodeProof, type ProofCoordinates } from '../../src/proofs/encoding.ts';
import { inverse } from '../../src/proofs/field.ts';

/** Another proof of the same statement: (A/t, t·B, C). @param t in [1, r) */
export function rerandomise(curve: Curve, proof: Uint8Array, t: bigint): Uint8Array {
  const { G1, G2 } = curve;
  const [ax, ay, bx1, bx0, by1, by0, cx, cy] = decodeProof(proof);
  const a = G1.timesScalar(G1.fromObject([ax, ay]), inverse(t));
  const b = G2.timesScalar(
    G2.fromObject([
      [bx0, bx1],
      [by0, by1],
    ]),
    t,
  );
  const [x, y] = G1.toObject(G1.toAffine(a)) as [bigint, bigint];
  const [[x0, x1], [y0, y1]] = G2.toObject(G2.toAffine(b)) as [[bigint, bigint], [bigint, bigint]];
  return encodeProof([x, y, x1, x0, y1, y0, cx, cy] satisfies ProofCoordinates);
}
