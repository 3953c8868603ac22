import { wasmBinarySha256 } from '../../src/backends/index.ts';
import { type Environment, environmentById, type Rollouts, runSlots } from '../../src/environments/index.ts';
import type { GrpoParams, PpoParams } from '../../src/params/genesis.ts';
import { forward, type Policy, packSlotSeeds, policyRoot, sampleBatch } from '../../src/policy/index.ts';
import { buildArchitecture } from '../../src/policy/quantiser.ts';
import { toHex, u32, utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { minerSeeds, windowSeed } from '../../src/protocol/seeds.ts';
import type {
  Trainer,
  TrainerGenesis,
  TrainerState,
  UpdateInput,
  UpdateMetrics,
} from '../../src/training/index.ts';
import { goalGrid } from './goal-grid.ts';
import { CARTPOLE_MLP, QUANTISER } from './policies.ts';

const PPO: PpoParams = {
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
};

const GRPO: GrpoParams = {
  name: 'grpo',
  learningRate: 0.005,
  adamEpsilon: 0.00001,
  epochs: 2,
  minibatch: 64,
  clipLow: 0.2,
  clipHigh: 0.28,
  maxGradientNorm: 0.5,
  entropyBonus: 0.01,
  importanceCap: 2,
  scaleByDeviation: true,
};

/** What training reads of a genesis: CartPole in small. */
export function trainerGenesis(changes: Partial<PpoParams> = {}) {
  return {
    architecture: CARTPOLE_MLP,
    quantiser: QUANTISER,
    algorithm: { ...PPO, ...changes },
    groupSize: 1,
    initialSeed: toHex(sha256(utf8('test initial seed'))),
    trainingWasm: wasmBinarySha256(),
  } satisfies TrainerGenesis;
}

/** The same with GRPO in groups of three. */
export function grpoGenesis(changes: Partial<GrpoParams> = {}) {
  return {
    ...trainerGenesis(),
    algorithm: { ...GRPO, ...changes },
    groupSize: 3,
  } satisfies TrainerGenesis;
}

export const GRID_QUANTISER = {
  observationBits: 0,
  activationBits: 5,
  weightBits: [6, 5, 5, 6],
  hysteresis: 0.75,
};

/** Two convolutions and two dense layers over the grid of 4 × 4 × 2. */
export const GRID_NETWORK = buildArchitecture({
  shape: goalGrid.shape,
  hidden: [{ filters: 6, kernel: 2, stride: 1 }, { filters: 4, kernel: 2, stride: 1 }, 16],
  actions: goalGrid.actions,
  quantiser: GRID_QUANTISER,
});

/** Convolutions in the policy and in the critic. */
export function gridGenesis(changes: Partial<PpoParams> = {}) {
  const criticHidden = [{ filters: 4, kernel: 2, stride: 2 }, 8];
  return {
    ...trainerGenesis({ learningRate: 0.005, criticHidden, ...changes }),
    architecture: GRID_NETWORK,
    quantiser: GRID_QUANTISER,
  } satisfies TrainerGenesis;
}

/** How much data of what kind a window brings. */
export interface Collection {
  readonly environment: Environment;
  readonly groupSize: number;
  /** Slots of each miner. */
  readonly slots: readonly number[];
  readonly steps: number;
}

const CARTPOLE: Collection = {
  environment: environmentById('CartPole-v1'),
  groupSize: 1,
  slots: [2, 1],
  steps: 100,
};

/** Groups of three, for `grpoGenesis`. */
export const IN_GROUPS: Partial<Collection> = { groupSize: 3, slots: [3, 6] };

/** For `gridGenesis`. */
export const ON_GRID: Partial<Collection> = { environment: goalGrid, slots: [4, 3], steps: 40 };

/** The miners' rollouts of one window and the logits of the policy that made them. */
export function collect(
  policy: Policy,
  window: number,
  changes: Partial<Collection> = {},
): { behaviour: Policy; rollouts: Rollouts[]; logits: Int32Array[]; shuffleSeed: Uint8Array } {
  const { environment, groupSize, slots, steps } = { ...CARTPOLE, ...changes };
  const genesisHash = sha256(utf8('test genesis'));
  const beacon0 = sha256(utf8('test beacon'), u32(window));
  const seed = windowSeed({ genesisHash, window, policyRoot: policyRoot(policy), beacon0 });
  const rollouts = slots.map((own, miner) => {
    const seeds = minerSeeds(genesisHash, seed, new Uint8Array(20).fill(miner + 1));
    const noise = packSlotSeeds(seeds, own);
    return runSlots(environment, seeds, groupSize, own, steps, (step, observations, actions) =>
      sampleBatch(noise, step, forward(policy, observations, own), environment.actions, actions),
    );
  });
  return {
    behaviour: policy,
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

/**
 * Trains windows 0 … windows − 1 at a lag. Element w of `policies` and `states` is version w.
 * @param alter what the trainer is told instead of the truth
 */
export function train(
  trainer: Trainer,
  windows: number,
  lag = 1,
  changes: Partial<Collection> = {},
  alter: (input: UpdateInput) => UpdateInput = (input) => input,
): Trained {
  const start = trainer.initialise();
  const policies = [start.policy];
  const states = [start.state];
  const metrics: UpdateMetrics[] = [];
  for (let window = 0; window < windows; window++) {
    const acting = Math.max(0, window - lag);
    const data = collect(policies[acting]!, window, changes);
    const [state, policy] = [states[window]!, policies[window]!];
    const result = trainer.update(alter({ state, policy, staleness: window - acting, ...data }));
    policies.push(result.policy);
    states.push(result.state);
    metrics.push(result.metrics);
  }
  return { policies, states, metrics };
}

/** A training run whose bits test/vectors/training.json records. */
export interface GoldenRun {
  readonly genesis: TrainerGenesis;
  readonly lag: number;
  readonly data: Partial<Collection>;
}

/** Windows of each golden run. */
export const GOLDEN_WINDOWS = 4;

/** The runs of docs/PROTOCOL.md, Training, Test vectors, by name. */
export function goldenRuns(): Record<'ppo' | 'convolutions' | 'grpo', GoldenRun> {
  return {
    ppo: { genesis: trainerGenesis({ learningRate: 0.005 }), lag: 1, data: {} },
    convolutions: { genesis: gridGenesis(), lag: 2, data: ON_GRID },
    grpo: { genesis: grpoGenesis(), lag: 3, data: IN_GROUPS },
  };
}
