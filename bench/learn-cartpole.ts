/**
 * Trains CartPole through the trainer alone (no network, no proofs) and prints the learning curve of each seed: how many
 * windows and how many CPU seconds of training a mean return of 475 (100 fresh episodes) takes, and the mean return over
 * all windows. The last column is the mean return after each window. `--uncorrected` tells the trainer that stale data are
 * fresh, which takes the importance weights away.
 *
 *     node bench/learn-cartpole.ts --seeds 1,2 --slots 16 --miners 3 --windows 40 --epochs 10 --minibatch 256 --quiet
 *     node bench/learn-cartpole.ts --algorithm grpo --group 8 --slots 16 --steps 512 --minibatch 1024 --quiet
 */
import { parseArgs } from 'node:util';
import { wasmBinarySha256 } from '../src/backends/index.ts';
import { environmentById, evaluate, type Rollouts, runSlots } from '../src/environments/index.ts';
import type { AlgorithmParams, QuantiserParams } from '../src/params/genesis.ts';
import {
  buildMlp,
  forward,
  type Policy,
  packSlotSeeds,
  policyRoot,
  sampleBatch,
} from '../src/policy/index.ts';
import { toHex, u32 } from '../src/protocol/bytes.ts';
import { sha256, tag } from '../src/protocol/hash.ts';
import { minerSeeds, windowSeed } from '../src/protocol/seeds.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { createTrainer, trainerStateRoot } from '../src/training/index.ts';

useNodeSha256();
const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2' },
    algorithm: { type: 'string', default: 'ppo' },
    group: { type: 'string', default: '1' },
    miners: { type: 'string', default: '3' },
    slots: { type: 'string', default: '16' },
    steps: { type: 'string', default: '256' },
    windows: { type: 'string', default: '40' },
    lag: { type: 'string', default: '1' },
    hidden: { type: 'string', default: '32,32' },
    goal: { type: 'string', default: '475' },
    rate: { type: 'string', default: '0.001' },
    epochs: { type: 'string', default: '10' },
    minibatch: { type: 'string', default: '256' },
    clip: { type: 'string', default: '0.2' },
    'clip-high': { type: 'string' },
    unscaled: { type: 'boolean', default: false },
    entropy: { type: 'string', default: '0' },
    gamma: { type: 'string', default: '0.99' },
    lambda: { type: 'string', default: '0.95' },
    cap: { type: 'string', default: '2' },
    norm: { type: 'string', default: '0.5' },
    critic: { type: 'string', default: '64,64' },
    beyond: { type: 'string', default: '0' },
    uncorrected: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
});
const number = (name: keyof typeof flags) => Number(flags[name]);
const list = (text: string) => text.split(',').map(Number);

const environment = environmentById('CartPole-v1');
const quantiser: QuantiserParams = {
  observationBits: 6,
  activationBits: 5,
  weightBits: [4, 4, 6],
  hysteresis: 0.75,
};
const optimisation = {
  learningRate: number('rate'),
  adamEpsilon: 1e-5,
  epochs: number('epochs'),
  minibatch: number('minibatch'),
  maxGradientNorm: number('norm'),
  entropyBonus: number('entropy'),
  importanceCap: number('cap'),
};
const algorithm: AlgorithmParams =
  flags.algorithm === 'ppo'
    ? {
        name: 'ppo',
        ...optimisation,
        clip: number('clip'),
        gamma: number('gamma'),
        lambda: number('lambda'),
        criticHidden: list(flags.critic),
      }
    : {
        name: 'grpo',
        ...optimisation,
        clipLow: number('clip'),
        clipHigh: Number(flags['clip-high'] ?? flags.clip),
        scaleByDeviation: !flags.unscaled,
      };
const architecture = buildMlp({
  observation: environment.observation,
  hidden: list(flags.hidden),
  actions: environment.actions,
  quantiser,
});

for (const seed of list(flags.seeds)) {
  const genesisHash = sha256(tag('bench'), u32(seed));
  const initialSeed = toHex(sha256(tag('bench/initial'), u32(seed)));
  const trainer = await createTrainer({
    architecture,
    quantiser,
    algorithm,
    groupSize: number('group'),
    initialSeed,
    trainingWasm: wasmBinarySha256(),
  });
  let { policy, state } = trainer.initialise();
  const policies: Policy[] = [policy];
  let trainingMs = 0;
  let reached = -1;
  let curve = '';
  let total = 0;
  let windows = 0;
  for (let window = 0; window < number('windows'); window++) {
    const acting = policies[Math.max(0, window - number('lag'))]!;
    const root = policyRoot(acting);
    const beacon0 = sha256(tag('bench/beacon'), u32(seed), u32(window));
    const seedOfWindow = windowSeed({ genesisHash, window, policyRoot: root, beacon0 });
    const rollouts: Rollouts[] = [];
    const logits: Int32Array[] = [];
    for (let miner = 0; miner < number('miners'); miner++) {
      const seeds = minerSeeds(genesisHash, seedOfWindow, new Uint8Array(20).fill(miner + 1));
      const slots = number('slots');
      const noise = packSlotSeeds(seeds, slots);
      const own = runSlots(
        environment,
        seeds,
        number('group'),
        slots,
        number('steps'),
        (step, observations, actions) =>
          sampleBatch(noise, step, forward(acting, observations, slots), environment.actions, actions),
      );
      rollouts.push(own);
      logits.push(forward(acting, own.observations, own.actions.length));
    }
    const start = process.cpuUsage();
    const shuffleSeed = sha256(tag('bench/shuffle'), genesisHash, u32(window));
    const result = trainer.update({
      state,
      policy,
      behaviour: acting,
      staleness: flags.uncorrected ? 0 : window - Math.max(0, window - number('lag')),
      rollouts,
      logits,
      shuffleSeed,
    });
    const used = process.cpuUsage(start);
    const ms = (used.user + used.system) / 1000;
    trainingMs += ms;
    ({ policy, state } = result);
    policies.push(policy);
    const evaluation = evaluate({ policy, environment, seed: seedOfWindow, episodes: 100 });
    curve += ` ${Math.round(evaluation.meanReturn)}`;
    total += evaluation.meanReturn;
    windows += 1;
    if (!flags.quiet) {
      const m = result.metrics;
      const shown = [
        m.entropy,
        m.approxKl,
        m.clipFraction,
        m.explainedVariance,
        m.valueLoss,
        m.changedWeights,
        m.stalenessKl,
        m.mismatchKl,
      ].map((value) => (value === null ? '-' : value.toPrecision(3)));
      console.log(
        `seed ${seed} window ${window} eval ${evaluation.meanReturn.toFixed(1)} train ${ms.toFixed(0)} ms ${m.minibatches} steps; ${m.trainedSteps} of ${m.steps}; H kl clip ev vl changed stale mismatch ${shown.join(' ')}`,
      );
    }
    if (reached < 0 && evaluation.meanReturn >= number('goal')) reached = window + 1;
    if (reached >= 0 && window >= reached - 1 + number('beyond')) break;
  }
  console.log(
    `seed ${seed}: ${reached < 0 ? 'not reached' : `${reached} windows`}, ${(trainingMs / 1000).toFixed(1)} s training, mean ${(total / windows).toFixed(1)}; ${toHex(policyRoot(policy)).slice(0, 10)} ${toHex(trainerStateRoot(state)).slice(0, 10)}; ${curve}`,
  );
}
process.exit(0);
