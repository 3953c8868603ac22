import { loadBackend, wasmBinarySha256 } from '../../src/backends/index.ts';
import { startTfjs } from '../../src/backends/tfjs/engine.ts';
import { environmentById, evaluateLogits } from '../../src/environments/index.ts';
import { recipe } from '../../src/params/recipes.ts';
import { type Policy, policyRoot } from '../../src/policy/index.ts';
import { toHex, u32 } from '../../src/protocol/bytes.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { floatForward } from '../../src/training/float-network.ts';
import { createTrainer, type TrainerState, type UpdateMetrics } from '../../src/training/index.ts';
import { actorLayout } from '../../src/training/state.ts';
import { loneWindow } from '../support/lone-window.ts';
import { floatActor } from './float-actor.ts';
import type { Row, RowKey } from './rows.ts';

/** What a row is run with besides its key. */
export interface RowOptions {
  /** Environment steps in all. */
  readonly steps: number;
  /** Steps of a window, over all miners. */
  readonly windowSteps: number;
  readonly lag: number;
  /** Evaluation episodes at each point of the curve and at the end. */
  readonly episodes: number;
  /** Points of the curve. */
  readonly points: number;
  readonly report?: (line: string) => void;
}

/** A policy of either arithmetic at one version: how it acts. */
interface Version {
  readonly policy: Policy;
  readonly logits: (observations: Int8Array, batch: number) => Int32Array;
}

/**
 * Trains one (task, algorithm, seed, arithmetic) through the trainer alone: no network, no proofs, the same seeds,
 * rollouts and updates that a network of one miner would have.
 */
export async function runRow(key: RowKey, options: RowOptions): Promise<Omit<Row, 'command'>> {
  const { task, algorithm, seed, arithmetic } = key;
  const settings = recipe(task, algorithm);
  const environment = environmentById(task);
  const { architecture, quantiser, groupSize, stepsPerSlot } = settings;
  const slots = Math.max(1, Math.round(options.windowSteps / stepsPerSlot / groupSize)) * groupSize;
  const windows = Math.ceil(options.steps / (slots * stepsPerSlot));
  const genesisHash = sha256(tag('bench'), u32(seed));
  const trainer = await createTrainer(
    {
      ...settings,
      initialSeed: toHex(sha256(tag('bench/initial'), u32(seed))),
      trainingWasm: wasmBinarySha256(),
    },
    ...(arithmetic === 'float' ? [floatActor] : []),
  );
  const tf = await startTfjs('wasm');
  const backend = await loadBackend('wasm');
  const layout = actorLayout(architecture);
  const unit = 1 / (1 << quantiser.observationBits);

  const version = (policy: Policy, state: TrainerState): Version => {
    if (arithmetic === 'exact') {
      const loaded = backend.load(policy);
      return { policy, logits: (observations, batch) => loaded.logits(observations, batch) };
    }
    const latents = state.actor.values.slice();
    return {
      policy,
      logits: (observations, batch) => {
        let out = new Int32Array(0);
        tf.tidy(() => {
          const x = tf.tensor2d(new Float32Array(observations), [batch, architecture.observation]);
          const nats = floatForward(tf, layout, latents, x, unit).output.dataSync<'float32'>();
          out = Int32Array.from(nats, (l) => Math.floor(l * 1024 + 0.5));
        });
        return out;
      },
    };
  };
  const started = process.hrtime.bigint();
  let { policy, state } = trainer.initialise();
  const versions: Version[] = [version(policy, state)];
  const curve: [steps: number, meanReturn: number][] = [];
  const evaluationSeed = sha256(tag('bench/evaluation'), u32(seed));
  const evaluated = (at: Version) =>
    evaluateLogits({ environment, seed: evaluationSeed, episodes: options.episodes }, (rows) =>
      at.logits(rows, options.episodes),
    );
  let mismatch: number | null = arithmetic === 'exact' ? 0 : null;
  let metrics: UpdateMetrics | null = null;
  const every = Math.max(1, Math.floor(windows / options.points));
  for (let window = 0; window < windows; window++) {
    const behind = Math.min(window, options.lag);
    const acting = versions[versions.length - 1 - behind]!;
    const beacon0 = sha256(tag('bench/beacon'), u32(seed), u32(window));
    const rollouts = loneWindow({
      ...{ environment, genesisHash, window, beacon0, policy: acting.policy, groupSize, slots, stepsPerSlot },
      logits: (observations, batch) => acting.logits(observations, batch),
    });
    const result = trainer.update({
      state,
      policy,
      behaviour: acting.policy,
      staleness: behind,
      rollouts: [rollouts],
      logits: [acting.logits(rollouts.observations, rollouts.actions.length)],
      shuffleSeed: sha256(tag('bench/shuffle'), genesisHash, u32(window)),
    });
    ({ policy, state, metrics } = result);
    if (metrics.mismatchKl !== null && mismatch !== null) mismatch = Math.max(mismatch, metrics.mismatchKl);
    versions.push(version(policy, state));
    if (versions.length > options.lag + 1) versions.shift();
    if ((window + 1) % every === 0 && window + 1 < windows) {
      const { meanReturn } = evaluated(versions.at(-1)!);
      curve.push([(window + 1) * slots * stepsPerSlot, meanReturn]);
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      options.report?.(
        `${task} seed ${seed} ${arithmetic}: ${(window + 1) * slots * stepsPerSlot} steps, return ${meanReturn.toFixed(2)}, ` +
          `entropy ${shown(metrics.entropy, 3)}, kl ${shown(metrics.approxKl, 4)}, clip ${shown(metrics.clipFraction, 3)}, ` +
          `ev ${shown(metrics.explainedVariance, 2)}, changed ${metrics.changedWeights.toFixed(3)}, ${seconds.toFixed(0)} s`,
      );
    }
  }
  const final = evaluated(versions.at(-1)!);
  curve.push([windows * slots * stepsPerSlot, final.meanReturn]);
  const spread = final.returns.reduce((sum, value) => sum + (value - final.meanReturn) ** 2, 0);
  trainer.dispose();
  return {
    ...key,
    lag: options.lag,
    steps: windows * slots * stepsPerSlot,
    windows,
    meanReturn: final.meanReturn,
    episodeDeviation: Math.sqrt(spread / Math.max(1, final.returns.length - 1)),
    episodes: options.episodes,
    curve,
    mismatchKl: mismatch,
    policyRoot: arithmetic === 'exact' ? toHex(policyRoot(policy)) : null,
    minutes: Number(process.hrtime.bigint() - started) / 6e10,
  };
}

function shown(value: number | null, digits: number): string {
  return value === null ? '–' : value.toFixed(digits);
}
