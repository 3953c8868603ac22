import type { Curve } from 'ffjavascript';
import { beforeAll, describe, expect, it } from 'vitest';
import { bn254 } from '../../src/proofs/curve.ts';
import { FIELD_ORDER } from '../../src/proofs/field.ts';
import { inG2Subgroup, millerProduct } from '../../src/proofs/pairing.ts';

/** #E'(F_q²) / r of BN254's twist, and its prime factors. */
const COFACTOR = 21888242871839275222246405745257275088844257914179612981679871602714643921549n;
const FACTORS = [10069n, 5864401n, 1875725156269n, 197620364512881247228717050342013327560683201906968909n];
/** On the twist and not in G2 (docs/PROTOCOL.md, Verification): x = u. */
const OUTSIDE = [
  [0n, 1n],
  [
    5857410223677516958241855868975604786906559121396168184066542210254491971240n,
    3499505209057624827709920819629410982529044040404494099368353913743455207650n,
  ],
];

let curve: Curve;
beforeAll(async () => {
  curve = await bn254();
});

const byOrder = (point: Uint8Array) => curve.G2.isZero(curve.G2.timesScalar(point, FIELD_ORDER));

describe('the subgroup check of G2', () => {
  it('accepts multiples of the generator', () => {
    for (const k of [1n, 2n, 3n, 10069n, FIELD_ORDER - 1n, 2n ** 200n + 77n]) {
      const point = curve.G2.timesScalar(curve.G2.g, k);
      expect(inG2Subgroup(curve, point)).toBe(true);
      expect(inG2Subgroup(curve, curve.G2.toAffine(point))).toBe(true);
    }
  });

  it('knows the cofactor: these are all its prime factors', () => {
    expect(FACTORS.reduce((product, factor) => product * factor, 1n)).toBe(COFACTOR);
  });

  it.each(FACTORS)('refuses points of order %s, alone and added to points of G2', (factor) => {
    const { G2 } = curve;
    const outside = G2.fromObject(OUTSIDE);
    const small = G2.timesScalar(G2.timesScalar(outside, FIELD_ORDER), COFACTOR / factor);
    expect(G2.isZero(small)).toBe(false);
    expect(G2.isZero(G2.timesScalar(small, factor))).toBe(true);
    for (const point of [
      small,
      G2.add(small, G2.g),
      G2.add(G2.timesScalar(small, 2n), G2.timesScalar(G2.g, 9n)),
    ]) {
      expect(byOrder(point)).toBe(false);
      expect(inG2Subgroup(curve, point)).toBe(false);
    }
  });

  it('agrees with multiplication by r on a point of no small order', () => {
    const outside = curve.G2.fromObject(OUTSIDE);
    expect([byOrder(outside), inG2Subgroup(curve, outside)]).toEqual([false, false]);
    const cleared = curve.G2.timesScalar(outside, COFACTOR);
    expect([byOrder(cleared), inG2Subgroup(curve, cleared)]).toEqual([true, true]);
  });
});

describe('the Miller loop of several pairs', () => {
  it('is the product of ffjavascript’s, prepared points or not, and infinity counts as 1', () => {
    const { G1, G2, Gt } = curve;
    const pairs = [3n, 1234567n, FIELD_ORDER - 2n].map((k) => ({
      g1: G1.timesScalar(G1.g, k),
      g2: G2.timesScalar(G2.g, k * k),
    }));
    let expected = Gt.one;
    for (const { g1, g2 } of pairs) {
      const prepared = curve.prepareG2(G2.toJacobian(g2));
      expected = Gt.mul(expected, curve.millerLoop(curve.prepareG1(G1.toJacobian(g1)), prepared));
    }
    const [first, ...others] = pairs as [(typeof pairs)[0], ...typeof pairs];
    const prepared = { prepared: curve.prepareG2(G2.toJacobian(first.g2)) };
    const infinity = { g1: G1.timesScalar(G1.g, 0n), g2: G2.g };
    expect(millerProduct(curve, pairs)).toEqual(expected);
    expect(millerProduct(curve, [{ g1: first.g1, g2: prepared }, infinity, ...others])).toEqual(expected);
    expect(millerProduct(curve, [])).toEqual(Gt.one);
  });

  it('takes no more pairs at once than its memory holds', () => {
    const pairs = Array.from({ length: 17 }, () => ({ g1: curve.G1.g, g2: curve.G2.g }));
    expect(() => millerProduct(curve, pairs)).toThrow(RangeError);
  });
});
