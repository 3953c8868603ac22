import { type Engine, F2, G2_AFFINE } from './engine.ts';

/**
 * The optimal ate pairing of BN254 (Vercauteren, eprint 2008/096) multiplies the lines of a walk over multiples of Q:
 * to (6x + 2)·Q by doublings and additions, then + ψ(Q), then − ψ²(Q), with x = 4965661367192848881. The walk depends on Q
 * alone, so its lines are made once for each point of G2, however many equations the point is in.
 */

/** 6x + 2 in non-adjacent form below its leading 1, most significant digit first: 65 doublings, 21 additions. */
const DIGITS = nonAdjacentForm(29793968203157093288n).slice(1);

/** What one step of the walk multiplies: `square` before a doubling's line. In this order. */
export const SCHEDULE: readonly ('double' | 'add')[] = [
  ...DIGITS.flatMap((digit) => (digit === 0 ? (['double'] as const) : (['double', 'add'] as const))),
  'add',
  'add',
];

/** Bytes of a line: three elements of F_q², the factors of 1, y and x of a point of G1. */
export const LINE = 3 * F2;
/** Bytes of all lines of a point. */
export const LINES = SCHEDULE.length * LINE;

/** 3/(9 + u), the twist's b; ξ^((q−1)/3) and ξ^((q−1)/2) with ξ = 9 + u, the factors of ψ. */
const TWIST_B = [
  19485874751759354771024239261021720505790618469301721065564631296452457478373n,
  266929791119991161246907387137283842545076965332900288569378510910307636690n,
] as const;
const PSI_X = [
  21575463638280843010398324269430826099269044274347216827212613867836435027261n,
  10307601595873709700152284273816112264069230130616436755625194854815875713954n,
] as const;
const PSI_Y = [
  2821565182194536844548159561693502659359617185244120367078079554186484126554n,
  3505843767911556378687030309984248845540243509899259641013678093033130930403n,
] as const;

/** Addresses of nine elements of F_q². */
type Scratch = readonly [number, number, number, number, number, number, number, number, number];

/** Makes the lines of points of the twist. Holds its constants and scratch for as long as the engine lives. */
export class LineMaker {
  readonly #engine: Engine;
  readonly #b: number;
  readonly #psiX: number;
  readonly #psiY: number;
  /** X, Y, Z of the walk's point: x = X/Z, y = Y/Z. */
  readonly #walk: number;
  /** −Q, ψ(Q), −ψ²(Q), ψ³(Q), affine. */
  readonly #negative: number;
  readonly #psi: number;
  readonly #psi2: number;
  readonly #psi3: number;
  readonly #scratch: Scratch;

  constructor(engine: Engine) {
    this.#engine = engine;
    const constant = ([c0, c1]: readonly [bigint, bigint]): number => {
      const at = engine.alloc(F2);
      engine.writeNumber(at, c0);
      engine.writeNumber(at + F2 / 2, c1);
      return at;
    };
    this.#b = constant(TWIST_B);
    this.#psiX = constant(PSI_X);
    this.#psiY = constant(PSI_Y);
    this.#walk = engine.alloc(3 * F2);
    this.#negative = engine.alloc(G2_AFFINE);
    this.#psi = engine.alloc(G2_AFFINE);
    this.#psi2 = engine.alloc(G2_AFFINE);
    this.#psi3 = engine.alloc(G2_AFFINE);
    const room = () => engine.alloc(F2);
    this.#scratch = [room(), room(), room(), room(), room(), room(), room(), room(), room()];
  }

