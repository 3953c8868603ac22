import { expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import {
  decodeTrainerState,
  encodeTrainerState,
  initialise,
  type TrainerState,
  type TrainingParams,
  trainerStateRoot,
} from '../../src/training/index.ts';
import { words } from '../support/policies.ts';
import { gridGenesis, grpoGenesis, trainerGenesis } from '../support/training.ts';

const GENESIS = trainerGenesis();
const { architecture, algorithm } = GENESIS;

/** A state in which every field has its own value. */
function filled(genesis: TrainingParams = GENESIS): TrainerState {
  const { state } = initialise(genesis);
  const next = words(9);
  for (const network of [state.actor, state.critic]) {
    for (let i = 0; i < network.m.length; i++) {
      network.m[i] = next() / 2 ** 32 - 0.5;
      network.v[i] = next() / 2 ** 32;
    }
    network.beta1Power = next() / 2 ** 32;
    network.beta2Power = next() / 2 ** 32;
  }
  return { ...state, updates: 3, adamSteps: 2 ** 33 };
}

const ENCODED = encodeTrainerState(filled());

function altered(change: (view: DataView) => void): Uint8Array {
  const bytes = ENCODED.slice();
  change(new DataView(bytes.buffer));
  return bytes;
}

test('a state is its encoding: decoding and encoding again gives the same bytes and the same state', () => {
  const decoded = decodeTrainerState(architecture, algorithm, ENCODED);
  expect(decoded).toEqual(filled());
  expect(encodeTrainerState(decoded)).toEqual(ENCODED);
});

test.each([
  ['without a critic', grpoGenesis()],
  ['of convolutions', gridGenesis()],
])('a state %s is its encoding, too', (_, genesis) => {
  const state = filled(genesis);
  const bytes = encodeTrainerState(state);
  expect(bytes).toHaveLength(60 + 12 * (state.actor.values.length + state.critic.values.length));
  const decoded = decodeTrainerState(genesis.architecture, genesis.algorithm, bytes);
  expect(decoded).toEqual(state);
  expect(encodeTrainerState(decoded)).toEqual(bytes);
});

test('a state with a critic is none of an algorithm without one', () => {
  expect(() => decodeTrainerState(architecture, grpoGenesis().algorithm, ENCODED)).toThrowError(
    expect.objectContaining({ code: 'TRAINER_STATE_INVALID' }),
  );
});

test('a state decodes from bytes at any offset of their buffer', () => {
  const shifted = new Uint8Array(ENCODED.length + 3);
  shifted.set(ENCODED, 3);
  expect(decodeTrainerState(architecture, algorithm, shifted.subarray(3))).toEqual(filled());
});

const ACTOR_VALUES = 60;
const ACTOR_V = ACTOR_VALUES + 8 * initialise(GENESIS).state.actor.values.length;

test.each([
  ['another version', altered((view) => view.setUint32(0, 2, true))],
  ['another number of actor parameters', altered((view) => view.setUint32(4, 7, true))],
  ['another number of critic parameters', altered((view) => view.setUint32(8, 7, true))],
  ['a count beyond 2^53', altered((view) => view.setBigUint64(12, 1n << 53n, true))],
  ['a product above 1', altered((view) => view.setFloat64(28, 1.5, true))],
  ['a product that is −0', altered((view) => view.setFloat64(28, -0, true))],
  ['a latent that is not a number', altered((view) => view.setFloat32(ACTOR_VALUES, Number.NaN, true))],
  ['an infinite latent', altered((view) => view.setFloat32(ACTOR_VALUES, -Infinity, true))],
  ['a negative second moment', altered((view) => view.setFloat32(ACTOR_V, -1, true))],
  ['a byte too many', new Uint8Array(ENCODED.length + 1)],
  ['a byte too few', ENCODED.slice(0, -1)],
  ['nothing', new Uint8Array(0)],
])('%s is refused', (_, bytes) => {
  expect(() => decodeTrainerState(architecture, algorithm, bytes)).toThrowError(
    expect.objectContaining({ code: 'TRAINER_STATE_INVALID' }),
  );
});

test('every part of a state is under its root', () => {
  const root = (change: (state: TrainerState) => TrainerState) => toHex(trainerStateRoot(change(filled())));
  const bump = (values: Float32Array) => {
    values[0]! += 0.25;
  };
  const roots = [
    root((state) => state),
    root((state) => ({ ...state, updates: 4 })),
    root((state) => ({ ...state, adamSteps: 4 })),
    ...(['actor', 'critic'] as const).flatMap((network) => [
      ...(['values', 'm', 'v'] as const).map((part) =>
        root((state) => {
          bump(state[network][part]);
          return state;
        }),
      ),
      root((state) => ({ ...state, [network]: { ...state[network], beta1Power: 0.5 } })),
      root((state) => ({ ...state, [network]: { ...state[network], beta2Power: 0.5 } })),
    ]),
  ];
  expect(new Set(roots).size).toBe(13);
});
