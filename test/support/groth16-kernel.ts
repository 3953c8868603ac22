import { BASE_FIELD, inverse, writeField } from '../../src/proofs/fields.ts';
import { toMontgomery, writePair } from '../../src/proofs/groth16/field-constants.ts';
import { type Kernel, PAIR, pointBytes } from '../../src/proofs/groth16/kernel.ts';
import type { Seeded } from '../helpers/steps.ts';

/** c0 + c1·u; degree 1 has c1 = 0. */
export type Coordinate = readonly [bigint, bigint];
/** null: infinity. */
export type Affine = readonly [Coordinate, Coordinate] | null;

const mod = (value: bigint) => ((value % BASE_FIELD) + BASE_FIELD) % BASE_FIELD;
const minus = (a: Coordinate, b: Coordinate): Coordinate => [mod(a[0] - b[0]), mod(a[1] - b[1])];
const times = (a: Coordinate, b: Coordinate): Coordinate => [
  mod(a[0] * b[0] - a[1] * b[1]),
  mod(a[0] * b[1] + a[1] * b[0]),
];
const isZero = (a: Coordinate) => a[0] === 0n && a[1] === 0n;
const reciprocal = (a: Coordinate): Coordinate => {
  const norm = inverse(a[0] * a[0] + a[1] * a[1], BASE_FIELD);
  return [mod(a[0] * norm), mod(-a[1] * norm)];
};

/** The school's addition, in bigints: what the kernel is held to. */
export function addReference(p: Affine, q: Affine): Affine {
  if (p === null) return q;
  if (q === null) return p;
  const [[x1, y1], [x2, y2]] = [p, q];
  const dx = minus(x2, x1);
  let slope: Coordinate;
  if (!isZero(dx)) slope = times(minus(y2, y1), reciprocal(dx));
  else if (isZero(minus(y2, y1)))
    slope = times(times([3n, 0n], times(x1, x1)), reciprocal(times([2n, 0n], y1)));
  else return null;
  const x = minus(minus(times(slope, slope), x1), x2);
  return [x, minus(times(slope, minus(x1, x)), y1)];
}

export function negReference(p: Affine): Affine {
  return p && [p[0], minus([0n, 0n], p[1])];
}

export function multiplyReference(p: Affine, scalar: bigint): Affine {
  let sum: Affine = null;
  for (let rest = scalar, power = p; rest > 0n; rest >>= 1n, power = addReference(power, power)) {
    if (rest & 1n) sum = addReference(sum, power);
  }
  return sum;
}

/** The generators of EIP-197. */
export const GENERATORS: Readonly<Record<number, Affine>> = {
  1: [
    [1n, 0n],
    [2n, 0n],
  ],
  2: [
    [
      10857046999023057135944570762232829481370756359578518086990519993285655852781n,
      11559732032986387107991004021392285783925812861821192530917403151452391805634n,
    ],
    [
      8495653923123431417604973247489272438418190587263600148770280649306958101930n,
      4082367875863433681332203403145435568316851327593401208105741076214120093531n,
    ],
  ],
};

/** An element below p, often one of the edges. */
export function randomElement(random: Seeded, p: bigint): bigint {
  const edges = [
    0n,
    1n,
    2n,
    p - 1n,
    p - 2n,
    p >> 1n,
    (p >> 1n) + 1n,
    (1n << 51n) - 1n,
    1n << 50n,
    1n << 253n,
  ];
  if (random.int(0, 4) === 0) return random.pick(edges) % p;
  let value = 0n;
  for (let i = 0; i < 8; i++) value = (value << 32n) | BigInt(random.word());
  return value % p;
}

export function readNumber(kernel: Kernel, at: number): bigint {
  const view = kernel.view;
  let value = 0n;
  for (let word = 3; word >= 0; word--) value = (value << 64n) | view.getBigUint64(at + 8 * word, true);
  return value;
}

/** Affine points into the kernel's memory. */
export function putPoints(kernel: Kernel, degree: number, points: readonly Affine[]): number {
  const numbers = points.flatMap((point) => {
    const [x, y] = point!;
    return degree === 1 ? [x[0], y[0]] : [...x, ...y];
  });
  const plain = kernel.allocate(32 * numbers.length);
  const view = kernel.view;
  numbers.forEach((value, i) => {
    writeField(view, plain + 32 * i, value);
  });
  // A product takes 2^255 off, and Montgomery form has 2^255 more.
  const factor = kernel.allocate(PAIR);
  writePair(kernel.view, factor, toMontgomery(1n << 255n, BASE_FIELD));
  const table = kernel.allocate(points.length * pointBytes(degree));
  kernel.run.importNumbers(kernel.constants.q, table, plain, numbers.length, factor);
  return table;
}

export function getPoint(kernel: Kernel, degree: number, at: number): Affine {
  const out = kernel.allocate(32 * 4);
  kernel.run.exportNumbers(kernel.constants.q, out, at, 2 * degree);
  const n = Array.from({ length: 2 * degree }, (_, i) => readNumber(kernel, out + 32 * i));
  if (n.every((value) => value === 0n)) return null;
  return degree === 1
    ? [
        [n[0]!, 0n],
        [n[1]!, 0n],
      ]
    : [
        [n[0]!, n[1]!],
        [n[2]!, n[3]!],
      ];
}
