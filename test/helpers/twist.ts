import { bn254 } from '../../src/proofs/curve.ts';
import { BASE_FIELD as Q, FIELD_ORDER as R } from '../../src/proofs/fields.ts';
import { scalarOf } from './simulated-proofs.ts';

/** c0 + c1·u. */
export type F2 = readonly [bigint, bigint];
export type TwistPoint = readonly [F2, F2];

const mod = (value: bigint) => ((value % Q) + Q) % Q;
const times = ([a0, a1]: F2, [b0, b1]: F2): F2 => [mod(a0 * b0 - a1 * b1), mod(a0 * b1 + a1 * b0)];

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, mod(base)];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

/** A root in F_q, or undefined. q ≡ 3 mod 4. */
function root(value: bigint): bigint | undefined {
  const found = power(value, (Q + 1n) / 4n);
  return mod(found * found) === mod(value) ? found : undefined;
}

/** A root in F_q² of a number with c1 ≠ 0, or undefined: the complex method. */
function root2([a0, a1]: F2): F2 | undefined {
  const norm = root(a0 * a0 + a1 * a1);
  if (norm === undefined) return undefined;
  const half = (Q + 1n) / 2n;
  const x0 = root((a0 + norm) * half) ?? root((a0 - norm) * half);
  return x0 === undefined ? undefined : [x0, mod(a1 * half * power(x0, Q - 2n))];
}

/** 3/(9 + u). */
const B: F2 = [
  19485874751759354771024239261021720505790618469301721065564631296452457478373n,
  266929791119991161246907387137283842545076965332900288569378510910307636690n,
];

/** Points on the twist are h·r many. */
export const COFACTOR = 2n * Q - R;
/** The primes of h; none occurs twice. */
export const COFACTOR_PRIMES = [
  10069n,
  5864401n,
  1875725156269n,
  197620364512881247228717050342013327560683201906968909n,
];

/** A point on the twist that follows from an index, of whatever order. */
export function twistPoint(index: number): TwistPoint {
  for (let attempt = 0; ; attempt++) {
    const x: F2 = [scalarOf(`twist ${attempt}`, index), scalarOf(`twist' ${attempt}`, index)];
    const [c0, c1] = times(times(x, x), x);
    const y = root2([mod(c0 + B[0]), mod(c1 + B[1])]);
    if (y !== undefined) return [x, y];
  }
}

/** scalar·point by ffjavascript; undefined for infinity. */
export async function timesOnTwist(point: TwistPoint, scalar: bigint): Promise<TwistPoint | undefined> {
  const { G2 } = await bn254();
  const result = G2.timesScalar(G2.fromObject(point), scalar);
  return G2.isZero(result) ? undefined : (G2.toObject(G2.toAffine(result)) as unknown as TwistPoint);
}

/** The sum of two points by ffjavascript; undefined for infinity. */
export async function sumOnTwist(a: TwistPoint, b: TwistPoint): Promise<TwistPoint | undefined> {
  const { G2 } = await bn254();
  const result = G2.add(G2.fromObject(a), G2.fromObject(b));
  return G2.isZero(result) ? undefined : (G2.toObject(G2.toAffine(result)) as unknown as TwistPoint);
}

/** A point of prime order that divides h. */
export async function cofactorPoint(prime: bigint, index = 0): Promise<TwistPoint> {
  for (let attempt = index; ; attempt += 1000) {
    const inCofactor = await timesOnTwist(twistPoint(attempt), R);
    const found = inCofactor && (await timesOnTwist(inCofactor, COFACTOR / prime));
    if (found) return found;
  }
}

/** The generator of G2. */
export const G2_GENERATOR: TwistPoint = [
  [
    10857046999023057135944570762232829481370756359578518086990519993285655852781n,
    11559732032986387107991004021392285783925812861821192530917403151452391805634n,
  ],
  [
    8495653923123431417604973247489272438418190587263600148770280649306958101930n,
    4082367875863433681332203403145435568316851327593401208105741076214120093531n,
  ],
];
