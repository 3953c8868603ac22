import { beforeAll, describe, expect, test } from 'vitest';
import { bn254 } from '../../src/proofs/curve.ts';
import { FIELD_ORDER, BASE_FIELD as Q, FIELD_ORDER as R } from '../../src/proofs/fields.ts';
import { Engine, F1, F12, G1_AFFINE, G2_AFFINE } from '../../src/proofs/pairing/engine.ts';
import { LINES, LineMaker, SCHEDULE } from '../../src/proofs/pairing/lines.ts';
import { isUnitPairing, multiplyMillerValues, type Pair } from '../../src/proofs/pairing/miller.ts';
import { scalarOf } from '../helpers/simulated-proofs.ts';
import {
  COFACTOR,
  COFACTOR_PRIMES,
  cofactorPoint,
  G2_GENERATOR,
  sumOnTwist,
  type TwistPoint,
  timesOnTwist,
  twistPoint,
} from '../helpers/twist.ts';

let engine: Engine;
let maker: LineMaker;

beforeAll(async () => {
  engine = await Engine.load();
  maker = new LineMaker(engine);
});

/** Lines of a point and whether the maker says that it is in G2. */
function walk([[x0, x1], [y0, y1]]: TwistPoint): { lines: number; inGroup: boolean } {
  const [at, lines] = [engine.alloc(G2_AFFINE), engine.alloc(LINES)];
  for (const [i, value] of [x0, x1, y0, y1].entries()) engine.writeNumber(at + F1 * i, value);
  expect(engine.fn.g2m_inCurveAffine(at)).toBe(1);
  return { lines, inGroup: maker.make(at, lines) };
}

const saysInGroup = (point: TwistPoint) => engine.scoped(() => walk(point).inGroup);

/** What the definition says: r·Q is infinity. */
const isInGroup = async (point: TwistPoint) => (await timesOnTwist(point, R)) === undefined;

describe('the subgroup check', () => {
  test('is of a polynomial in ψ whose norm shares nothing with the cofactor', () => {
    const x = 4965661367192848881n;
    const t = 6n * x * x + 1n;
    expect(36n * x ** 4n + 36n * x ** 3n + 24n * x ** 2n + 6n * x + 1n).toBe(Q);
    expect(Q + 1n - t).toBe(R);
    // ψ² = tψ − q, hence ψ³ = (t² − q)ψ − tq; f = 6x + 2 + ψ − ψ² + ψ³ = a + bψ.
    const a = 6n * x + 2n + Q - t * Q;
    const b = 1n - t + (t * t - Q);
    const norm = a * a + a * b * t + b * b * Q;
    const gcd = (m: bigint, n: bigint): bigint => (n === 0n ? m : gcd(n, m % n));
    expect(gcd(norm, COFACTOR * R)).toBe(R);
    expect(COFACTOR % R).not.toBe(0n);
    expect(COFACTOR_PRIMES.reduce((product, prime) => product * prime, 1n)).toBe(COFACTOR);
  });

  test('accepts multiples of the generator', async () => {
    const scalars = [1n, 2n, 3n, 10069n, R - 1n, R - 2n, (R + 1n) / 2n];
    for (let i = 0; i < 8; i++) scalars.push(scalarOf('multiple', i));
    for (const scalar of scalars) {
      expect(saysInGroup((await timesOnTwist(G2_GENERATOR, scalar))!), `${scalar}·G`).toBe(true);
    }
  });

  test.each(COFACTOR_PRIMES)(
    'refuses points of order %s, and their sums with points of G2',
    async (prime) => {
      for (const index of [0, 1, 2]) {
        const small = await cofactorPoint(prime, index);
        expect(await timesOnTwist(small, prime)).toBeUndefined();
        expect(await isInGroup(small)).toBe(false);
        expect(saysInGroup(small)).toBe(false);
        const multiple = (await timesOnTwist(G2_GENERATOR, scalarOf('shift', index)))!;
        const shifted = (await sumOnTwist(small, multiple))!;
        expect(await isInGroup(shifted)).toBe(false);
        expect(saysInGroup(shifted)).toBe(false);
      }
    },
  );

  test('refuses multiples of a point of order 10069', async () => {
    const small = await cofactorPoint(10069n);
    const count = process.env.GRAIL_LONG ? 10068 : 150;
    let point: TwistPoint | undefined = small;
    for (let i = 1; i <= count; i++) {
      expect(saysInGroup(point!), `${i} times`).toBe(false);
      point = await sumOnTwist(point!, small);
    }
  });

  test('refuses (0, 0), whose walk ends in nothing', () => {
    const [at, lines] = [engine.alloc(G2_AFFINE), engine.alloc(LINES)];
    for (let i = 0; i < 4; i++) engine.writeNumber(at + F1 * i, 0n);
    expect(maker.make(at, lines)).toBe(false);
  });

  test('says of points on the twist what r·Q says', async () => {
    for (let i = 0; i < 12; i++) {
      const point = twistPoint(i);
      expect(saysInGroup(point)).toBe(await isInGroup(point));
      const cleared = (await timesOnTwist(point, COFACTOR))!;
      expect(await isInGroup(cleared)).toBe(true);
      expect(saysInGroup(cleared)).toBe(true);
    }
  });
});

