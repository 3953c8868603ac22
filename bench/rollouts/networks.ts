import { recipe } from '../../src/params/recipes.ts';
import { type Architecture, type Policy, weightCount } from '../../src/policy/index.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';
import { initialise } from '../../src/training/initialise.ts';

export interface Network {
  readonly name: string;
  readonly policy: Policy;
  /** Observations of 0 and 1, as MinAtar's are. */
  readonly binary: boolean;
}

const INITIAL_SEED = `0x${'07'.repeat(32)}` as const;

/** Networks of the recipes, and one that is wide for an MLP in RL. */
export function networks(): Network[] {
  return [
    { name: '64-256-256-16', policy: mlp(64, [256, 256], 16), binary: false },
    { name: 'CartPole', policy: recipePolicy('CartPole-v1'), binary: false },
    { name: 'MinAtar Breakout', policy: recipePolicy('MinAtar/Breakout-v1'), binary: true },
  ];
}

/** The weights that training starts from, of an environment's recipe. */
export function recipePolicy(environment: string): Policy {
  return initialise({ ...recipe(environment, 'ppo'), initialSeed: INITIAL_SEED }).policy;
}

/** An MLP with the weights that training starts from. */
export function mlp(observation: number, hidden: readonly number[], actions: number): Policy {
  const parts = recipe('CartPole-v1', 'ppo');
  const weightBits = [...hidden.map(() => 4), 6];
  const quantiser = { ...parts.quantiser, weightBits };
  const architecture: Architecture = buildMlp({ observation, hidden, actions, quantiser });
  return initialise({ ...parts, architecture, quantiser, initialSeed: INITIAL_SEED }).policy;
}

const block = new Uint32Array(4);

/** The same words in every run. */
export function random(index: number): number {
  philox4x32(index, 0, 0, 0, 3, 4, block);
  return block[0]!;
}

/** The same policy with int8 weights over their whole range. */
export function extreme({ architecture, layers }: Policy): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer, index) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, (_, i) => (random(i) % 255) - 127),
      bias: layers[index]!.bias,
    })),
  };
}

/** `[batch, observation]`, of 0 and 1 or over their whole range. */
export function observations(
  { policy, binary }: Pick<Network, 'policy' | 'binary'>,
  batch: number,
): Int8Array {
  return Int8Array.from({ length: batch * policy.architecture.observation }, (_, i) =>
    binary ? random(i) & 1 : (random(i) % 255) - 127,
  );
}
