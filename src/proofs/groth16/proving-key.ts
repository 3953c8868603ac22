import { GrailError } from '../../protocol/errors.ts';
import { BASE_FIELD, FIELD_ORDER, readField } from '../fields.ts';
import { type Section, sectionsOf, viewOf } from '../sections.ts';
import { toMontgomery, writePair } from './field-constants.ts';
import { type Kernel, PAIR, pointBytes, SINGLE } from './kernel.ts';
import { type Domain, makeDomain, reversed } from './transform.ts';

/** Points in the kernel's memory, with whose scalar each is multiplied. */
export interface PointTable {
  /** 1: G1, 2: G2. */
  readonly degree: 1 | 2;
  readonly table: number;
  /** Address of `count` u32. */
  readonly indices: number;
  readonly count: number;
}

/** A sparse matrix in the kernel's memory: `matrixTimesVector` of assembly/bn254/fft.ts. */
export interface KernelMatrix {
  readonly ends: number;
  readonly wires: number;
  readonly coefficients: number;
}

/** A proving key, as the kernel wants it. Scalars are the wires' values, then the two blinding factors r and s. */
export interface ProvingKey {
  readonly wires: number;
  readonly publics: number;
  readonly domain: Domain;
  readonly matrices: readonly [KernelMatrix, KernelMatrix];
  /** α + Σ w·A + r·δ, β + Σ w·B + s·δ in G1 and in G2, Σ w·C over private wires, Σ of the quotient's values. */
  readonly a: PointTable;
  readonly b1: PointTable;
  readonly b2: PointTable;
  readonly c: PointTable;
  readonly h: PointTable;
  /** Address of δ in G1. */
  readonly delta: number;
}

/** Numbers that are imported at a time. */
const STAGE = 4096;
const COEFFICIENT_BYTES = 44;

/**
 * Reads a snarkjs .zkey file (version 1, Groth16, BN254) into a kernel's memory. About 0.1 s for 2^14 constraints.
 * @throws GrailError PROVER_FAILED when it is no such file
 */
export function loadProvingKey(kernel: Kernel, zkey: Uint8Array): ProvingKey {
  const { sections, wires, publics, domainSize, points } = readHeader(zkey);
  const stage = kernel.allocate(32 * STAGE);
  const factors = { q: kernel.allocate(PAIR), r: kernel.allocate(PAIR) };
  // The file has numbers times 2^256, coefficients times 2^512; a product takes 2^255 off.
  writePair(kernel.view, factors.q, toMontgomery(BASE_HALF, BASE_FIELD));
  writePair(kernel.view, factors.r, toMontgomery(SCALAR_QUARTER, FIELD_ORDER));

  /** Numbers of 32 bytes at `offsets` of the file, −1 for a zero, one behind the other. */
  const importNumbers = (field: 'q' | 'r', offsets: Int32Array): number => {
    const out = kernel.allocate(SINGLE * offsets.length);
    for (let done = 0; done < offsets.length; done += STAGE) {
      const some = offsets.subarray(done, done + STAGE);
      const bytes = kernel.bytes(stage, 32 * some.length);
      some.forEach((offset, i) => {
        if (offset < 0) bytes.fill(0, 32 * i, 32 * i + 32);
        else bytes.set(zkey.subarray(offset, offset + 32), 32 * i);
      });
      kernel.run.importNumbers(
        kernel.constants[field],
        out + SINGLE * done,
        stage,
        some.length,
        factors[field],
      );
    }
    return out;
  };

  /** The points at `offsets` but those at infinity; `scalars[i]` belongs to `offsets[i]`. */
  const table = (degree: 1 | 2, offsets: readonly number[], scalars: (i: number) => number): PointTable => {
    const length = 64 * degree;
    const kept: number[] = [];
    const numbers: number[] = [];
    offsets.forEach((offset, i) => {
      if (isZero(zkey, offset, length)) return;
      kept.push(scalars(i));
      for (let at = 0; at < length; at += 32) numbers.push(offset + at);
    });
    const indices = kernel.allocate(4 * kept.length);
    kernel.words(indices, kept.length).set(kept);
    return {
      degree,
      table: importNumbers('q', Int32Array.from(numbers)),
      indices,
      count: kept.length,
    };
  };

  const ofSection = (id: number, degree: 1 | 2, count: number): number[] => {
    const { at, size } = sections.get(id)!;
    const bytes = 64 * degree;
    if (size !== bytes * count) throw unusable(`section ${id} does not have ${count} points`);
    return Array.from({ length: count }, (_, i) => at + bytes * i);
  };
  /** A section over all wires, with a point that is taken once and one that is blinded by scalar `blinding`. */
  const blinded = (id: number, degree: 1 | 2, once: number, delta: number, blinding: number): PointTable =>
    table(degree, [...ofSection(id, degree, wires), once, delta], (i) =>
      i < wires ? i : i === wires ? 0 : wires + blinding,
    );

  const domain = makeDomain(kernel, domainSize);
  const privates = wires - publics - 1;
  const bits = Math.log2(domainSize);
  const a = blinded(5, 1, points.alpha1, points.delta1, 0);
  return {
    wires,
    publics,
    domain,
    matrices: loadMatrices(kernel, zkey, sections.get(4)!, wires, domainSize, importNumbers),
    a,
    b1: blinded(6, 1, points.beta1, points.delta1, 1),
    b2: blinded(7, 2, points.beta2, points.delta2, 1),
    c: table(1, ofSection(8, 1, privates), (i) => publics + 1 + i),
    h: table(1, ofSection(9, 1, domainSize), (i) => reversed(i, bits)),
    delta: a.table + (a.count - 1) * pointBytes(1),
  };
}