describe('the Miller loop', () => {
  /** a·G1 and b·G2 as a pair. */
  async function pair(a: bigint, b: bigint): Promise<Pair> {
    const { G1 } = await bn254();
    const [x, y] = G1.toObject(G1.toAffine(G1.timesScalar(G1.g, a))) as [bigint, bigint];
    const g1 = engine.alloc(G1_AFFINE);
    engine.writeNumber(g1, x);
    engine.writeNumber(g1 + F1, y);
    return { g1, lines: walk((await timesOnTwist(G2_GENERATOR, b))!).lines };
  }

  function isUnit(pairs: readonly Pair[]): boolean {
    const product = engine.alloc(F12);
    engine.fn.ftm_one(product);
    multiplyMillerValues(engine, pairs, product);
    return isUnitPairing(engine, product);
  }

  test('takes 65 doublings and 23 additions', () => {
    expect(SCHEDULE.filter((kind) => kind === 'double')).toHaveLength(65);
    expect(SCHEDULE.filter((kind) => kind === 'add')).toHaveLength(23);
  });

  test('gives a pairing: bilinear, and not 1', async () => {
    for (let i = 0; i < 3; i++) {
      const [a, b, c] = [scalarOf('a', i), scalarOf('b', i), scalarOf('c', i)];
      expect(isUnit([await pair(a, b), await pair(R - ((a * b) % R), 1n)])).toBe(true);
      const rest = R - ((a * b + b * c) % R);
      expect(isUnit([await pair(a, b), await pair(c, b), await pair(1n, rest)])).toBe(true);
      expect(isUnit([await pair(a, b), await pair(c, b), await pair(1n, rest + 1n)])).toBe(false);
      expect(isUnit([await pair(a, b)])).toBe(false);
    }
  });

  test('gives ffjavascript’s pairing', async () => {
    const curve = await bn254();
    const [a, b] = [scalarOf('a', 9), scalarOf('b', 9)];
    const expected = curve.pairing(curve.G1.timesScalar(curve.G1.g, a), curve.G2.timesScalar(curve.G2.g, b));
    const [product, value] = [engine.alloc(F12), engine.alloc(F12)];
    engine.fn.ftm_one(product);
    multiplyMillerValues(engine, [await pair(a, b)], product);
    engine.fn.bn128_finalExponentiation(product, value);
    expect(engine.read(value, F12)).toEqual(expected);
  });
});

test('there is one r', () => {
  expect(FIELD_ORDER).toBe(R);
});
