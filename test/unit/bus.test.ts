import { describe, expect, test } from 'vitest';
import { createInProcessBus } from '../../verifier/bus/in-process.ts';
import { Kept } from '../../verifier/bus/kept.ts';
import { busCompliance } from '../helpers/bus-compliance.ts';

describe('the bus in one process', () => {
  busCompliance(async (settings) => {
    const bus = createInProcessBus(settings);
    return { here: bus, there: bus };
  });

  test('a subject that is served already is not served twice', async () => {
    const bus = createInProcessBus();
    const stop = bus.serve('submit', async (bytes) => bytes, { concurrency: 1, queue: 0 });
    const again = () => bus.serve('submit', async (bytes) => bytes, { concurrency: 1, queue: 0 });
    expect(again).toThrow(RangeError);
    await stop();
    expect(again).not.toThrow();
    await bus.close();
  });
});

describe('what is kept', () => {
  const kept = (bounds: { keepMs?: number; count?: number; bytes?: number }, now: () => number = () => 0) =>
    new Kept<string>({ keepMs: 1_000, count: 10, bytes: 100, ...bounds }, ({ length }) => length, now);

  test('goes after its time', () => {
    let nowMs = 0;
    const values = kept({ keepMs: 50 }, () => nowMs);
    values.set('a', 'x');
    nowMs = 49;
    expect(values.get('a')).toBe('x');
    nowMs = 50;
    expect(values.get('a')).toBeUndefined();
  });

  test('goes, the oldest first, when there is too much of it', () => {
    const few = kept({ count: 2 });
    for (const key of ['a', 'b', 'c']) few.set(key, key);
    expect(few.values()).toEqual(['b', 'c']);
    const small = kept({ bytes: 5 });
    for (const key of ['a', 'b', 'c']) small.set(key, key.repeat(2));
    expect(small.values()).toEqual(['bb', 'cc']);
  });

  test('is young again, and counted once, when it is set again', () => {
    const values = kept({ bytes: 5 });
    values.set('a', 'aa');
    values.set('b', 'bb');
    values.set('a', 'aaa');
    expect(values.values()).toEqual(['bb', 'aaa']);
  });
});
