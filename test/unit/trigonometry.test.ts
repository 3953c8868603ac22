import { expect, test } from 'vitest';
import { cosine, cosineAt, sine, sineCosineAt } from '../../src/environments/trigonometry.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { cosineOf, fromDouble, sineOf, ulpsApart } from '../support/high-precision.ts';

const COUNT = process.env.GRAIL_LONG ? 200_000 : 5_000;

function worstError(range: number): number {
  const block = new Uint32Array(4);
  let worst = 0;
  for (let i = 0; i < COUNT; i++) {
    philox4x32(i, 0, 0, 0, 7, 7, block);
    const x = (block[0]! / 2147483648 - 1 + block[1]! / 9.3e18) * range;
    worst = Math.max(worst, ulpsApart(sine(x), sineOf(fromDouble(x))));
    worst = Math.max(worst, ulpsApart(cosine(x), cosineOf(fromDouble(x))));
  }
  return worst;
}

test('sine and cosine are within 0.53 units in the last place on a quarter of a radian', () => {
  expect(worstError(0.25)).toBeLessThan(0.53);
});

test.each([0.8, 7, 1000, 1_000_000])(
  'sine and cosine are within 0.57 units in the last place up to %d',
  (range) => {
    expect(worstError(range)).toBeLessThan(0.57);
  },
);

test('sine and cosine are exact at zero and keep their symmetry', () => {
  expect(sine(0)).toBe(0);
  expect(cosine(0)).toBe(1);
  for (const x of [1e-9, 0.1, 0.7853981633974483, 1.5, 3.2, 100]) {
    expect(sine(-x)).toBe(-sine(x));
    expect(cosine(-x)).toBe(cosine(x));
  }
});

test('angles next to multiples of a right angle keep their accuracy', () => {
  for (let n = -8; n <= 8; n++) {
    const x = n * 1.5707963267948966;
    if (n === 0) continue;
    expect(ulpsApart(sine(x), sineOf(fromDouble(x)))).toBeLessThan(0.57);
    expect(ulpsApart(cosine(x), cosineOf(fromDouble(x)))).toBeLessThan(0.57);
  }
});

test.each([1_000_001, -1e300, Number.POSITIVE_INFINITY, Number.NaN])('%d is refused as an angle', (x) => {
  expect(() => sine(x)).toThrow(RangeError);
  expect(() => cosine(x)).toThrow(RangeError);
});

test.each([1e-9, 0.3, 0.8, 7, 1000, 1_000_000])(
  'sine and cosine in place are those of one number to the bit up to %d',
  (range) => {
    const block = new Uint32Array(4);
    const values = new Float64Array(4);
    for (let i = 0; i < COUNT; i++) {
      philox4x32(i, 0, 0, 0, 8, 8, block);
      const x = (block[0]! / 2147483648 - 1) * range;
      values.fill(x);
      sineCosineAt(values, 1);
      cosineAt(values, 3);
      expect(values.every((value, at) => Object.is(value, [x, sine(x), cosine(x), cosine(x)][at]))).toBe(
        true,
      );
    }
  },
);
