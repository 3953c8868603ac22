import { beforeAll, describe, expect, test } from 'vitest';
import { startTfjs } from '../../src/backends/tfjs/engine.ts';
import { checkPolicy, policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import {
  createTrainer,
  decodeTrainerState,
  encodeTrainerState,
  type Trainer,
  type TrainerState,
  trainerStateRoot,
  type UpdateInput,
  type UpdateMetrics,
  type UpdateResult,
} from '../../src/training/index.ts';
import {
  type Collection,
  collect,
  gridGenesis,
  grpoGenesis,
  IN_GROUPS,
  ON_GRID,
  train,
  trainerGenesis,
} from '../support/training.ts';

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
  return { ...start, staleness: 0, ...collect(start.policy, 0) };
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

test.each([
  ['PPO', GENESIS, {}],
  ['GRPO, which has no critic,', grpoGenesis(), IN_GROUPS],
  ['PPO with convolutions', gridGenesis(), ON_GRID],
])('%s resumed from encoded states gives the bits of training that went on', async (_, genesis, data) => {
  const { architecture, algorithm } = genesis;
  const { policies, states, metrics } = train(await createTrainer(genesis), 4, 1, data);
  expect(metrics.map(({ outcome }) => outcome)).toEqual(Array(4).fill('applied'));
  const resumed = await createTrainer(genesis);
  const reread = (state: TrainerState) =>
    decodeTrainerState(architecture, algorithm, encodeTrainerState(state));
  let state = reread(states[1]!);
  for (let window = 1; window < 4; window++) {
    const policy = policies[window]!;
    const collected = collect(policies[window - 1]!, window, data);
    state = reread(resumed.update({ state, policy, staleness: 1, ...collected }).state);
  }
  expect(toHex(trainerStateRoot(state))).toBe(toHex(trainerStateRoot(states[4]!)));
});

describe.each([0, 1, 3])('at lag %i', (lag) => {
  let metrics: readonly UpdateMetrics[];
  beforeAll(() => {
    metrics = train(trainer, 5, lag).metrics;
  });

  test('every update starts from the policy that was published: its first ratios are exactly 1', () => {
    expect(metrics.map((m) => m.outcome)).toEqual(Array(5).fill('applied'));
    expect(metrics.map((m) => m.firstRatioDeviation)).toEqual([0, 0, 0, 0, 0]);
  });

  test('the trainer differentiates what the miners ran: the mismatch is exactly 0', () => {
    expect(metrics.map((m) => m.mismatchKl)).toEqual([0, 0, 0, 0, 0]);
  });

  test('data are stale once another policy acted, and only then', () => {
    for (const [window, m] of metrics.entries()) {
      expect(m.staleness).toBe(Math.min(window, lag));
      if (m.staleness === 0) expect(m.stalenessKl).toBe(0);
      else expect(m.stalenessKl).toBeGreaterThan(0);
    }
  });
});

test.each([
  ['GRPO', grpoGenesis(), IN_GROUPS],
  ['PPO with convolutions', gridGenesis(), ON_GRID],
])('%s has no mismatch and no ratio but 1 at the start either, at lag 2', async (_, genesis, data) => {
  const { metrics } = train(await createTrainer(genesis), 4, 2, data);
  expect(metrics.map((m) => [m.firstRatioDeviation, m.mismatchKl])).toEqual(Array(4).fill([0, 0]));
  expect(metrics[3]!.stalenessKl).toBeGreaterThan(0);
});

test('GRPO has no critic: none in its state, no metric of one', async () => {
  const { states, metrics } = train(await createTrainer(grpoGenesis()), 2, 1, IN_GROUPS);
  expect(states.map(({ critic }) => critic.values.length)).toEqual([0, 0, 0]);
  expect(metrics[1]).toMatchObject({ valueLoss: null, explainedVariance: null, criticGradientNorm: null });
  expect(metrics[1]!.trainedSteps).toBeLessThan(metrics[1]!.steps);
});

test('GRPO learns nothing from a window in which every group did equally well', async () => {
  const grpo = await createTrainer(grpoGenesis());
  const start = grpo.initialise();
  const data = collect(start.policy, 0, IN_GROUPS);
  for (const { rewards } of data.rollouts) rewards.fill(0);
  const result = grpo.update({ ...start, staleness: 0, ...data });
  expect(result.state).toBe(start.state);
  expect(result.policy).toBe(start.policy);
  expect(result.metrics).toMatchObject({ outcome: 'no-data', steps: 900, trainedSteps: 0 });
});

test('logits that are off by one show in the mismatch', () => {
  const input = firstInput();
  const logits = input.logits.map((own) => own.slice());
  for (const own of logits) for (let i = 0; i < own.length; i += 2) own[i]! += 1;
  const { metrics } = trainer.update({ ...input, logits });
  expect(metrics.mismatchKl).toBeGreaterThan(0);
});

test('another policy than the one that acted shows in the mismatch', () => {
  const { policies, states } = train(trainer, 2, 0);
  const data = collect(policies[0]!, 1);
  const told = { ...data, behaviour: policies[1]! };
  const input = { state: states[2]!, policy: policies[2]!, staleness: 2 };
  expect(trainer.update({ ...input, ...data }).metrics.mismatchKl).toBe(0);
  expect(trainer.update({ ...input, ...told }).metrics.mismatchKl).toBeGreaterThan(0);
});

test('a stale action counts at most importanceCap times', async () => {
  const { policies, states } = train(trainer, 3, 0);
  const input = { state: states[3]!, policy: policies[3]!, staleness: 3, ...collect(policies[0]!, 0) };
  const loss = async (importanceCap: number) => {
    const capped = await createTrainer(trainerGenesis({ learningRate: 0.005, importanceCap }));
    return toHex(trainerStateRoot(capped.update(input).state));
  };
  expect(await loss(1000)).toBe(await loss(999));
  expect(await loss(1000)).not.toBe(await loss(1));
});

test('an update without data is the identity', () => {
  const start = trainer.initialise();
  const shuffleSeed = new Uint8Array(32);
  const result = trainer.update({
    ...start,
    behaviour: start.policy,
    staleness: 0,
    rollouts: [],
    logits: [],
    shuffleSeed,
  });
  expect(result.state).toBe(start.state);
  expect(result.policy).toBe(start.policy);
  expect(result.metrics).toMatchObject({
    outcome: 'no-data',
    steps: 0,
    trainedSteps: 0,
    minibatches: 0,
    meanReturn: null,
  });
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

test('a reward that is not a number discards a GRPO update, too', async () => {
  const grpo = await createTrainer(grpoGenesis());
  const start = grpo.initialise();
  const data = collect(start.policy, 0, IN_GROUPS);
  data.rollouts[0]!.rewards[0] = Number.NaN;
  const result = grpo.update({ ...start, staleness: 0, ...data });
  expect(result.state).toBe(start.state);
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
  const tf = await startTfjs('wasm');
  trainer.update(firstInput());
  const others: [Trainer, Partial<Collection>][] = [
    [await createTrainer(grpoGenesis()), IN_GROUPS],
    [await createTrainer(gridGenesis()), ON_GRID],
  ];
  const { numTensors, numBytes } = tf.memory();
  train(trainer, 2);
  for (const [other, data] of others) train(other, 2, 1, data);
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
