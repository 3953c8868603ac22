import { parentPort } from 'node:worker_threads';
import { policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { createTrainer, trainerStateRoot } from '../../src/training/index.ts';
import { train, trainerGenesis } from '../support/training.ts';

/** Trains the windows of the golden vector and posts the last roots. */
const trainer = await createTrainer(trainerGenesis({ learningRate: 0.005 }));
const { policies, states } = train(trainer, 4);
parentPort?.postMessage({
  policyRoot: toHex(policyRoot(policies[4]!)),
  trainerStateRoot: toHex(trainerStateRoot(states[4]!)),
});
