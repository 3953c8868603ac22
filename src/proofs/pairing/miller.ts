import { type Engine, F1, F2, F12 } from './engine.ts';
import { LINE, SCHEDULE } from './lines.ts';

/** A pairing's two sides: an affine point of G1, not infinity, and the lines of a point of G2. Addresses. */
export interface Pair {
  readonly g1: number;
  readonly lines: number;
}

/**
 * Multiplies the Miller values of all pairs to the element of F_q¹² at `product`. The pairs share the squarings of their
 * loops; a pair costs 88 sparse multiplications. Factors of proper subfields are left out of the lines: the final
 * exponentiation takes them to 1.
 */
export function multiplyMillerValues(engine: Engine, pairs: readonly Pair[], product: number): void {
  const { fn } = engine;
  engine.scoped(() => {
    const value = engine.alloc(F12);
    const byY = engine.alloc(F2);
    const byX = engine.alloc(F2);
    fn.ftm_one(value);
    for (const [step, kind] of SCHEDULE.entries()) {
      if (kind === 'double') fn.ftm_square(value, value);
      for (const { g1, lines } of pairs) {
        const line = lines + step * LINE;
        fn.f2m_mul1(line + F2, g1 + F1, byY);
        fn.f2m_mul1(line + 2 * F2, g1, byX);
        fn.bn128__mulBy024(line, byY, byX, value);
      }
    }
    fn.ftm_mul(product, value, product);
  });
}

/** Whether the product of Miller values is a product of pairings that is 1. */
export function isUnitPairing(engine: Engine, product: number): boolean {
  return engine.scoped(() => {
    const value = engine.alloc(F12);
    engine.fn.bn128_finalExponentiation(product, value);
    return engine.fn.ftm_isOne(value) !== 0;
  });
}
