import { beforeAll, describe, expect, test } from 'vitest';
import { BASE_FIELD, FIELD_ORDER, inverse, writeField } from '../../src/proofs/fields.ts';
import { createKernel, isSupported } from '../../src/proofs/groth16/create-kernel.ts';
import { toMontgomery, writePairOf } from '../../src/proofs/groth16/field-constants.ts';
import { type Kernel, PAIR, pointBytes } from '../../src/proofs/groth16/kernel.ts';
import { makeDomain, reversed, rootOfUnity } from '../../src/proofs/groth16/transform.ts';
import { Seeded } from '../helpers/steps.ts';
import {
  type Affine,
  addReference,
  GENERATORS,
  getPoint,
  multiplyReference,
  negReference,
  putPoints,
  randomElement,
  readNumber,
} from '../support/groth16-kernel.ts';

const COUNT = process.env.GRAIL_LONG ? 200_000 : 2000;
const R_INVERSE: Record<string, bigint> = {};
let kernel: Kernel;

beforeAll(async () => {
  kernel = await createKernel();
});

const mod = (value: bigint, p: bigint) => ((value % p) + p) % p;

/** A lane of a pair, with how far its value is from zero in multiples of p and its largest digit but the last. */
function readLane(at: number, lane: number) {
  const view = kernel.view;
  let value = 0n;
  let digit = 0;
  for (let i = 4; i >= 0; i--) {
    const d = view.getFloat64(at + 16 * i + 8 * lane, true);
    if (i < 4) digit = Math.max(digit, Math.abs(d));
    value = (value << 51n) + BigInt(d);
  }
  return { value, digit };
}

test('this runtime can run the kernel', async () => {
  expect(await isSupported()).toBe(true);
});

