import type { Curve } from 'ffjavascript';
import { concat, utf8 } from '../protocol/bytes.ts';
import { BASE_FIELD, FIELD_ORDER, inverse, inverses, power, writeField } from './fields.ts';
import { FixedBase } from './fixed-base.ts';
import type { R1cs, SparseMatrix } from './r1cs.ts';

/** The secrets of a Groth16 setup with γ = 1. Whoever knows them can prove anything. */
export interface ToxicWaste {
  readonly tau: bigint;
  readonly alpha: bigint;
  readonly beta: bigint;
  readonly delta: bigint;
}

const mod = (value: bigint) => value % FIELD_ORDER;

/**
 * Lagrange polynomials of the `size`-th roots of unity at τ: L_i(τ) = (τ^size − 1)·ω^i / (size·(τ − ω^i)).
 * `size` is a power of two and τ is no root of unity.
 */
function lagrange(root: bigint, size: number, tau: bigint): bigint[] {
  const roots: bigint[] = [];
  for (let i = 0, w = 1n; i < size; i++, w = mod(w * root)) roots.push(w);
  const factor = mod((power(tau, BigInt(size)) - 1n + FIELD_ORDER) * inverse(BigInt(size)));
  const denominators = inverses(roots.map((w) => mod(tau - w + FIELD_ORDER)));
  return roots.map((w, i) => mod(mod(factor * w) * denominators[i]!));
}

/** Each wire's polynomial of one matrix, evaluated at τ. */
function columnsAt(matrix: SparseMatrix, wires: number, basis: readonly bigint[]): bigint[] {
  const out = new Array<bigint>(wires).fill(0n);
  for (let k = 0; k < matrix.values.length; k++) {
    const wire = matrix.wires[k]!;
    out[wire] = mod(out[wire]! + matrix.values[k]! * basis[matrix.rows[k]!]!);
  }
  return out;
}

function section(id: number, ...parts: Uint8Array[]): Uint8Array {
  const header = new Uint8Array(12);
  const view = new DataView(header.buffer);
  view.setUint32(0, id, true);
  view.setBigUint64(4, BigInt(parts.reduce((sum, part) => sum + part.length, 0)), true);
  return concat(header, ...parts);
}

function u32le(...values: number[]): Uint8Array {
  const out = new Uint8Array(4 * values.length);
  values.forEach((value, i) => {
    new DataView(out.buffer).setUint32(4 * i, value, true);
  });
  return out;
}

function field(value: bigint): Uint8Array {
  const out = new Uint8Array(32);
  writeField(new DataView(out.buffer), 0, value);
  return out;
}

/** Section 4: the coefficients of A and B with their constraint and wire, scaled by 2^512 as snarkjs' prover wants. */
function coefficients(r1cs: R1cs): Uint8Array {
  const scale = mod(1n << 512n);
  const { a, b } = r1cs;
  const out = new Uint8Array(4 + 44 * (a.values.length + b.values.length + r1cs.publics + 1));
  const view = new DataView(out.buffer);
  let at = 4;
  const put = (matrix: number, row: number, wire: number, value: bigint) => {
    view.setUint32(at, matrix, true);
    view.setUint32(at + 4, row, true);
    view.setUint32(at + 8, wire, true);
    writeField(view, at + 12, mod(value * scale));
    at += 44;
  };
  let nextA = 0;
  let nextB = 0;
  for (let row = 0; row < r1cs.constraints; row++) {
    for (; a.rows[nextA] === row; nextA++) put(0, row, a.wires[nextA]!, a.values[nextA]!);
    for (; b.rows[nextB] === row; nextB++) put(1, row, b.wires[nextB]!, b.values[nextB]!);
  }
  for (let wire = 0; wire <= r1cs.publics; wire++) put(0, r1cs.constraints + wire, wire, 1n);
  view.setUint32(0, (at - 4) / 44, true);
  return out;
}

