import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { loadBackend, wasmBinarySha256 } from '../../src/backends/index.ts';
import { environmentById } from '../../src/environments/index.ts';
import { type Recipe, recipe } from '../../src/params/recipes.ts';
import type { Policy } from '../../src/policy/index.ts';
import { policyFromTensorBytes, tensorByteLength, tensorBytes } from '../../src/policy/snapshot.ts';
import { concat, toHex, u32 } from '../../src/protocol/bytes.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { createTrainer } from '../../src/training/index.ts';
import { loneWindow } from '../support/lone-window.ts';
import { recorded, recordingKey, sourcesOf } from './cache.ts';

/**
 * Chains of exact policies (int8 weights, int32 biases) as a network publishes them: the trainer runs alone, one miner,
 * one version behind, on the recipe of a task, a version each window. Kept below .cache/pulse/ under a hash of the
 * recipe and of the sources that training depends on.
 */

export interface PolicyTask {
  readonly task: string;
  /** Environment steps of a window, over all its slots: those of bench/learning/tasks.ts. */
  readonly windowSteps: number;
}

export const POLICY_TASKS: readonly PolicyTask[] = [
  { task: 'CartPole-v1', windowSteps: 4096 },
  { task: 'Acrobot-v1', windowSteps: 4096 },
  { task: 'MinAtar/Breakout-v1', windowSteps: 8192 },
];

/** Updates of a recording. */
const UPDATES = 60;
/** Windows that the acting policy is behind: genesis's default. */
const LAG = 1;

export interface PolicyVersion {
  /** 0 is the initial policy. */
  readonly version: number;
  readonly policy: Policy;
}

/** Versions 0 to 60 of a task's policy under PPO. They are recorded before the first is given. */
export async function* policyChain(
  { task, windowSteps }: PolicyTask,
  report: (line: string) => void = () => {},
): AsyncGenerator<PolicyVersion> {
  const settings = recipe(task, 'ppo');
  const folders = ['training', 'environments', 'policy', 'params'].map((name) => `src/${name}`);
  const sources = [
    'bench/pulse/policy-recordings.ts',
    'bench/support/lone-window.ts',
    ...folders.flatMap(sourcesOf),
  ];
  const key = recordingKey(sources, JSON.stringify({ settings, windowSteps }));
  const name = `${task.replace('/', '-')}-${key}`;
  const folder = await recorded(name, async (partial) => {
    const versions = await train(settings, windowSteps, report);
    writeFileSync(join(partial, 'versions.zst'), zstdCompressSync(concat(...versions.map(tensorBytes))));
  });
  const bytes = zstdDecompressSync(readFileSync(join(folder, 'versions.zst')));
  const size = tensorByteLength(settings.architecture);
  for (let version = 0; version * size < bytes.length; version++) {
    const tensors = Uint8Array.from(bytes.subarray(version * size, (version + 1) * size));
    yield { version, policy: policyFromTensorBytes(settings.architecture, tensors) };
  }
}

async function train(
  settings: Recipe,
  windowSteps: number,
  report: (line: string) => void,
): Promise<Policy[]> {
  const { groupSize, stepsPerSlot } = settings;
  const environment = environmentById(settings.environment);
  const slots = Math.max(1, Math.round(windowSteps / stepsPerSlot / groupSize)) * groupSize;
  const genesisHash = sha256(tag('bench/pulse'));
  const trainer = await createTrainer({
    ...settings,
    initialSeed: toHex(genesisHash),
    trainingWasm: wasmBinarySha256(),
  });
  const backend = await loadBackend('wasm');
  let { policy, state } = trainer.initialise();
  const versions = [policy];
  for (let window = 0; window < UPDATES; window++) {
    const staleness = Math.min(window, LAG);
    const behaviour = versions[window - staleness]!;
    const acting = backend.load(behaviour);
    const beacon0 = sha256(tag('bench/beacon'), u32(window));
    const rollouts = loneWindow({
      ...{ environment, genesisHash, window, beacon0, policy: behaviour, groupSize, slots, stepsPerSlot },
      logits: (observations, batch) => acting.logits(observations, batch),
    });
    const result = trainer.update({
      state,
      policy,
      behaviour,
      staleness,
      rollouts: [rollouts],
      logits: [acting.logits(rollouts.observations, rollouts.actions.length)],
      shuffleSeed: sha256(tag('bench/shuffle'), u32(window)),
    });
    ({ policy, state } = result);
    versions.push(policy);
    if ((window + 1) % 10 === 0) {
      report(
        `${settings.environment} version ${window + 1}: changed ${result.metrics.changedWeights.toFixed(4)}`,
      );
    }
  }
  trainer.dispose();
  return versions;
}