  /**
   * Writes the lines of the affine point at `q`, which is on the twist, to `lines` (`LINES` bytes), and says whether the
   * point is of order r. If it is not, the lines mean nothing.
   *
   * The walk ends at R = (6x + 2)·Q + ψ(Q) − ψ²(Q), and Q is in G2 if and only if R = −ψ³(Q): the endomorphism check of El
   * Housni, Guillevic and Piellard (eprint 2022/352, section 4) for f(ψ) = 6x + 2 + ψ − ψ² + ψ³.
   * - On G2, ψ is multiplication by q, and 6x + 2 + q − q² + q³ is a multiple of r.
   * - On all of the twist ψ² − tψ + q = 0, t = 6x² + 1. With it f(ψ) = a + bψ for integers a and b, and f(ψ)·(a + b(t − ψ)) is
   *   the integer N = a² + abt + b²q. So if f(ψ)(Q) = 0, then N·Q = 0, and the order of Q divides gcd(N, h·r), where h·r is
   *   the number of points on the twist and h = 2q − r. That gcd is r (test/unit/pairing.test.ts computes it), and r² does not
   *   divide h·r, so the points of order r are G2.
   * The formulas are incomplete: a sum of R and ±R, or with infinity, gives Z = 0. No step brings Z back from 0, as each
   * multiplies it into the next; so a walk that ends with Z ≠ 0 met no such case and is right. A point of G2 meets none: at an
   * addition R is an even multiple of Q below 6x + 3, or one of the last two sums, and neither is ± what is added. So Z = 0 is
   * "not in G2" as well.
   */
  make(q: number, lines: number): boolean {
    const { fn } = this.#engine;
    const walk = this.#walk;
    fn.f2m_copy(q, walk);
    fn.f2m_copy(q + F2, walk + F2);
    fn.f2m_one(walk + 2 * F2);
    fn.g2m_negAffine(q, this.#negative);
    this.#endomorphism(q, this.#psi);
    this.#endomorphism(this.#psi, this.#psi2);
    this.#endomorphism(this.#psi2, this.#psi3);
    fn.g2m_negAffine(this.#psi2, this.#psi2);
    let line = lines;
    for (const digit of DIGITS) {
      this.#double(line);
      line += LINE;
      if (digit !== 0) {
        this.#add(digit === 1 ? q : this.#negative, line);
        line += LINE;
      }
    }
    this.#add(this.#psi, line);
    this.#add(this.#psi2, line + LINE);
    return this.#endsInGroup();
  }

  /** Whether the walk's point is −ψ³(Q). */
  #endsInGroup(): boolean {
    const { fn } = this.#engine;
    const [x, y, z] = [this.#walk, this.#walk + F2, this.#walk + 2 * F2];
    const [expected] = this.#scratch;
    if (fn.f2m_isZero(z) !== 0) return false;
    fn.f2m_mul(this.#psi3, z, expected);
    if (fn.f2m_eq(expected, x) === 0) return false;
    fn.f2m_mul(this.#psi3 + F2, z, expected);
    fn.f2m_neg(expected, expected);
    return fn.f2m_eq(expected, y) !== 0;
  }

  /** ψ: (x, y) to (ξ^((q−1)/3)·x̄, ξ^((q−1)/2)·ȳ): untwist, Frobenius, twist. */
  #endomorphism(from: number, to: number): void {
    const { fn } = this.#engine;
    fn.f2m_conjugate(from, to);
    fn.f2m_mul(to, this.#psiX, to);
    fn.f2m_conjugate(from + F2, to + F2);
    fn.f2m_mul(to + F2, this.#psiY, to + F2);
  }

  /**
   * R ← 2R and the tangent at R. Costello, Lange and Naehrig's formulas (eprint 2009/615) with the result scaled by 4, which
   * spares two halvings.
   */
  #double(line: number): void {
    const { fn } = this.#engine;
    const [x, y, z] = [this.#walk, this.#walk + F2, this.#walk + 2 * F2];
    const [a, b, c, e, f, g, h, i, t] = this.#scratch;
    fn.f2m_mul(x, y, a); // XY
    fn.f2m_square(y, b); // Y²
    fn.f2m_square(z, c); // Z²
    fn.f2m_add(c, c, t);
    fn.f2m_add(t, c, t);
    fn.f2m_mul(this.#b, t, e); // E = 3b·Z²
    fn.f2m_add(e, e, f);
    fn.f2m_add(f, e, f); // 3E
    fn.f2m_add(b, f, g); // Y² + 3E
    fn.f2m_add(y, z, h);
    fn.f2m_square(h, h);
    fn.f2m_sub(h, b, h);
    fn.f2m_sub(h, c, h); // 2YZ
    fn.f2m_sub(e, b, i); // E − Y²
    fn.f2m_square(x, t);
    fn.f2m_add(t, t, line + 2 * F2);
    fn.f2m_add(t, line + 2 * F2, line + 2 * F2); // factor of x: 3X²
    fn.f2m_neg(h, line + F2); // factor of y: −2YZ
    this.#timesXi(i, line); // constant: ξ(E − Y²)
    fn.f2m_sub(b, f, f); // Y² − 3E
    fn.f2m_mul(a, f, x);
    fn.f2m_add(x, x, x); // X₃ = 2XY(Y² − 3E)
    fn.f2m_square(e, e);
    fn.f2m_add(e, e, t);
    fn.f2m_add(t, e, t);
    fn.f2m_add(t, t, t);
    fn.f2m_add(t, t, t); // 12E²
    fn.f2m_square(g, y);
    fn.f2m_sub(y, t, y); // Y₃ = (Y² + 3E)² − 12E²
    fn.f2m_mul(b, h, z);
    fn.f2m_add(z, z, z);
    fn.f2m_add(z, z, z); // Z₃ = 8Y³Z
  }

  /** R ← R + P for an affine P, and the line through both. */
  #add(p: number, line: number): void {
    const { fn } = this.#engine;
    const [x, y, z] = [this.#walk, this.#walk + F2, this.#walk + 2 * F2];
    const [d, e, f, g, h, i, j, t] = this.#scratch;
    fn.f2m_mul(p, z, d);
    fn.f2m_sub(x, d, d); // D = X − x·Z
    fn.f2m_mul(p + F2, z, e);
    fn.f2m_sub(y, e, e); // E = Y − y·Z
    fn.f2m_square(d, f);
    fn.f2m_square(e, g);
    fn.f2m_mul(d, f, h); // H = D³
    fn.f2m_mul(x, f, i); // I = X·D²
    fn.f2m_mul(z, g, j);
    fn.f2m_add(j, h, j);
    fn.f2m_sub(j, i, j);
    fn.f2m_sub(j, i, j); // J = D³ + Z·E² − 2I
    fn.f2m_copy(d, line + F2); // factor of y: D
    fn.f2m_neg(e, line + 2 * F2); // factor of x: −E
    fn.f2m_mul(e, p, t);
    fn.f2m_mul(d, p + F2, g);
    fn.f2m_sub(t, g, t);
    this.#timesXi(t, line); // constant: ξ(E·x − D·y)
    fn.f2m_mul(d, j, x); // X₃ = D·J
    fn.f2m_mul(h, y, y);
    fn.f2m_sub(i, j, i);
    fn.f2m_mul(e, i, i);
    fn.f2m_sub(i, y, y); // Y₃ = E(I − J) − H·Y
    fn.f2m_mul(z, h, z); // Z₃ = Z·H
  }

  /** (9 + u)·(c0 + c1·u) = (9·c0 − c1) + (c0 + 9·c1)·u, by additions. `to` is not `from`. */
  #timesXi(from: number, to: number): void {
    const { fn } = this.#engine;
    fn.f2m_add(from, from, to);
    fn.f2m_add(to, to, to);
    fn.f2m_add(to, to, to);
    fn.f2m_add(to, from, to);
    fn.f1m_sub(to, from + F2 / 2, to);
    fn.f1m_add(to + F2 / 2, from, to + F2 / 2);
  }
}

/** Digits −1, 0, 1, no two neighbours of which are both not zero, most significant first. */
function nonAdjacentForm(value: bigint): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 1n) {
    const digit = (rest & 1n) === 0n ? 0 : 2 - Number(rest & 3n);
    digits.unshift(digit);
    rest -= BigInt(digit);
  }
  return digits;
}
