import { isMainThread, parentPort } from 'node:worker_threads';
import { EMBEDDED_BACKENDS, loadBackend } from '../../src/backends/index.ts';
import { SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';

/** Runs the same batch on every backend and reports the logits: to the parent thread, or as JSON on stdout. */
const report: Record<string, number[]> = {};
for (const name of EMBEDDED_BACKENDS) {
  const backend = await loadBackend(name);
  report[name] = [CARTPOLE_MLP, SMALL_CONVOLUTIONS].flatMap((architecture) => {
    const loaded = backend.load(randomPolicy(architecture, 1));
    const logits = [...loaded.logits(randomObservations(16, architecture.observation, 2), 16)];
    loaded.dispose();
    return logits;
  });
  backend.dispose();
}
if (isMainThread) process.stdout.write(JSON.stringify(report));
else parentPort?.postMessage(report);