describe.each([
  ['base field', BASE_FIELD, 'q'],
  ['scalar field', FIELD_ORDER, 'r'],
] as const)('%s', (_, p, name) => {
  R_INVERSE[name] = inverse(1n << 255n, p);

  test('a product, and a sum of two, is what bigints give, in both lanes, with normal digits', () => {
    const random = new Seeded(1);
    const field = kernel.constants[name];
    const at = kernel.allocate(6 * PAIR);
    for (let round = 0; round < COUNT; round++) {
      const values = Array.from({ length: 8 }, () => {
        const value = randomElement(random, p);
        return random.int(0, 1) === 0 ? value : value - p;
      });
      for (let i = 0; i < 4; i++) writePairOf(kernel.view, at + i * PAIR, values[2 * i]!, values[2 * i + 1]!);
      kernel.run.mul(field, at + 4 * PAIR, at, at + PAIR);
      kernel.run.mulAdd(field, at + 5 * PAIR, at, at + PAIR, at + 2 * PAIR, at + 3 * PAIR);
      for (const lane of [0, 1]) {
        const [a, b, c, d] = [0, 2, 4, 6].map((i) => values[i + lane]!) as [bigint, bigint, bigint, bigint];
        for (const [out, want] of [
          [4, a * b],
          [5, a * b + c * d],
        ] as const) {
          const { value, digit } = readLane(at + out * PAIR, lane);
          expect(mod(value - want * R_INVERSE[name]!, p)).toBe(0n);
          expect(digit).toBeLessThanOrEqual(2 ** 50);
          expect(value < 2n * p && value > -2n * p).toBe(true);
        }
      }
    }
  });

  test('a product is exact for sums of two with the greatest digits that there may be', () => {
    const random = new Seeded(4);
    const field = kernel.constants[name];
    const at = kernel.allocate(6 * PAIR);
    const top = Math.floor(Number(p) / 2 ** 204);
    const value = (slot: number, lane: number) => readLane(at + slot * PAIR, lane).value;
    for (let round = 0; round < COUNT; round++) {
      for (let slot = 0; slot < 4; slot++) {
        for (let word = 0; word < 10; word++) {
          const most = word < 8 ? 2 ** 51 : top;
          const digit = random.pick([most, -most, most, -most, random.int(-9, 9)]);
          kernel.view.setFloat64(at + slot * PAIR + 8 * word, digit, true);
        }
      }
      kernel.run.mul(field, at + 4 * PAIR, at, at + PAIR);
      kernel.run.mulAdd(field, at + 5 * PAIR, at, at + PAIR, at + 2 * PAIR, at + 3 * PAIR);
      for (const lane of [0, 1]) {
        const [a, b, c, d] = [0, 1, 2, 3].map((slot) => value(slot, lane)) as [
          bigint,
          bigint,
          bigint,
          bigint,
        ];
        expect(mod(value(4, lane) - a * b * R_INVERSE[name]!, p)).toBe(0n);
        expect(mod(value(5, lane) - (a * b + c * d) * R_INVERSE[name]!, p)).toBe(0n);
      }
      kernel.run.addReduced(field, at + 4 * PAIR, at, at + PAIR);
      for (const lane of [0, 1]) {
        const sum = readLane(at + 4 * PAIR, lane);
        expect(mod(sum.value - value(0, lane) - value(1, lane), p)).toBe(0n);
        expect(sum.digit).toBeLessThanOrEqual(2 ** 50);
      }
    }
  });

  test('a reduced sum or difference of two sums is the right one, at most 0.51·p, and zero only as zero', () => {
    const random = new Seeded(2);
    const field = kernel.constants[name];
    const at = kernel.allocate(4 * PAIR);
    for (let round = 0; round < COUNT; round++) {
      const [a, c] = [randomElement(random, p) - (p >> 1n), randomElement(random, p) - (p >> 1n)];
      const b = round % 3 === 0 ? a : randomElement(random, p) - (p >> 1n);
      writePairOf(kernel.view, at, a, c);
      writePairOf(kernel.view, at + PAIR, b, b);
      for (const [add, sign] of [
        [kernel.run.addReduced, 1n],
        [kernel.run.subReduced, -1n],
      ] as const) {
        add(field, at + 2 * PAIR, at, at + PAIR);
        for (const [lane, x] of [a, c].entries()) {
          const { value, digit } = readLane(at + 2 * PAIR, lane);
          expect(mod(value - x - sign * b, p)).toBe(0n);
          expect(100n * (value < 0n ? -value : value) <= 51n * p).toBe(true);
          expect(digit).toBeLessThanOrEqual(2 ** 50);
        }
      }
    }
  });

  test('numbers of 32 bytes come in and go out as they were', () => {
    const random = new Seeded(5);
    const values = Array.from({ length: 201 }, () => randomElement(random, p));
    const [bytes, singles, factor] = [
      kernel.allocate(32 * 201),
      kernel.allocate(40 * 201),
      kernel.allocate(PAIR),
    ];
    values.forEach((value, i) => {
      writeField(kernel.view, bytes + 32 * i, value);
    });
    writePairOf(kernel.view, factor, toMontgomery(1n << 255n, p), toMontgomery(1n << 255n, p));
    kernel.run.importNumbers(kernel.constants[name], singles, bytes, 201, factor);
    kernel.bytes(bytes, 32 * 201).fill(0xff);
    kernel.run.exportNumbers(kernel.constants[name], bytes, singles, 201);
    values.forEach((value, i) => {
      expect(readNumber(kernel, bytes + 32 * i)).toBe(value);
    });
  });

  test('inverses', () => {
    const random = new Seeded(3);
    const field = kernel.constants[name];
    const at = kernel.allocate(20 * PAIR);
    for (let round = 0; round < 20; round++) {
      const [a, b] = [randomElement(random, p) || 1n, round === 0 ? 0n : randomElement(random, p) || 1n];
      writePairOf(kernel.view, at, toMontgomery(a, p), toMontgomery(b, p));
      kernel.run.inverse(field, at + PAIR, at, at + 2 * PAIR);
      const want = [inverse(a, p), b === 0n ? 0n : inverse(b, p)];
      want.forEach((value, lane) => {
        expect(mod(readLane(at + PAIR, lane).value - toMontgomery(value, p), p)).toBe(0n);
      });
    }
  });
});

