import { wasmBinarySha256 } from '../../src/backends/index.ts';
import { environmentById, type Rollouts, runSlots } from '../../src/environments/index.ts';
import { forward, type Policy, packSeeds, policyRoot, sampleBatch } from '../../src/policy/index.ts';
import { toHex, u32, utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { minerSeeds, windowSeed } from '../../src/protocol/seeds.ts';
import type { Trainer, TrainerGenesis, TrainerState, UpdateMetrics } from '../../src/training/index.ts';
import { CARTPOLE_MLP, QUANTISER } from './policies.ts';

/** What training reads of a genesis: CartPole in small. */
export function trainerGenesis(changes: Partial<TrainerGenesis['algorithm']> = {}): TrainerGenesis {
  return {
    architecture: CARTPOLE_MLP,
    quantiser: QUANTISER,
    algorithm: {
      name: 'ppo',
      learningRate: 0.001,
      adamEpsilon: 0.00001,
      epochs: 2,
      minibatch: 64,
      clip: 0.2,
      gamma: 0.99,
      lambda: 0.95,
      maxGradientNorm: 0.5,
      entropyBonus: 0.01,
      importanceCap: 2,
      criticHidden: [16, 16],
      ...changes,
    },
    initialSeed: toHex(sha256(utf8('test initial seed'))),
    trainingWasm: wasmBinarySha256(),
  };
}

/** Two miners' rollouts of one window and the logits of the policy that made them. */
export function collect(
  policy: Policy,
  window: number,
  slots: readonly number[] = [2, 1],
  steps = 100,
): { rollouts: Rollouts[]; logits: Int32Array[]; shuffleSeed: Uint8Array } {
  const environment = environmentById('CartPole-v1');
  const genesisHash = sha256(utf8('test genesis'));
  const beacon0 = sha256(utf8('test beacon'), u32(window));
  const seed = windowSeed({ genesisHash, window, policyRoot: policyRoot(policy), beacon0 });
  const rollouts = slots.map((own, miner) => {
    const seeds = minerSeeds(genesisHash, seed, new Uint8Array(20).fill(miner + 1));
    const noise = packSeeds(Array.from({ length: own }, (_, slot) => seeds.sample(slot)));
    return runSlots(environment, seeds, 1, own, steps, (step, observations, actions) =>
      sampleBatch(noise, step, forward(policy, observations, own), environment.actions, actions),
    );
  });
  return {
    rollouts,
    logits: rollouts.map((part) => forward(policy, part.observations, part.actions.length)),
    shuffleSeed: sha256(utf8('test shuffle'), u32(window)),
  };
}

export interface Trained {
  readonly policies: readonly Policy[];
  readonly states: readonly TrainerState[];
  readonly metrics: readonly UpdateMetrics[];
}

/** Trains windows 0 … windows − 1 at a lag. Element w of `policies` and `states` is version w. */
export function train(trainer: Trainer, windows: number, lag = 1): Trained {
  const start = trainer.initialise();
  const policies = [start.policy];
  const states = [start.state];
  const metrics: UpdateMetrics[] = [];
  for (let window = 0; window < windows; window++) {
    const data = collect(policies[Math.max(0, window - lag)]!, window);
    const result = trainer.update({ state: states[window]!, policy: policies[window]!, ...data });
    policies.push(result.policy);
    states.push(result.state);
    metrics.push(result.metrics);
  }
  return { policies, states, metrics };
}
