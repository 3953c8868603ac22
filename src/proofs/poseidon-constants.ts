import { FIELD_ORDER, inverse, inverses } from './fields.ts';

/**
 * The constants of Poseidon over BN254's scalar field with S-box x⁵, as circomlib has them, from their definition.
 * Sources: Grassi, Khovratovich, Rechberger, Roy, Schofnegger: Poseidon, eprint 2019/458, appendices E (Grain LFSR) and B
 * (sparse matrices of the partial rounds); circomlib 2.0.5 for the numbers of rounds.
 */

export const FULL_ROUNDS = 8;

/** By width t: index 0 is t = 2. */
export const POSEIDON_PARTIAL_ROUNDS = [
  56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68,
] as const;

const FIELD_BITS = 254;

type Matrix = readonly (readonly bigint[])[];

/** What a permutation of width t computes with. All field elements in [0, r). */
export interface PoseidonConstants {
  readonly width: number;
  /** `[4][t]`: added before the S-boxes of the first four rounds. */
  readonly first: Matrix;
  /** `[partial]`: added to lane 0 before its S-box. */
  readonly partial: readonly bigint[];
  /** `[4][t]`: added before the S-boxes of the last four rounds. */
  readonly last: Matrix;
  /** `[t][t]`: after the S-boxes of a full round, but for the last before the partial rounds. */
  readonly mds: Matrix;
  /** `[t][t]`: after the fourth full round: the MDS matrix with what the partial rounds have in common. */
  readonly entry: Matrix;
  /** Partial round k: lane 0 ← corner · s₀ + row[k] · s̃, s̃ ← s̃ + column[k] · s₀. */
  readonly corner: bigint;
  readonly row: Matrix;
  readonly column: Matrix;
}

const cache = new Map<number, PoseidonConstants>();

/** The constants of width t, 2 to 17; made at their first use (some 30 ms). */
export function poseidonConstants(width: number): PoseidonConstants {
  const known = cache.get(width);
  if (known !== undefined) return known;
  const rounds = POSEIDON_PARTIAL_ROUNDS[width - 2];
  if (rounds === undefined) throw new RangeError(`Poseidon has no width ${width}`);
  const grain = grainElements(width, rounds);
  const constants = Array.from({ length: FULL_ROUNDS + rounds }, () =>
    Array.from({ length: width }, () => grain.below()),
  );
  const mds = cauchy(grain, width);
  const made = { width, mds, ...split(constants, mds, rounds) };
  cache.set(width, made);
  return made;
}

/** Field elements from the Grain LFSR in self-shrinking mode, seeded with the parameters of the instance. */
function grainElements(width: number, partialRounds: number): { below(): bigint; reduced(): bigint } {
  const SIZE = 80;
  const state = new Uint8Array(SIZE);
  let at = 0;
  const put = (value: number, bits: number) => {
    for (let k = bits - 1; k >= 0; k--) state[at++] = (value >> k) & 1;
  };
  put(1, 2); // a prime field
  put(0, 4); // S-box x^α
  put(FIELD_BITS, 12);
  put(width, 12);
  put(FULL_ROUNDS, 10);
  put(partialRounds, 10);
  while (at < SIZE) state[at++] = 1;
  let start = 0;
  const tap = (offset: number) => state[(start + offset) % SIZE]!;
  const step = (): number => {
    const bit = tap(62) ^ tap(51) ^ tap(38) ^ tap(23) ^ tap(13) ^ tap(0);
    state[start] = bit;
    start = (start + 1) % SIZE;
    return bit;
  };
  for (let i = 0; i < 160; i++) step();
  const next = (): number => {
    while (step() === 0) step();
    return step();
  };
  const value = (): bigint => {
    let out = 0n;
    for (let word = 0; word < 2; word++) {
      let text = '0b';
      for (let k = 0; k < FIELD_BITS / 2; k++) text += next();
      out = (out << BigInt(FIELD_BITS / 2)) | BigInt(text);
    }
    return out;
  };
  return {
    below() {
      for (;;) {
        const out = value();
        if (out < FIELD_ORDER) return out;
      }
    },
    reduced: () => value() % FIELD_ORDER,
  };
}

