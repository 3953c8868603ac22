import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

test('two worker threads that train side by side both give the bits of the golden vector', async () => {
  const vector = JSON.parse(readFileSync(new URL('../vectors/training.json', import.meta.url), 'utf8'));
  const workers = [1, 2].map(() => new Worker(new URL('./training-worker.ts', import.meta.url)));
  const roots = await Promise.all(
    workers.map(async (worker) => {
      const [message] = await once(worker, 'message');
      await worker.terminate();
      return message;
    }),
  );
  const expected = {
    policyRoot: vector.policyRoots.at(-1),
    trainerStateRoot: vector.trainerStateRoots.at(-1),
  };
  expect(roots).toEqual([expected, expected]);
});
