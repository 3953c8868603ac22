import { describe, expect, test } from 'vitest';
import { canonicalBytes, canonicalText } from '../../src/protocol/canonical.ts';

describe('canonical JSON', () => {
  test('sorts members by UTF-16 units and writes nothing that is not needed', () => {
    expect(canonicalText({ b: [1, 'ä'], a: null, A: 1e21, '\u20ac': -0 })).toBe(
      '{"A":1e+21,"a":null,"b":[1,"ä"],"€":0}',
    );
  });

  test('what has no canonical form is refused with a code, wherever it stands', () => {
    const nested: unknown[] = [];
    let inner = nested;
    for (let i = 0; i < 100_000; i++) inner = inner[inner.push([]) - 1] as unknown[];
    expect(() => canonicalText(undefined)).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }));
    const values: unknown[] = [Number.NaN, Infinity, '\ud800', ['\udc00'], { '\ud800': 1 }, nested];
    for (const value of values) {
      expect(() => canonicalText(value)).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }));
      expect(() => canonicalBytes([value])).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }));
    }
  });
});
