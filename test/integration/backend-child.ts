import { isMainThread, parentPort } from 'node:worker_threads';
import { loadBackend } from '../../src/backends/index.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';

/** Runs the same batch on every backend and reports the logits: to the parent thread, or as JSON on stdout. */
const report: Record<string, number[]> = {};
for (const name of ['reference', 'cpu', 'wasm'] as const) {
  const backend = await loadBackend(name);
  const loaded = backend.load(randomPolicy(CARTPOLE_MLP, 1));
  report[name] = [...loaded.logits(randomObservations(16, 4, 2), 16)];
  loaded.dispose();
  backend.dispose();
}
if (isMainThread) process.stdout.write(JSON.stringify(report));
else parentPort?.postMessage(report);
