import { BASE_FIELD } from '../fields.ts';
import { type PointG1, type PointG2, parseVerificationKey, unusableKey } from '../verification-key.ts';
import { type Engine, F1, F2, G1_AFFINE, G2_AFFINE } from './engine.ts';
import { LINES, type LineMaker } from './lines.ts';

/** A verification key in an engine's memory, all points checked. Addresses. */
export interface PreparedKey {
  readonly publicSignals: number;
  readonly alpha: number;
  /** `publicSignals` + 1 affine points, one after another. */
  readonly ic: number;
  /** Lines of −β, −γ and −δ: an equation has them on the other side. */
  readonly beta: number;
  readonly gamma: number;
  readonly delta: number;
}

/** @throws GrailError KEY_MISMATCH when the key is malformed or one of its points is not of its group. */
export function prepareKey(engine: Engine, maker: LineMaker, value: unknown): PreparedKey {
  const key = parseVerificationKey(value);
  const { fn } = engine;
  const write = (at: number, texts: readonly string[], field: string): void => {
    for (const [i, text] of texts.entries()) {
      const number = BigInt(text);
      if (number >= BASE_FIELD) {
        throw unusableKey(`${field} has a coordinate that is not below the modulus`, field);
      }
      engine.writeNumber(at + F1 * i, number);
    }
  };
  const g1 = ([x, y]: PointG1, at: number, field: string): void => {
    write(at, [x, y], field);
    if (fn.g1m_inCurveAffine(at) === 0) throw unusableKey(`${field} is not a point of G1`, field);
  };
  const negatedLines = ([x, y]: PointG2, field: string): number => {
    const lines = engine.alloc(LINES);
    engine.scoped(() => {
      const at = engine.alloc(G2_AFFINE);
      write(at, x, field);
      write(at + F2, y, field);
      const onTwist = fn.g2m_inCurveAffine(at) !== 0;
      fn.g2m_negAffine(at, at);
      if (!onTwist || !maker.make(at, lines)) throw unusableKey(`${field} is not a point of G2`, field);
    });
    return lines;
  };
  if (key.IC.length !== key.nPublic + 1) throw unusableKey('IC has another length than nPublic + 1', 'IC');
  const alpha = engine.alloc(G1_AFFINE);
  g1(key.vk_alpha_1, alpha, 'vk_alpha_1');
  const ic = engine.alloc(G1_AFFINE * key.IC.length);
  for (const [i, point] of key.IC.entries()) g1(point, ic + G1_AFFINE * i, `IC[${i}]`);
  return {
    publicSignals: key.nPublic,
    alpha,
    ic,
    beta: negatedLines(key.vk_beta_2, 'vk_beta_2'),
    gamma: negatedLines(key.vk_gamma_2, 'vk_gamma_2'),
    delta: negatedLines(key.vk_delta_2, 'vk_delta_2'),
  };
}
