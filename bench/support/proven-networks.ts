import { recipe } from '../../src/params/recipes.ts';
import type { Architecture, DenseLayer } from '../../src/policy/architecture.ts';

/** A network whose circuit is measured. */
export interface ProvenNetwork {
  readonly name: string;
  readonly architecture: Architecture;
  /** B. */
  readonly stepsPerProof: number;
  /** Takes minutes to compile or key. */
  readonly heavy: boolean;
}

/** Shifts of the MLP recipes, and the largest biases that their accumulators' bits leave room for. */
function mlp(name: string, layers: readonly [number, number, number][], actions: number, stepsPerProof = 8) {
  const dense = layers.map(([width, shift, biasMax], i): DenseLayer => {
    return { type: 'dense', in: width, out: layers[i + 1]?.[0] ?? actions, shift, biasMax };
  });
  const architecture: Architecture = { observation: layers[0]![0], actions, layers: dense };
  return { name, architecture, stepsPerProof };
}

const recipeNetwork = (name: string, environment: string): ProvenNetwork => {
  const { architecture, stepsPerProof } = recipe(environment, 'ppo');
  return { name, architecture, stepsPerProof, heavy: architecture.layers[0]!.type === 'conv2d' };
};

export const PROVEN_NETWORKS: readonly ProvenNetwork[] = [
  recipeNetwork('4-32-32-2', 'CartPole-v1'),
  {
    ...mlp(
      '8-64-64-4',
      [
        [8, 5, 1984],
        [64, 4, 8128],
        [64, 1, 8156],
      ],
      4,
    ),
    heavy: false,
  },
  {
    ...mlp(
      '128-256-256-18',
      [
        [128, 5, 32_576],
        [256, 4, 65_248],
        [256, 1, 65_268],
      ],
      18,
    ),
    heavy: true,
  },
  recipeNetwork('MinAtar/Breakout', 'MinAtar/Breakout-v1'),
];
