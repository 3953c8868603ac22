import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { FairShare } from '../../verifier/fair-share.ts';
import { parseJson } from '../../verifier/json-body.ts';
import { DEFAULT_LIMITS } from '../../verifier/limits.ts';
import { peerName, TokenBuckets } from '../../verifier/rates.ts';
import { Turns } from '../../verifier/turns.ts';

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

describe('debts of a TokenBuckets', () => {
  test('what is taken beyond the tokens is waited for by the next, and no longer than a burst takes to flow in', () => {
    let now = 0;
    const buckets = new TokenBuckets({ perSecond: 10, burst: 100 }, 10, () => now);
    expect(buckets.take('a', 150)).toBe(0);
    expect([buckets.wait('a'), buckets.take('a')]).toEqual([5_100, 5_100]);
    buckets.charge('a', 1_000_000);
    expect(buckets.wait('a')).toBe(10_100);
    now = 10_100;
    expect([buckets.wait('a'), buckets.take('a'), buckets.take('a')]).toEqual([0, 0, 100]);
    expect(buckets.wait('b')).toBe(0);
  });
});

describe('FairShare', () => {
  test('bounds each name and the total, and a place is given back once', () => {
    const share = new FairShare(3, 2);
    const first = share.enter('a', 1)!;
    share.enter('a', 1);
    expect(share.enter('a', 1)).toBeNull();
    share.enter('b', 1);
    expect(share.enter('b', 1)).toBeNull();
    first.leave();
    first.leave();
    expect(share.used).toBe(2);
    expect(share.enter('a', 1)).not.toBeNull();
    expect(share.enter('b', 1)).toBeNull();
  });

  test('a place grows and shrinks within the same bounds', () => {
    const share = new FairShare(10, 6);
    const a = share.enter('a', 1)!;
    expect([a.add(5), a.add(1), a.add(-2), a.add(2)]).toEqual([true, false, true, true]);
    const b = share.enter('b', 0)!;
    expect([b.add(5), b.add(4), share.used]).toEqual([false, true, 10]);
    a.leave();
    expect([a.add(1), share.used]).toEqual([false, 4]);
  });

  test('when it is full, whoever holds most gives way to whoever holds less, its oldest first', () => {
    const share = new FairShare(4);
    const gone: string[] = [];
    for (const name of ['first', 'second', 'third']) share.enter('greedy', 1, () => gone.push(name));
    share.enter('modest', 1, () => gone.push('modest'));
    expect(share.enter('new', 1)).not.toBeNull();
    expect(gone).toEqual(['first']);
    expect(share.enter('new', 1)).toBeNull();
    expect(share.enter('greedy', 1)).toBeNull();
    expect([gone, share.used]).toEqual([['first'], 4]);
  });

  test('a place that was settled, or never gave way, stays', () => {
    const share = new FairShare(3);
    const gone: string[] = [];
    share.enter('greedy', 1);
    share.enter('greedy', 1, () => gone.push('settled'))!.settle();
    share.enter('greedy', 1, () => gone.push('last'));
    share.enter('new', 1);
    expect(gone).toEqual(['last']);
    expect(share.enter('newer', 1)).toBeNull();
  });

  test('what is alone fits whatever its weight', () => {
    const share = new FairShare(10);
    expect(share.enter('a', 500)).not.toBeNull();
    expect(share.enter('b', 1)).toBeNull();
  });
});

describe('Turns', () => {
  /** A task that ends when it is told to, and the order in which tasks began. */
  function tasks(turns: Turns) {
    const began: string[] = [];
    const ends: (() => void)[] = [];
    const ask = (name: string, label: string) =>
      turns.run(name, () => {
        began.push(label);
        return new Promise<void>((resolve) => ends.push(resolve));
      });
    return { began, ends, ask };
  }
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

  test('names take turns, however many tasks one of them has', async () => {
    const turns = new Turns({ atOnce: 1, waiting: 100, limit: 'messagesWaiting' });
    const { began, ends, ask } = tasks(turns);
    const all = [1, 2, 3, 4, 5].map((i) => ask('a', `a${i}`));
    all.push(ask('b', 'b1'), ask('c', 'c1'), ask('b', 'b2'));
    for (let done = 0; done < all.length; done++) {
      await settled();
      expect([began.length, turns.running]).toEqual([done + 1, 1]);
      ends[done]!();
    }
    await Promise.all(all);
    expect(began).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4', 'a5']);
  });

  test('what waits is bounded, and the longest queue gives way to the shorter', async () => {
    const turns = new Turns({ atOnce: 1, waiting: 3, limit: 'messagesWaiting' });
    const { began, ends, ask } = tasks(turns);
    const refusals: unknown[] = [];
    const asked = ['a0', 'a1', 'a2', 'a3', 'a4', 'b1'].map(async (label) => {
      await ask(label[0]!, label).catch((error) => refusals.push([label, error.code, error.details.limit]));
      if (label === 'a0') await settled();
    });
    await settled();
    for (let i = 0; i < 3; i++) {
      ends[i]?.();
      await settled();
    }
    await Promise.all(asked);
    // Four and five found no place; the oldest of a's gave its place to b's.
    expect(refusals).toEqual([
      ['a3', 'TOO_MANY_REQUESTS', 'messagesWaiting'],
      ['a4', 'TOO_MANY_REQUESTS', 'messagesWaiting'],
      ['a0', 'TOO_MANY_REQUESTS', 'messagesWaiting'],
    ]);
    expect([began, turns.running, turns.waiting]).toEqual([['a1', 'b1', 'a2'], 0, 0]);
  });

  test('a task that fails passes its turn on', async () => {
    const turns = new Turns({ atOnce: 1, waiting: 3, limit: 'messagesWaiting' });
    const failing = turns.run('a', () => {
      throw new GrailError('BAD_REQUEST', 'no');
    });
    const next = turns.run('a', () => 7);
    await expect(failing).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(await next).toBe(7);
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
  const sections = text.split(/^## /m).filter((section) => /^[^\n]*\(verifier\/limits\.ts\)/.test(section));
  const rows = sections.flatMap((section) => [...section.matchAll(/^\| `(\w+)` \| ([\d,.]+) \| /gm)]);

  test('its tables of the gateway are the limits and their defaults, each once', () => {
    const stated = rows.map(([, name, value]) => [name, value]);
    const set = Object.entries(DEFAULT_LIMITS).map(([name, value]) => [name, value.toLocaleString('en-GB')]);
    expect(stated.sort()).toEqual(set.sort());
  });
});