const BASE_HALF = inversePower(BASE_FIELD, 1n);
const SCALAR_QUARTER = inversePower(FIELD_ORDER, 2n);

/** 2^-count mod p: `toMontgomery` of it is 2^(255 − count). */
function inversePower(p: bigint, count: bigint): bigint {
  const half = (p + 1n) / 2n;
  return count === 1n ? half : (half * half) % p;
}

function unusable(why: string): GrailError {
  return new GrailError('PROVER_FAILED', `the proving key cannot be used: ${why}; make it again`);
}

function isZero(bytes: Uint8Array, from: number, length: number): boolean {
  for (let i = from; i < from + length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function readHeader(zkey: Uint8Array) {
  let sections: Map<number, Section>;
  try {
    sections = sectionsOf(zkey, 'zkey');
  } catch (error) {
    throw unusable((error as RangeError).message);
  }
  const view = viewOf(zkey);
  for (let id = 1; id <= 9; id++) if (!sections.has(id)) throw unusable(`section ${id} is missing`);
  if (view.getUint32(sections.get(1)!.at, true) !== 1) throw unusable('it is not for Groth16');
  const header = sections.get(2)!;
  const at = header.at;
  if (
    header.size !== 660 ||
    view.getUint32(at, true) !== 32 ||
    readField(view, at + 4) !== BASE_FIELD ||
    view.getUint32(at + 36, true) !== 32 ||
    readField(view, at + 40) !== FIELD_ORDER
  ) {
    throw unusable('it is not over BN254');
  }
  const wires = view.getUint32(at + 72, true);
  const publics = view.getUint32(at + 76, true);
  const domainSize = view.getUint32(at + 80, true);
  if (publics + 1 > wires || domainSize < 2 || domainSize > 2 ** 27 || domainSize & (domainSize - 1)) {
    throw unusable('its sizes are not possible');
  }
  const first = at + 84;
  return {
    sections,
    wires,
    publics,
    domainSize,
    points: {
      alpha1: first,
      beta1: first + 64,
      beta2: first + 128,
      delta1: first + 384,
      delta2: first + 448,
    },
  };
}

/** Section 4, sorted by row; every row gets an even number of entries. */
function loadMatrices(
  kernel: Kernel,
  zkey: Uint8Array,
  section: Section,
  wires: number,
  rows: number,
  importNumbers: (field: 'q' | 'r', offsets: Int32Array) => number,
): readonly [KernelMatrix, KernelMatrix] {
  const view = viewOf(zkey);
  const count = view.getUint32(section.at, true);
  const first = section.at + 4;
  if (section.size !== 4 + COEFFICIENT_BYTES * count) throw unusable('section 4 has another length');
  const ends = [new Uint32Array(rows), new Uint32Array(rows)];
  for (let at = first; at < first + COEFFICIENT_BYTES * count; at += COEFFICIENT_BYTES) {
    const matrix = view.getUint32(at, true);
    const row = view.getUint32(at + 4, true);
    if (matrix > 1 || row >= rows || view.getUint32(at + 8, true) >= wires) {
      throw unusable('a coefficient is outside its matrix');
    }
    ends[matrix]![row]!++;
  }
  const entries = ends.map((counts) => {
    let total = 0;
    for (let row = 0; row < rows; row++) {
      const next = total + counts[row]! + (counts[row]! & 1);
      counts[row] = total;
      total = next;
    }
    return { offsets: new Int32Array(total).fill(-1), wires: new Uint32Array(total) };
  });
  for (let at = first; at < first + COEFFICIENT_BYTES * count; at += COEFFICIENT_BYTES) {
    const matrix = view.getUint32(at, true);
    const place = ends[matrix]![view.getUint32(at + 4, true)]!++;
    entries[matrix]!.offsets[place] = at + 12;
    entries[matrix]!.wires[place] = view.getUint32(at + 8, true);
  }
  const [a, b] = entries.map(({ offsets, wires: columns }, matrix): KernelMatrix => {
    const cursors = ends[matrix]!;
    const address = kernel.allocate(4 * rows);
    kernel.words(address, rows).set(cursors.map((end) => end + (end & 1)));
    const columnsAt = kernel.allocate(4 * columns.length);
    kernel.words(columnsAt, columns.length).set(columns);
    return { ends: address, wires: columnsAt, coefficients: importNumbers('r', offsets) };
  });
  return [a!, b!];
}
