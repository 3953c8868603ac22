import { recipe } from '../../src/params/recipes.ts';
import { type Policy, weightCount } from '../../src/policy/index.ts';
import { philox4x32 } from '../../src/policy/philox.ts';
import { buildMlp } from '../../src/policy/quantiser.ts';
import { initialise } from '../../src/training/initialise.ts';

/** A network that benchmarks run. */
export interface Network {
  readonly name: string;
  /** With the weights that training starts from. */
  readonly policy: Policy;
  /** Observations of 0 and 1, as MinAtar's are. */
  readonly binary: boolean;
}

const initialSeed = `0x${'07'.repeat(32)}`;

/** CartPole's network, 64-256-256-16, and those of MinAtar games. */
export function networks(games: readonly string[]): Network[] {
  return [
    { name: '64-256-256-16', policy: mlp(64, [256, 256], 16), binary: false },
    { name: 'CartPole', policy: recipePolicy('CartPole-v1'), binary: false },
    ...games.map((game) => ({
      name: `MinAtar ${game}`,
      policy: recipePolicy(`MinAtar/${game}-v1`),
      binary: true,
    })),
  ];
}

/** The weights that training starts from, of an environment's recipe. */
export function recipePolicy(environment: string): Policy {
  return initialise({ ...recipe(environment, 'ppo'), initialSeed }).policy;
}

/** An MLP with the weights that training starts from. */
export function mlp(observation: number, hidden: readonly number[], actions: number): Policy {
  const parts = recipe('CartPole-v1', 'ppo');
  const quantiser = { ...parts.quantiser, weightBits: [...hidden.map(() => 4), 6] };
  const architecture = buildMlp({ observation, hidden, actions, quantiser });
  return initialise({ ...parts, architecture, quantiser, initialSeed }).policy;
}

/** `length` integers from −127 to 127, or of 0 and 1: the same for the same seed. */
export function observations(length: number, { binary = false, seed = 3 } = {}): Int8Array {
  const words = new Uint32Array(Math.ceil(length / 16) * 4);
  const block = new Uint32Array(4);
  for (let i = 0; i < words.length; i += 4) {
    philox4x32(i / 4, 0, 0, 0, seed, 4, block);
    words.set(block, i);
  }
  const bytes = new Uint8Array(words.buffer, 0, length);
  return Int8Array.from(bytes, (byte) => (binary ? byte & 1 : (byte % 255) - 127));
}

/** The policy with int8 weights over their whole range. */
export function extreme({ architecture, layers }: Policy): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer, index) => ({
      weight: observations(weightCount(layer)),
      bias: layers[index]!.bias,
    })),
  };
}
