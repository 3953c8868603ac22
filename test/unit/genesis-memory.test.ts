import { expect, test } from 'vitest';
import { environmentById } from '../../src/environments/index.ts';
import { type Genesis, type PpoParams, parseGenesis } from '../../src/params/genesis.ts';
import type { HiddenLayer } from '../../src/policy/architecture.ts';
import { buildArchitecture } from '../../src/policy/quantiser.ts';
import { tinyGenesis } from '../helpers/network.ts';

const valid = tinyGenesis();
const ppo = { ...(valid.algorithm as PpoParams), criticHidden: [16] };

/** A network that plays Breakout with these hidden layers: what a member would have to hold is in its genesis. */
function breakout(hidden: readonly HiddenLayer[], changes: Partial<Genesis> = {}): unknown {
  const { shape, actions } = environmentById('MinAtar/Breakout-v1');
  const weightBits = [6, ...hidden.slice(1).map(() => 5), 6];
  const quantiser = { observationBits: 0, activationBits: 5, weightBits, hysteresis: 0.75 };
  return {
    ...valid,
    environment: 'MinAtar/Breakout-v1',
    architecture: buildArchitecture({ shape, hidden, actions, quantiser }),
    quantiser,
    algorithm: ppo,
    ...changes,
  };
}

const one = { filters: 8, kernel: 1, stride: 1 };

test('a network that plays Breakout is accepted', () => {
  expect(() => parseGenesis(breakout([one, 16]))).not.toThrow();
});

/** Eight layers of 800 values each keep four tensors of 128 MiB in every pass: 4 GiB, the whole wasm heap. */
test('genesis refuses a minibatch whose layers together fill the trainer’s memory', () => {
  const deep = Array.from({ length: 8 }, () => one);
  expect(() => parseGenesis(breakout(deep, { algorithm: { ...ppo, minibatch: 41_900 } }))).toThrow(
    /algorithm\.minibatch/,
  );
  expect(() => parseGenesis(breakout(deep, { algorithm: { ...ppo, minibatch: 256 } }))).not.toThrow();
});

test('genesis refuses slots whose replayed observations fill a verifier’s memory', () => {
  expect(() => parseGenesis(breakout([one, 16], { maxSlots: 2560, stepsPerSlot: 512 }))).toThrow(
    /maxSlots · stepsPerSlot/,
  );
});

test('genesis refuses a proof of more accumulators than can be packed', () => {
  const wide = [
    { filters: 256, kernel: 3, stride: 1 },
    { filters: 4, kernel: 1, stride: 1 },
  ];
  const proof = { stepsPerProof: 64, challengesPerMiner: 64, stepsPerSlot: 64 };
  expect(() => parseGenesis(breakout(wide, proof))).toThrow(/stepsPerProof/);
});

test('an architecture of more products than every replica should compute is refused', () => {
  const wide = { filters: 1024, kernel: 1, stride: 1 };
  const hidden = [{ filters: 1024, kernel: 3, stride: 1 }, wide, wide, { filters: 4, kernel: 1, stride: 1 }];
  expect(() => breakout(hidden)).toThrow(/products/);
});
