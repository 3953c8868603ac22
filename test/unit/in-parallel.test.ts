import { expect, test } from 'vitest';
import { inParallel } from '../../verifier/jobs/in-parallel.ts';

test('results are in the order of the items, whichever ends first', async () => {
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const results = inParallel([0, 1, 2], 3, async (item) => {
    await gates[item]!.promise;
    return item * 10;
  });
  for (const item of [2, 0, 1]) gates[item]!.resolve();
  expect(await results).toEqual([0, 10, 20]);
});

test('no more than so many run at one time, and no fewer while there is work', async () => {
  let running = 0;
  const seen: number[] = [];
  await inParallel([...Array(10).keys()], 3, async () => {
    running += 1;
    seen.push(running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  });
  expect(Math.max(...seen)).toBe(3);
});

test('the first failure ends it: what has not begun is not begun', async () => {
  const begun: number[] = [];
  const run = inParallel([0, 1, 2, 3], 1, async (item) => {
    begun.push(item);
    if (item === 1) throw new Error('one failed');
  });
  await expect(run).rejects.toThrow('one failed');
  expect(begun).toEqual([0, 1]);
});

test('nothing to do is done', async () => {
  expect(await inParallel([], 4, async () => 1)).toEqual([]);
});
