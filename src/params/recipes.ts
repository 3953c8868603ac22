import { environmentById } from '../environments/index.ts';
import type { Architecture, HiddenLayer } from '../policy/architecture.ts';
import { buildArchitecture } from '../policy/quantiser.ts';
import { GrailError } from '../protocol/errors.ts';
import type { AlgorithmParams, GrpoParams, PpoParams, QuantiserParams } from './genesis.ts';

/**
 * Settings with which each environment is known to learn: what a development network and the learning benchmark start
 * from. A genesis may choose others; nothing in the protocol reads these.
 */
export interface Recipe {
  readonly environment: string;
  readonly architecture: Architecture;
  readonly quantiser: QuantiserParams;
  readonly algorithm: AlgorithmParams;
  /** T. It must reach an episode's late states, since slots restart every window. */
  readonly stepsPerSlot: number;
  /** G: 1 with PPO. */
  readonly groupSize: number;
  /** B, such that the circuit stays small enough to prove in seconds. */
  readonly stepsPerProof: number;
  /** A multiple of B. */
  readonly challengesPerMiner: number;
  /** Mean evaluation return at which the task counts as learnt; null where the benchmark only compares. */
  readonly goal: number | null;
}

/** What differs from task to task. */
interface Task {
  readonly hidden: readonly HiddenLayer[];
  readonly quantiser: QuantiserParams;
  readonly ppo: Partial<PpoParams>;
  readonly stepsPerSlot: number;
  readonly groupSize?: number;
  readonly stepsPerProof: number;
  readonly challengesPerMiner: number;
  readonly goal: number | null;
}

const PPO: PpoParams = {
  name: 'ppo',
  learningRate: 1e-3,
  adamEpsilon: 1e-5,
  epochs: 10,
  minibatch: 256,
  clip: 0.2,
  gamma: 0.99,
  lambda: 0.95,
  maxGradientNorm: 0.5,
  entropyBonus: 0,
  importanceCap: 2,
  criticHidden: [64, 64],
};

const GRPO: GrpoParams = {
  name: 'grpo',
  learningRate: 1e-3,
  adamEpsilon: 1e-5,
  epochs: 10,
  minibatch: 256,
  clipLow: 0.2,
  clipHigh: 0.28,
  maxGradientNorm: 0.5,
  entropyBonus: 0,
  importanceCap: 2,
  scaleByDeviation: true,
};

/** Observations of 7 bits and a sign whose unit is 1/64, activations of 1/32, weights of 1/16, logits' of 1/64. */
const VECTOR: QuantiserParams = {
  observationBits: 6,
  activationBits: 5,
  weightBits: [4, 4, 6],
  hysteresis: 0.75,
};

/** Observations of 0 and 1. */
const BINARY_GRID: QuantiserParams = {
  observationBits: 0,
  activationBits: 5,
  weightBits: [6, 7, 6],
  hysteresis: 0.75,
};

const TASKS: Readonly<Record<string, Task>> = {
  'CartPole-v1': {
    hidden: [32, 32],
    quantiser: VECTOR,
    ppo: {},
    stepsPerSlot: 256,
    stepsPerProof: 8,
    challengesPerMiner: 8,
    goal: 475,
  },
  'Acrobot-v1': {
    hidden: [32, 32],
    quantiser: VECTOR,
    ppo: { entropyBonus: 0.01 },
    stepsPerSlot: 512,
    stepsPerProof: 8,
    challengesPerMiner: 8,
    goal: -90,
  },
  'MountainCar-v0': {
    hidden: [32, 32],
    quantiser: VECTOR,
    ppo: { entropyBonus: 0.01 },
    stepsPerSlot: 256,
    stepsPerProof: 8,
    challengesPerMiner: 8,
    goal: null,
  },
  'SAT-v1': {
    hidden: [64, 64],
    quantiser: VECTOR,
    ppo: { entropyBonus: 0.01, gamma: 1 },
    stepsPerSlot: 150,
    groupSize: 8,
    stepsPerProof: 4,
    challengesPerMiner: 8,
    goal: null,
  },
  'Countdown-v1': {
    hidden: [64, 64],
    quantiser: VECTOR,
    ppo: { entropyBonus: 0.01 },
    stepsPerSlot: 120,
    groupSize: 8,
    stepsPerProof: 4,
    challengesPerMiner: 8,
    goal: null,
  },
  ...Object.fromEntries(
    ['Breakout', 'Asterix', 'Freeway', 'Seaquest', 'SpaceInvaders'].map((game) => [
      `MinAtar/${game}-v1`,
      {
        hidden: [{ filters: 16, kernel: 3, stride: 1 }, 128],
        quantiser: BINARY_GRID,
        ppo: {
          epochs: 4,
          minibatch: 512,
          entropyBonus: 0.01,
          criticHidden: [128, 64],
        },
        stepsPerSlot: 512,
        stepsPerProof: 1,
        challengesPerMiner: 2,
        goal: null,
      } satisfies Task,
    ]),
  ),
};

/**
 * The recipe of an environment for an algorithm.
 * @throws GrailError GENESIS_INVALID when there is no such environment, or it has no recipe for that algorithm.
 */
export function recipe(environmentId: string, algorithm: AlgorithmParams['name']): Recipe {
  const environment = environmentById(environmentId);
  const task = TASKS[environmentId];
  if (task === undefined) {
    throw new GrailError('GENESIS_INVALID', `${environmentId} has no recipe: write its genesis by hand`, {
      expected: Object.keys(TASKS).join(', '),
      got: environmentId,
    });
  }
  if (algorithm === 'grpo' && environment.maxEpisodeSteps === null) {
    throw new GrailError(
      'GENESIS_INVALID',
      `${environmentId} has no time limit, so GRPO's groups may never end`,
      {
        got: environmentId,
      },
    );
  }
  const { hidden, quantiser, stepsPerSlot, stepsPerProof, challengesPerMiner, goal } = task;
  return {
    environment: environmentId,
    architecture: buildArchitecture({
      shape: environment.shape,
      hidden,
      actions: environment.actions,
      quantiser,
    }),
    quantiser,
    algorithm: algorithm === 'ppo' ? { ...PPO, ...task.ppo } : GRPO,
    stepsPerSlot:
      algorithm === 'ppo' ? stepsPerSlot : Math.max(stepsPerSlot, environment.maxEpisodeSteps ?? 0),
    groupSize: algorithm === 'ppo' ? 1 : (task.groupSize ?? 8),
    stepsPerProof,
    challengesPerMiner,
    goal,
  };
}
