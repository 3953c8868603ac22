import { parentPort } from 'node:worker_threads';
import { policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { createTrainer, trainerStateRoot } from '../../src/training/index.ts';
import { GOLDEN_WINDOWS, goldenRuns, train } from '../support/training.ts';

/** Trains the golden runs one after another and posts the last roots of each: `{ name: [policyRoot, trainerStateRoot] }`. */
const roots: Record<string, [string, string]> = {};
for (const [name, { genesis, lag, data }] of Object.entries(goldenRuns())) {
  const { policies, states } = train(await createTrainer(genesis), GOLDEN_WINDOWS, lag, data);
  roots[name] = [toHex(policyRoot(policies.at(-1)!)), toHex(trainerStateRoot(states.at(-1)!))];
}
parentPort?.postMessage(roots);
