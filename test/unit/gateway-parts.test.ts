import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { parseJson } from '../../verifier/json-body.ts';
import { DEFAULT_LIMITS } from '../../verifier/limits.ts';
import { Occupancy, peerName, TokenBuckets } from '../../verifier/rates.ts';

describe('TokenBuckets', () => {
  test('gives a burst at once, then one token a period, and never more than the burst', () => {
    let now = 0;
    const buckets = new TokenBuckets({ perSecond: 2, burst: 3 }, 10, () => now);
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 500]);
    now = 499;
    expect(buckets.take('a')).toBeCloseTo(1);
    now = 500;
    expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 500]);
    now = 1_000_000;
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 500]);
  });

  test('names do not share tokens', () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, 10, () => 0);
    expect([buckets.take('a'), buckets.take('b'), buckets.take('a')]).toEqual([0, 0, 1000]);
  });

  test('remembers a bounded number of names, and forgets the least recent', () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, 2, () => 0);
    buckets.take('a');
    buckets.take('b');
    buckets.take('a');
    buckets.take('c');
    expect(buckets.size).toBe(2);
    expect(buckets.take('a')).toBe(1000);
    expect(buckets.take('b')).toBe(0);
  });
});

describe('Occupancy', () => {
  test('bounds each name and the total, and a place is given back once', () => {
    const occupancy = new Occupancy(3, 2);
    const first = occupancy.enter('a')!;
    occupancy.enter('a');
    expect(occupancy.enter('a')).toBeNull();
    occupancy.enter('b');
    expect(occupancy.enter('b')).toBeNull();
    first();
    first();
    expect(occupancy.count).toBe(2);
    expect(occupancy.enter('a')).not.toBeNull();
    expect(occupancy.enter('b')).toBeNull();
  });
});

describe('peerName', () => {
  test('is the IPv4 address, mapped or not, and the /64 of an IPv6 address', () => {
    expect(peerName('127.0.0.1')).toBe('127.0.0.1');
    expect(peerName('::ffff:10.0.0.7')).toBe('10.0.0.7');
    expect(peerName('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(peerName('2001:DB8:1:2::9')).toBe('2001:db8:1:2::/64');
    expect(peerName('::1')).toBe('0:0:0:0::/64');
    expect(peerName('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(peerName(undefined)).toBe('unknown');
  });
});

describe('parseJson', () => {
  const parse = (text: string, depth = 3) => parseJson(new TextEncoder().encode(text), depth);

  test('takes JSON up to the depth, and no deeper', () => {
    expect(parse('{"a":[{"b":1}]}')).toEqual({ a: [{ b: 1 }] });
    expect(() => parse('[[[[1]]]]')).toThrow(GrailError);
    expect(parse('[[],[],[],[[]]]')).toEqual([[], [], [], [[]]]);
  });

  test('brackets in strings are no nesting, whatever is escaped in them', () => {
    const texts = ['"[[[[["', '"\\"[[[[["', '"\\\\"', '["\\\\\\"[[[["]'];
    for (const text of texts) expect(parse(text)).toEqual(JSON.parse(text));
  });

  test('an unterminated string or a stray bracket is no JSON', () => {
    for (const text of ['"', '"\\', ']', '}}}}[', '["]', '']) expect(() => parse(text)).toThrow(GrailError);
  });
});

describe('docs/LIMITS.md', () => {
  const text = readFileSync(new URL('../../docs/LIMITS.md', import.meta.url), 'utf8');

  test('names every limit of the gateway with its default', () => {
    for (const [name, value] of Object.entries(DEFAULT_LIMITS)) {
      const stated = value.toLocaleString('en-GB');
      const row = text.split('\n').some((line) => line.startsWith(`| \`${name}\` | ${stated} |`));
      const inText = text.includes(`\`${name}\` (${stated})`);
      expect([name, stated, row || inText]).toEqual([name, stated, true]);
    }
  });
});