/**
 * A Groth16 proving key in snarkjs' zkey format (version 1), computed from the secrets themselves: point for point
 * what `snarkjs groth16 setup` and one contribution of δ give for a phase 1 with the same τ, α and β, in seconds
 * instead of minutes, because every point is a known multiple of a generator. The contributions' section is empty:
 * there was no ceremony, and snarkjs' `zkey verify` rightly refuses such a key.
 * Source: Groth, On the Size of Pairing-based Non-interactive Arguments, eprint 2016/260, section 3.
 * @param curve a curve of its own, dropped afterwards (its memory grows)
 * @param onProgress called with the fraction of the points that are done, in [0, 1]
 */
export async function groth16Setup(
  curve: Curve,
  r1cs: R1cs,
  secrets: ToxicWaste,
  onProgress: (fraction: number) => void = () => {},
): Promise<Uint8Array> {
  const { tau, alpha, beta, delta } = secrets;
  const { wires, publics, constraints } = r1cs;
  // One row a constraint, and one a public wire that makes those polynomials independent.
  const domainBits = 32 - Math.clz32(constraints + publics);
  const domain = 2 ** domainBits;
  const basis = lagrange(curve.Fr.toObject(curve.Fr.w[domainBits]!), domain, tau);
  const a = columnsAt(r1cs.a, wires, basis);
  const b = columnsAt(r1cs.b, wires, basis);
  const c = columnsAt(r1cs.c, wires, basis);
  for (let wire = 0; wire <= publics; wire++) a[wire] = mod(a[wire]! + basis[constraints + wire]!);
  const joined = c.map((value, wire) => mod(beta * a[wire]! + alpha * b[wire]! + value));

  const inverseDelta = inverse(delta);
  // The quotient is given by its values on the odd half of the doubled domain. A phase 1 stops at τ^(2·domain − 2), the
  // degree of A·B, so its Lagrange points lack the highest power; leaving it out here gives the very same points.
  const doubledRoot = curve.Fr.toObject(curve.Fr.w[domainBits + 1]!);
  const highest = mod(power(tau, BigInt(2 * domain - 1)) * inverse(BigInt(2 * domain)));
  const quotient: bigint[] = [];
  for (const [i, value] of lagrange(doubledRoot, 2 * domain, tau).entries()) {
    if (i % 2 === 0) continue;
    const point = mod(value + (FIELD_ORDER - highest) * power(doubledRoot, BigInt(i)));
    quotient.push(mod(point * inverseDelta));
  }

  const g1 = new FixedBase(curve, 'G1');
  const g2 = new FixedBase(curve, 'G2');
  const total = 3 * wires + 3 * wires + domain;
  let finished = 0;
  const multiply = async (base: FixedBase, scalars: readonly bigint[]) => {
    const cost = base === g2 ? 3 : 1;
    const before = finished;
    const points = await base.multiply(scalars, (done) =>
      onProgress(Math.min(1, (before + cost * done) / total)),
    );
    finished += cost * scalars.length;
    return points;
  };
  const generatorG2 = await multiply(g2, [1n]);
  const header = concat(
    u32le(32),
    field(BASE_FIELD),
    u32le(32),
    field(FIELD_ORDER),
    u32le(wires, publics, domain),
    await multiply(g1, [alpha, beta]),
    await multiply(g2, [beta]),
    generatorG2,
    await multiply(g1, [delta]),
    await multiply(g2, [delta]),
  );
  const publicPoints = await multiply(g1, joined.slice(0, publics + 1));
  const privatePoints = await multiply(
    g1,
    joined.slice(publics + 1).map((value) => mod(value * inverseDelta)),
  );
  return concat(
    utf8('zkey'),
    u32le(1, 10),
    section(1, u32le(1)),
    section(2, header),
    section(3, publicPoints),
    section(4, coefficients(r1cs)),
    section(5, await multiply(g1, a)),
    section(6, await multiply(g1, b)),
    section(7, await multiply(g2, b)),
    section(8, privatePoints),
    section(9, await multiply(g1, quotient)),
    section(10, new Uint8Array(64), u32le(0)),
  );
}
