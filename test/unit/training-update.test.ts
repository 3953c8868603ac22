import { beforeAll, expect, test } from 'vitest';
import { startTensorflow } from '../../src/backends/tensorflow.ts';
import { checkPolicy, policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import {
  createTrainer,
  decodeTrainerState,
  encodeTrainerState,
  type Trainer,
  trainerStateRoot,
  type UpdateInput,
  type UpdateResult,
} from '../../src/training/index.ts';
import { collect, train, trainerGenesis } from '../support/training.ts';

const GENESIS = trainerGenesis({ learningRate: 0.005 });
let trainer: Trainer;
beforeAll(async () => {
  trainer = await createTrainer(GENESIS);
});

const roots = ({ policy, state }: Pick<UpdateResult, 'policy' | 'state'>) => [
  toHex(policyRoot(policy)),
  toHex(trainerStateRoot(state)),
];

/** The input of window 0's update. */
function firstInput(): UpdateInput {
  const start = trainer.initialise();
  return { ...start, ...collect(start.policy, 0) };
}

test('the same inputs give the same bits', () => {
  expect(roots(trainer.update(firstInput()))).toEqual(roots(trainer.update(firstInput())));
});

test('an update changes the policy and leaves its inputs as they were', () => {
  const input = firstInput();
  const before = roots(input);
  const result = trainer.update(input);
  expect(roots(input)).toEqual(before);
  expect(roots(result)[0]).not.toBe(before[0]);
  expect(result.metrics.changedWeights).toBeGreaterThan(0);
  checkPolicy(result.policy);
});

test('training that is resumed from encoded states gives the bits of training that went on', async () => {
  const { policies, states } = train(trainer, 4);
  const resumed = await createTrainer(GENESIS);
  let state = decodeTrainerState(GENESIS.architecture, GENESIS.algorithm, encodeTrainerState(states[1]!));
  for (let window = 1; window < 4; window++) {
    const policy = policies[window]!;
    const data = collect(policies[window - 1]!, window);
    state = resumed.update({ state, policy, ...data }).state;
    state = decodeTrainerState(GENESIS.architecture, GENESIS.algorithm, encodeTrainerState(state));
  }
  expect(toHex(trainerStateRoot(state))).toBe(toHex(trainerStateRoot(states[4]!)));
});

test('with lag 0 the first minibatch’s ratio is exactly 1 and the mismatch exactly 0, update after update', () => {
  const { metrics } = train(trainer, 5, 0);
  expect(metrics.map((m) => m.outcome)).toEqual(Array(5).fill('applied'));
  expect(metrics.map((m) => m.firstRatioDeviation)).toEqual([0, 0, 0, 0, 0]);
  expect(metrics.map((m) => m.mismatchKl)).toEqual([0, 0, 0, 0, 0]);
});

test('with lag 1 the first minibatch’s ratio shows that another policy acted', () => {
  const { metrics } = train(trainer, 3, 1);
  expect(metrics[0]!.firstRatioDeviation).toBe(0);
  expect(metrics[2]!.firstRatioDeviation).toBeGreaterThan(0);
  expect(metrics[2]!.mismatchKl).toBeGreaterThan(0);
});

test('one logit that is off by one shows in the mismatch', () => {
  const input = firstInput();
  const logits = input.logits.map((own) => own.slice());
  for (const own of logits) for (let i = 0; i < own.length; i += 2) own[i]! += 1;
  const { metrics } = trainer.update({ ...input, logits });
  expect(metrics.firstRatioDeviation).toBeGreaterThan(0);
});

test('an update without data is the identity', () => {
  const start = trainer.initialise();
  const shuffleSeed = new Uint8Array(32);
  const result = trainer.update({ ...start, rollouts: [], logits: [], shuffleSeed });
  expect(result.state).toBe(start.state);
  expect(result.policy).toBe(start.policy);
  expect(result.metrics).toMatchObject({ outcome: 'no-data', steps: 0, minibatches: 0, meanReturn: null });
});

test.each([
  ['a reward that is not a number', Number.NaN],
  ['an infinite reward', Infinity],
])('%s discards the update', (_, reward) => {
  const input = firstInput();
  input.rollouts[0]!.rewards[5] = reward;
  const result = trainer.update(input);
  expect(result.state).toBe(input.state);
  expect(result.policy).toBe(input.policy);
  expect(result.metrics.outcome).toBe('TRAINING_NOT_FINITE');
});

test('a learning rate that drives latents out of float32 discards the update', async () => {
  const wild = await createTrainer(trainerGenesis({ learningRate: 1, maxGradientNorm: 1e300 }));
  const input = firstInput();
  input.state.critic.values.fill(3e38);
  const result = wild.update(input);
  expect(result.metrics.outcome).toBe('TRAINING_NOT_FINITE');
  expect(result.state).toBe(input.state);
});

test('metrics survive JSON: no infinity, no NaN', () => {
  const input = firstInput();
  for (const metrics of [trainer.update(input).metrics, train(trainer, 2).metrics[1]]) {
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  }
});

test('the shuffle seed and the miners’ order both matter', () => {
  const input = firstInput();
  const reference = roots(trainer.update(input));
  const shuffled = trainer.update({ ...input, shuffleSeed: new Uint8Array(32).fill(7) });
  const swapped = trainer.update({
    ...input,
    rollouts: [...input.rollouts].reverse(),
    logits: [...input.logits].reverse(),
  });
  expect(roots(shuffled)[1]).not.toBe(reference[1]);
  expect(roots(swapped)[1]).not.toBe(reference[1]);
});

test('every step is in one minibatch an epoch, and minibatches differ by one row at most', () => {
  const { metrics } = trainer.update(firstInput());
  expect(metrics.steps).toBe(300);
  expect(metrics.minibatches).toBe(GENESIS.algorithm.epochs * Math.ceil(300 / GENESIS.algorithm.minibatch));
});

test('no tensor outlives an update, discarded ones included', async () => {
  const tf = await startTensorflow('wasm');
  trainer.update(firstInput());
  const { numTensors, numBytes } = tf.memory();
  train(trainer, 2);
  const broken = firstInput();
  broken.rollouts[0]!.rewards[0] = Number.NaN;
  trainer.update(broken);
  expect(tf.memory()).toMatchObject({ numTensors, numBytes });
});

test('logits of another length are refused', () => {
  const input = firstInput();
  expect(() => trainer.update({ ...input, logits: [input.logits[0]!] })).toThrow(RangeError);
  expect(() => trainer.update({ ...input, logits: [input.logits[0]!, new Int32Array(3)] })).toThrow(
    RangeError,
  );
});

test('a trainer does not start with a wasm binary that genesis does not pin', async () => {
  await expect(createTrainer({ ...GENESIS, trainingWasm: `0x${'00'.repeat(32)}` })).rejects.toMatchObject({
    code: 'WASM_NOT_PINNED',
  });
});

test('a trainer does not start with shifts that are not the quantiser’s', async () => {
  const layers = GENESIS.architecture.layers.with(0, { ...GENESIS.architecture.layers[0]!, shift: 6 });
  const architecture = { ...GENESIS.architecture, layers };
  await expect(createTrainer({ ...GENESIS, architecture })).rejects.toMatchObject({
    code: 'GENESIS_INVALID',
  });
});