describe.each([1, 2])('points of degree %i', (degree) => {
  const generator = GENERATORS[degree]!;
  const multiples: Affine[] = [];
  beforeAll(() => {
    for (let i = 0, p: Affine = generator; i < 40; i++, p = addReference(p, generator)) multiples.push(p);
  });

  test('the complete addition is right for different, equal and opposite points and infinity', () => {
    const cases: [Affine, Affine][] = [
      [multiples[0]!, multiples[1]!],
      [multiples[2]!, multiples[2]!],
      [multiples[3]!, negReference(multiples[3]!)],
      [null, multiples[4]!],
      [multiples[4]!, null],
      [null, null],
    ];
    const size = 3 * degree * PAIR;
    const at = kernel.allocate(3 * size);
    const out = kernel.allocate(2 * pointBytes(degree));
    for (const [i, first] of cases.entries()) {
      const second = cases[(i + 1) % cases.length]!;
      for (const [side, at2] of [
        [0, at],
        [1, at + size],
      ] as const) {
        kernel.run.setInfinity(degree, at2);
        [first, second].forEach((pair, lane) => {
          const point = pair[side];
          if (point) kernel.run.setLane(degree, at2, lane, putPoints(kernel, degree, [point!]), 0);
        });
      }
      kernel.run.addPoints(degree, at + 2 * size, at, at + size);
      kernel.run.toAffine(degree, out, at + 2 * size);
      expect(getPoint(kernel, degree, out)).toEqual(addReference(...first));
      expect(getPoint(kernel, degree, out + pointBytes(degree))).toEqual(addReference(...second));
    }
  });

  /** `sumOfMultiples` of points with scalars. */
  function sum(points: readonly Affine[], scalars: readonly bigint[], windowBits: number): Affine {
    const { run } = kernel;
    const table = putPoints(kernel, degree, points);
    const numbers = kernel.allocate(32 * scalars.length);
    scalars.forEach((scalar, i) => {
      writeField(kernel.view, numbers + 32 * i, scalar);
    });
    const indices = kernel.allocate(4 * scalars.length);
    scalars.forEach((_, i) => {
      kernel.words(indices, scalars.length)[i] = i;
    });
    const work = kernel.allocate(run.workBytes(degree, points.length, windowBits));
    const out = kernel.allocate(pointBytes(degree));
    const windows = Math.ceil(254 / windowBits);
    run.sumOfMultiples(degree, out, table, indices, points.length, numbers, windowBits, 0, windows, work);
    return getPoint(kernel, degree, out);
  }

  const naive = (points: readonly Affine[], scalars: readonly bigint[]) =>
    points.reduce<Affine>((total, p, i) => addReference(total, multiplyReference(p, scalars[i]!)), null);

  test.each([2, 3, 5, 8, 11])('sums of multiples with windows of %i bits', (windowBits) => {
    const random = new Seeded(windowBits);
    const points = multiples.slice(0, 33);
    const kinds = [
      () => randomElement(random, FIELD_ORDER),
      () => BigInt(random.int(0, 1)),
      () => FIELD_ORDER - BigInt(random.int(1, 300)),
    ];
    const scalars = points.map((_, i) => kinds[i % 3]!());
    expect(sum(points, scalars, windowBits)).toEqual(naive(points, scalars));
  });

  test('sums of multiples with every edge of a scalar', () => {
    const half = FIELD_ORDER >> 1n;
    const scalars = [0n, 1n, 2n, 127n, 128n, 129n, 255n, 256n, half, half + 1n, FIELD_ORDER - 1n, 1n << 253n];
    const points = multiples.slice(0, scalars.length);
    expect(sum(points, scalars, 8)).toEqual(naive(points, scalars));
    for (const [i, scalar] of scalars.entries()) {
      expect(sum([points[i]!], [scalar], 8)).toEqual(multiplyReference(points[i]!, scalar));
    }
  });

  test('equal and opposite points in a bucket', () => {
    const [p, q] = [multiples[5]!, multiples[7]!];
    const opposite = negReference(p);
    const lists: Affine[][] = [
      [p, p],
      [p, p, p],
      [p, opposite],
      [p, opposite, q],
      [p, opposite, p, opposite, p, opposite],
      [p, p, opposite, opposite, q, q, q],
      [p, q, opposite, p, p, p, q, opposite],
      [p, p, p, p, p, p, p, p, q],
    ];
    for (const points of lists) {
      for (const scalars of [
        points.map(() => 1n),
        points.map((_, i) => (i % 2 === 0 ? 5n : FIELD_ORDER - 5n)),
      ]) {
        expect(sum(points, scalars, 4)).toEqual(naive(points, scalars));
      }
    }
  });
});

