import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

interface GoldenRun {
  readonly policyRoots: readonly string[];
  readonly trainerStateRoots: readonly string[];
}

test('two worker threads that train side by side both give the bits of the golden runs', async () => {
  const vector = JSON.parse(readFileSync(new URL('../vectors/training.json', import.meta.url), 'utf8'));
  const runs = Object.entries<GoldenRun>(vector.runs);
  const expected = Object.fromEntries(
    runs.map(([name, run]) => [name, [run.policyRoots.at(-1), run.trainerStateRoots.at(-1)]]),
  );
  expect(Object.keys(expected)).toEqual(['ppo', 'convolutions', 'grpo']);
  const workers = [1, 2].map(() => new Worker(new URL('./training-worker.ts', import.meta.url)));
  const roots = await Promise.all(
    workers.map(async (worker) => {
      const [message] = await once(worker, 'message');
      await worker.terminate();
      return message;
    }),
  );
  expect(roots).toEqual([expected, expected]);
});
