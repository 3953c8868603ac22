import { describe, expect, test } from 'vitest';
import { type Genesis, parseGenesis } from '../../src/params/genesis.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { genesisOf } from '../../src/replica/genesis-of.ts';
import { named, TestNetwork, tinyGenesis } from '../helpers/network.ts';

const valid = tinyGenesis();
const [first, second] = valid.architecture.layers as [
  Genesis['architecture']['layers'][0],
  Genesis['architecture']['layers'][0],
];

function refusal(action: () => unknown): { code: Code; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof GrailError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

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
  ['half a surrogate pair in the name', { name: '\ud800' }, /name/],
];

describe('a genesis is refused that has', () => {
  test.each(WRONG)('%s', (_, changes, message) => {
    const error = refusal(() => parseGenesis({ ...valid, ...changes }));
    expect(error.code).toBe('GENESIS_INVALID');
    expect(error.message).toMatch(message);
  });
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