test.each([2, 4, 8, 64])('transforms of %i values are sums over roots of unity, and their inverses', (n) => {
  const p = FIELD_ORDER;
  const bits = Math.log2(n);
  const random = new Seeded(n);
  const domain = makeDomain(kernel, n);
  const data = kernel.allocate(40 * n);
  const put = (values: readonly bigint[]) => {
    for (let i = 0; i < n; i += 2) {
      writePairOf(kernel.view, data + 40 * i, toMontgomery(values[i]!, p), toMontgomery(values[i + 1]!, p));
    }
  };
  const get = (i: number) => mod(readLane(data + 80 * (i >> 1), i & 1).value * R_INVERSE.r!, p);
  const power = (base: bigint, exponent: number): bigint =>
    exponent === 0 ? 1n : (power(base, exponent - 1) * base) % p;
  const evaluate = (values: readonly bigint[], x: bigint) =>
    values.reduceRight((sum, value) => (sum * x + value) % p, 0n);
  const values = Array.from({ length: n }, () => randomElement(random, p));
  const root = rootOfUnity(bits);

  put(values);
  kernel.run.fftToReversed(data, n, domain.roots);
  for (let i = 0; i < n; i++) expect(get(reversed(i, bits))).toBe(evaluate(values, power(root, i)));

  put(values.map((_, i) => values[reversed(i, bits)]!));
  kernel.run.fftFromReversed(data, n, domain.inverseRoots);
  for (let i = 0; i < n; i++) expect(get(i)).toBe(evaluate(values, inverse(power(root, i), p)));

  // Values on the domain become values on its odd half-steps.
  put(Array.from({ length: n }, (_, i) => evaluate(values, power(root, reversed(i, bits)))));
  kernel.run.fftFromReversed(data, n, domain.inverseRoots);
  kernel.run.scale(data, domain.shifts, n / 2);
  kernel.run.fftToReversed(data, n, domain.roots);
  const half = rootOfUnity(bits + 1);
  for (let i = 0; i < n; i++) expect(get(reversed(i, bits))).toBe(evaluate(values, power(half, 2 * i + 1)));
});

test('many points with long buckets: Σ i·G over more than one batch', () => {
  const { run } = kernel;
  const count = 5000;
  const multiples: Affine[] = [];
  for (let i = 0, p: Affine = GENERATORS[1]!; i < 50; i++, p = addReference(p, GENERATORS[1]!))
    multiples.push(p);
  const random = new Seeded(9);
  const logs = Array.from({ length: count }, () => random.int(1, 50));
  const scalars = logs.map((_, i) => (i % 2 === 0 ? 1n : randomElement(random, FIELD_ORDER)));
  const table = kernel.allocate(count * pointBytes(1));
  const source = putPoints(kernel, 1, multiples);
  logs.forEach((log, i) => {
    kernel
      .bytes(table + i * pointBytes(1), pointBytes(1))
      .set(kernel.bytes(source + (log - 1) * pointBytes(1), pointBytes(1)));
  });
  const numbers = kernel.allocate(32 * count);
  scalars.forEach((scalar, i) => {
    writeField(kernel.view, numbers + 32 * i, scalar);
  });
  const indices = kernel.allocate(4 * count);
  const index = kernel.words(indices, count);
  index.forEach((_, i) => {
    index[i] = i;
  });
  const out = kernel.allocate(pointBytes(1));
  const total = logs.reduce((sum, log, i) => sum + BigInt(log) * scalars[i]!, 0n) % FIELD_ORDER;
  for (const windowBits of [7, 9]) {
    const windows = Math.ceil(254 / windowBits);
    const work = kernel.allocate(run.workBytes(1, count, windowBits));
    const part = (begin: number, end: number) => {
      run.sumOfMultiples(1, out, table, indices, count, numbers, windowBits, begin, end, work);
      return getPoint(kernel, 1, out);
    };
    expect(part(0, windows)).toEqual(multiplyReference(GENERATORS[1]!, total));
    // What two threads would sum is the same together.
    expect(addReference(part(0, 11), part(11, windows))).toEqual(multiplyReference(GENERATORS[1]!, total));
  }
});