/** M[i][j] = 1 / (xᵢ + yⱼ) for the next 2t elements. */
function cauchy(grain: { reduced(): bigint }, width: number): bigint[][] {
  const x = Array.from({ length: width }, () => grain.reduced());
  const y = Array.from({ length: width }, () => grain.reduced());
  const flat = inverses(x.flatMap((a) => y.map((b) => (a + b) % FIELD_ORDER)));
  return x.map((_, i) => flat.slice(i * width, (i + 1) * width));
}

/**
 * Rewrites the partial rounds so that each costs 2t − 1 products instead of t². With M = [[a, v], [w, M̃]] and
 * M′ = diag(1, M̃ᵏ): M′ leaves lane 0 alone, hence commutes with the S-box of a partial round, and is moved through all of them
 * to the fourth full round. Constants of the other lanes move the other way, through M into the next round.
 */
function split(constants: Matrix, mds: Matrix, rounds: number): Omit<PoseidonConstants, 'width' | 'mds'> {
  const half = FULL_ROUNDS / 2;
  const inner = mds.slice(1).map((row) => row.slice(1));
  const back = invert(inner);
  const columns: bigint[][] = [];
  const rows: bigint[][] = [];
  let column = mds.slice(1).map((row) => row[0]!);
  let row = timesMatrix(mds[0]!.slice(1), back);
  for (let k = 0; k < rounds; k++) {
    columns.unshift(column);
    rows.unshift(row);
    column = matrixTimes(inner, column);
    row = timesMatrix(row, back);
  }
  const moved = power(inner, rounds);
  const partial: bigint[] = [];
  let carried = new Array<bigint>(mds.length).fill(0n);
  for (let k = 0; k < rounds; k++) {
    const sum = constants[half + k]!.map((value, i) => (value + carried[i]!) % FIELD_ORDER);
    partial.push(sum[0]!);
    carried = matrixTimes(mds, [0n, ...sum.slice(1)]);
  }
  const last = constants.slice(half + rounds);
  return {
    first: constants.slice(0, half),
    partial,
    last: [last[0]!.map((value, i) => (value + carried[i]!) % FIELD_ORDER), ...last.slice(1)],
    entry: [mds[0]!, ...times(moved, mds.slice(1))],
    corner: mds[0]![0]!,
    row: rows,
    column: columns,
  };
}

function dot(a: readonly bigint[], b: readonly bigint[]): bigint {
  let sum = 0n;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum % FIELD_ORDER;
}

function matrixTimes(matrix: Matrix, vector: readonly bigint[]): bigint[] {
  return matrix.map((row) => dot(row, vector));
}

function timesMatrix(vector: readonly bigint[], matrix: Matrix): bigint[] {
  return matrix[0]!.map((_, j) =>
    dot(
      vector,
      matrix.map((row) => row[j]!),
    ),
  );
}

function times(a: Matrix, b: Matrix): bigint[][] {
  return a.map((row) => timesMatrix(row, b));
}

function power(matrix: Matrix, exponent: number): Matrix {
  if (exponent === 1) return matrix;
  const root = power(matrix, exponent >> 1);
  const square = times(root, root);
  return exponent % 2 === 0 ? square : times(square, matrix);
}

/** Gauss–Jordan; every leading minor of a Cauchy matrix is non-zero, so no row is exchanged. */
function invert(matrix: Matrix): bigint[][] {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1n : 0n))]);
  for (let pivot = 0; pivot < size; pivot++) {
    const factor = inverse(rows[pivot]![pivot]!);
    rows[pivot] = rows[pivot]!.map((value) => (value * factor) % FIELD_ORDER);
    for (let i = 0; i < size; i++) {
      const lead = rows[i]![pivot]!;
      if (i === pivot || lead === 0n) continue;
      rows[i] = rows[i]!.map((value, j) => (value + (FIELD_ORDER - lead) * rows[pivot]![j]!) % FIELD_ORDER);
    }
  }
  return rows.map((row) => row.slice(size));
}
