import { expect, test } from 'vitest';
import {
  type BackendName,
  checkTrainingWasm,
  EMBEDDED_BACKENDS,
  isBackendName,
  loadBackend,
  TRAINING_WASM_SHA256,
  wasmBinarySha256,
} from '../../src/backends/index.ts';
import { activate, startTfjs } from '../../src/backends/tfjs/engine.ts';
import { tfjsBackend } from '../../src/backends/tfjs/index.ts';
import { forward } from '../../src/policy/forward.ts';
import { SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';

const policy = randomPolicy(CARTPOLE_MLP, 1);
const observations = randomObservations(9, 4, 2);
const expected = forward(policy, observations, 9);

test('cpu and wasm may be started at the same time, twice each', async () => {
  const names = ['wasm', 'cpu', 'cpu', 'wasm'] as const;
  const backends = await Promise.all(names.map(loadBackend));
  for (const backend of backends) {
    const loaded = backend.load(policy);
    expect(loaded.logits(observations, 9)).toEqual(expected);
    loaded.dispose();
  }
});

test('cpu and wasm work side by side in one process, call by call', async () => {
  const loaded = [];
  for (const name of ['cpu', 'simd', 'wasm', 'reference'] as const)
    loaded.push((await loadBackend(name)).load(policy));
  for (const one of [...loaded, ...loaded.toReversed()])
    expect(one.logits(observations, 9)).toEqual(expected);
  for (const one of loaded) one.dispose();
});

test.each(['cpu', 'wasm'] as const)('%s leaves no tensor behind, and may be disposed twice', async (name) => {
  const backend = await loadBackend(name);
  const tf = await startTfjs(name);
  const before = tf.memory().numTensors;
  for (const architecture of [CARTPOLE_MLP, SMALL_CONVOLUTIONS]) {
    const loaded = backend.load(randomPolicy(architecture, 1));
    loaded.logits(randomObservations(9, architecture.observation, 2), 9);
    expect(tf.memory().numTensors).toBeGreaterThan(before);
    loaded.dispose();
    loaded.dispose();
    expect(tf.memory().numTensors).toBe(before);
  }
});

test.each(['cpu', 'wasm'] as const)(
  '%s keeps a policy that was loaded inside somebody’s tidy',
  async (name) => {
    const backend = await loadBackend(name);
    const tf = await startTfjs(name);
    const loaded = tf.tidy(() => void 0) ?? backend.load(policy);
    let inside: ReturnType<typeof backend.load> | undefined;
    tf.tidy(() => {
      inside = backend.load(policy);
    });
    expect(inside!.logits(observations, 9)).toEqual(expected);
    inside!.dispose();
    loaded.dispose();
  },
);

test.each(EMBEDDED_BACKENDS)('%s refuses −128 in an observation and in a weight', async (name) => {
  const backend = await loadBackend(name);
  const loaded = backend.load(policy);
  const low = observations.slice();
  low[5] = -128;
  expect(() => loaded.logits(low, 9)).toThrow(expect.objectContaining({ code: 'INT8_RANGE' }));
  loaded.dispose();
  const bad = randomPolicy(CARTPOLE_MLP, 1);
  bad.layers[0]!.weight[3] = -128;
  expect(() => backend.load(bad)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
});

test.each(EMBEDDED_BACKENDS)('%s gives no logits for an empty batch', async (name) => {
  const loaded = (await loadBackend(name)).load(policy);
  expect(loaded.logits(new Int8Array(0), 0)).toEqual(new Int32Array(0));
  loaded.dispose();
});

test('a backend that does not exist is BACKEND_UNAVAILABLE', async () => {
  expect(isBackendName('cuda')).toBe(false);
  await expect(loadBackend('cuda' as BackendName)).rejects.toThrow(
    expect.objectContaining({ code: 'BACKEND_UNAVAILABLE' }),
  );
});

test('starting wasm leaves no process listener behind', async () => {
  await startTfjs('wasm');
  activate('wasm');
  const sources = process.rawListeners('unhandledRejection').map(String);
  expect(sources.filter((source) => source.includes('throw reason'))).toEqual([]);
});

test('the installed wasm binary is the one that genesis pins, and another is WASM_NOT_PINNED', () => {
  expect(wasmBinarySha256()).toBe(TRAINING_WASM_SHA256);
  checkTrainingWasm(TRAINING_WASM_SHA256);
  const other = `0x${'00'.repeat(32)}`;
  expect(() => checkTrainingWasm(other)).toThrow(
    expect.objectContaining({
      code: 'WASM_NOT_PINNED',
      details: { expected: other, got: TRAINING_WASM_SHA256 },
    }),
  );
});

test('a heap that would be full is refused before it is, and smaller batches go on being exact', async () => {
  // The real limit is 3 GiB of the wasm heap's 4: beyond those it corrupts silently.
  const tf = await startTfjs('wasm');
  const backend = await tfjsBackend('wasm', { memoryLimit: tf.memory().numBytes + 1_000_000 });
  const loaded = backend.load(policy);
  const held = tf.memory().numBytes;
  const many = randomObservations(2000, 4, 3);
  expect(() => loaded.logits(many, 2000)).toThrow(
    expect.objectContaining({
      code: 'BACKEND_OUT_OF_MEMORY',
      // Five matrices of 2,000 rows of 32 float32 values.
      details: expect.objectContaining({ backend: 'wasm', bytes: 1_280_000, held }),
    }),
  );
  expect(tf.memory().numBytes).toBe(held);
  expect(loaded.logits(observations, 9)).toEqual(expected);
  const [wide, bias] = [new Int8Array(1024 * 1024), new Int32Array(1024)];
  const layer = { type: 'dense', in: 1024, out: 1024, shift: 1, biasMax: 1 } as const;
  const large = {
    architecture: { observation: 1024, actions: 1024, layers: [layer] },
    layers: [{ weight: wide, bias }],
  };
  expect(() => backend.load(large)).toThrow(expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY' }));
  expect(tf.memory().numBytes).toBe(held);
  loaded.dispose();
});
