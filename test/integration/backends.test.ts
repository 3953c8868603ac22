import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { EMBEDDED_BACKENDS } from '../../src/backends/index.ts';
import { forward } from '../../src/policy/forward.ts';
import { SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';

const child = fileURLToPath(new URL('backend-child.ts', import.meta.url));
const logits = [CARTPOLE_MLP, SMALL_CONVOLUTIONS].flatMap((architecture) => [
  ...forward(randomPolicy(architecture, 1), randomObservations(16, architecture.observation, 2), 16),
]);
const expected = Object.fromEntries(EMBEDDED_BACKENDS.map((name) => [name, logits]));

test('a child process runs every embedded backend, exits by itself and prints nothing of TensorFlow.js', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [child]);
  expect(JSON.parse(stdout)).toEqual(expected);
  expect(stderr).toBe('');
});

test('two worker threads run every embedded backend at the same time', async () => {
  const run = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(child);
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  expect(await Promise.all([run(), run()])).toEqual([expected, expected]);
});

test('an uncaught error after wasm has started still exits with Node’s own code', async () => {
  const script = `
    const { startTfjs } = await import(${JSON.stringify(new URL('../../src/backends/tfjs/engine.ts', import.meta.url).href)});
    await startTfjs('wasm');
    setTimeout(() => { throw new Error('on purpose'); }, 1);
  `;
  const failure = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]).then(
    () => undefined,
    (error: { code: number; stderr: string }) => error,
  );
  expect(failure?.code).toBe(1);
  expect(failure?.stderr).toContain('on purpose');
});
