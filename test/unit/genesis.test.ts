import { describe, expect, test } from 'vitest';
import { environmentById } from '../../src/environments/index.ts';
import { type Genesis, type GrpoParams, type PpoParams, parseGenesis } from '../../src/params/genesis.ts';
import type { DenseLayer } from '../../src/policy/architecture.ts';
import { buildArchitecture } from '../../src/policy/quantiser.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { genesisOf } from '../../src/replica/genesis-of.ts';
import { named, TestNetwork, tinyGenesis } from '../helpers/network.ts';

const valid = tinyGenesis();
const [first, second] = valid.architecture.layers as [DenseLayer, DenseLayer];

function refusal(action: () => unknown): { code: Code; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof GrailError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const ppo = valid.algorithm as PpoParams;
const grpo: GrpoParams = {
  name: 'grpo',
  learningRate: 0.001,
  adamEpsilon: 0.00001,
  epochs: 1,
  minibatch: 16,
  maxGradientNorm: 0.5,
  entropyBonus: 0,
  importanceCap: 2,
  clipLow: 0.2,
  clipHigh: 0.28,
  scaleByDeviation: true,
};
/** CartPole’s episodes of 500 steps fit its slots. */
const inGroups: Partial<Genesis> = { algorithm: grpo, groupSize: 4, stepsPerSlot: 500 };
const convolution = { filters: 2, kernel: 2, stride: 1 };

/** One change each, and what the refusal names. */
const WRONG: [string, Partial<Genesis>, RegExp][] = [
  ['another noise table', { gumbelTable: named('table') }, /gumbelTable/],
  ['an environment that does not exist', { environment: 'CartPole-v0' }, /CartPole-v0/],
  [
    'an architecture with another observation than the environment',
    { architecture: { ...valid.architecture, observation: 5, layers: [{ ...first, in: 5 }, second] } },
    /observed values/,
  ],
  [
    'an architecture with other actions than the environment',
    { architecture: { ...valid.architecture, actions: 3, layers: [first, { ...second, out: 3 }] } },
    /actions/,
  ],
  [
    'a shift that is not the quantiser’s',
    { architecture: { ...valid.architecture, layers: [{ ...first, shift: 6 }, second] } },
    /layer 0 has shift 6/,
  ],
  ['a verifier twice', { verifiers: [...valid.verifiers, ...valid.verifiers] }, /verifier repeats/],
  [
    'a proof variant without its key',
    { proof: { variant: 'digest', verificationKeys: { folds: named('key'), digest: null } } },
    /variant digest/,
  ],
  ['more actions a miner than a commit carries', { stepsPerSlot: 1_048_576, maxSlots: 16 }, /commit/],
  ['PPO in groups', { groupSize: 2 }, /PPO needs groupSize 1/],
  ['GRPO without groups', { ...inGroups, groupSize: 1 }, /groupSize must be 2 or more/],
  ['GRPO with episodes that outlast a slot', { ...inGroups, stepsPerSlot: 499 }, /stepsPerSlot/],
  ['GRPO with slots that are no whole groups', { ...inGroups, groupSize: 3 }, /multiple of groupSize/],
  [
    'GRPO with a critic',
    { ...inGroups, algorithm: { ...grpo, criticHidden: [4] } as GrpoParams },
    /criticHidden/,
  ],
  [
    'a convolution in the critic, without one in the architecture',
    { algorithm: { ...ppo, criticHidden: [convolution, 4] } },
    /algorithm\.criticHidden: layer 0: a convolution/,
  ],
  [
    'a minibatch that does not fit the trainer’s memory',
    { algorithm: { ...ppo, minibatch: 65_536, criticHidden: [1024] } },
    /algorithm\.minibatch: an update of it takes \d+ values/,
  ],
  [
    'a critic with more weights than a layer may have',
    { algorithm: { ...ppo, criticHidden: [4096, 4096] } },
    /algorithm\.criticHidden: layer 1 has more than 4194304 weights/,
  ],
  [
    'a convolution after a dense layer of the critic',
    { algorithm: { ...ppo, criticHidden: [4, convolution] } },
    /algorithm\.criticHidden: layer 1: a convolution/,
  ],
  ['an importance cap below 1', { algorithm: { ...ppo, importanceCap: 0.5 } }, /importanceCap/],
  ['a lag of more than 8 windows', { lag: 9 }, /lag/],
  ['half a surrogate pair in the name', { name: '\ud800' }, /name/],
];

describe('a genesis is refused that has', () => {
  test.each(WRONG)('%s', (_, changes, message) => {
    const error = refusal(() => parseGenesis({ ...valid, ...changes }));
    expect(error.code).toBe('GENESIS_INVALID');
    expect(error.message).toMatch(message);
  });
});

test('GRPO in groups whose episodes fit a slot is accepted', () => {
  expect(tinyGenesis(inGroups).algorithm).toEqual(grpo);
});

test('a critic may begin with convolutions where the architecture does', () => {
  const { shape, actions } = environmentById('MinAtar/Breakout-v1');
  const quantiser = { ...valid.quantiser, observationBits: 0, weightBits: [6, 6] };
  const hidden = [{ filters: 4, kernel: 3, stride: 1 }];
  const architecture = buildArchitecture({ shape, hidden, actions, quantiser });
  const genesis = tinyGenesis({
    environment: 'MinAtar/Breakout-v1',
    architecture: { ...architecture, layers: [...architecture.layers] },
    quantiser,
    algorithm: { ...ppo, criticHidden: [convolution, 4] },
  });
  expect(genesis.algorithm).toMatchObject({ criticHidden: [convolution, 4] });
});

test('a name beyond the basic plane is accepted', () => {
  expect(tinyGenesis({ name: 'réseau 🧮' }).name).toBe('réseau 🧮');
});

test('a ledger is refused whose local beacon pretends not to be for development', () => {
  const network = new TestNetwork(tinyGenesis({ insecureDev: false }));
  try {
    const { code, message } = refusal(() => genesisOf(network.ledger));
    expect(code).toBe('GENESIS_INVALID');
    expect(message).toMatch(/local beacon/);
  } finally {
    network.remove();
  }
});
