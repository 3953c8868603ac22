import { spawnSync } from 'node:child_process';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DeviceBackend, selfTest } from '../../src/backends/index.ts';
import { webgpuBackend } from '../../src/backends/tfjs/webgpu.ts';
import type { Architecture } from '../../src/policy/architecture.ts';
import { forward } from '../../src/policy/forward.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { minatarNetwork, SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';
import { useSwiftShader } from '../support/swift-shader.ts';

const ARCHITECTURES: Record<string, Architecture> = {
  '4-32-32-2': CARTPOLE_MLP,
  'convolutions over 5 × 5 × 2': SMALL_CONVOLUTIONS,
  'the network of MinAtar': minatarNetwork(4),
};

/** Batch sizes for the reference to agree on; SwiftShader runs some hundred rows of a convolution a second. */
const BATCHES = process.env.GRAIL_LONG ? [1, 3, 64, 1000] : [1, 3, 64];

beforeAll(useSwiftShader);

describe('WebGPU in Node', () => {
  const open: DeviceBackend[] = [];
  const start = async () => {
    const backend = await webgpuBackend();
    open.push(backend);
    return backend;
  };
  afterEach(() => {
    for (const backend of open.splice(0)) backend.dispose();
  });

  test.each(Object.entries(ARCHITECTURES))('passes the self-test for %s', async (_, architecture) => {
    await selfTest(await start(), architecture);
  });

  test.each(Object.entries(ARCHITECTURES))('gives the reference’s logits of %s', async (_, architecture) => {
    const backend = await start();
    const policy = randomPolicy(architecture, 4);
    const loaded = backend.load(policy);
    for (const batch of BATCHES) {
      const observations = randomObservations(batch, architecture.observation, batch);
      expect(await loaded.logits(observations, batch)).toEqual(forward(policy, observations, batch));
    }
    loaded.dispose();
  });

  test('answers batches that are under way at the same time, each with its own logits', async () => {
    const backend = await start();
    const policy = randomPolicy(CARTPOLE_MLP, 5);
    const loaded = backend.load(policy);
    const batches = [0, 1, 7, 32, 5].map((rows, seed) => ({
      rows,
      values: randomObservations(rows, 4, seed),
    }));
    const answers = await Promise.all(batches.map(({ rows, values }) => loaded.logits(values, rows)));
    for (const [i, { rows, values }] of batches.entries()) {
      expect(answers[i]).toEqual(forward(policy, values, rows));
    }
  });

  test('says that SwiftShader is emulated, so that nobody takes it for a GPU', async () => {
    const backend = await start();
    expect(backend.device).toContain('SwiftShader');
    expect(backend.emulated).toBe(true);
  });

  test('leaves no tensor behind, and starts again after it was disposed', async () => {
    const first = await start();
    const before = first.memoryBytes();
    const loaded = first.load(randomPolicy(SMALL_CONVOLUTIONS, 1));
    await loaded.logits(randomObservations(3, SMALL_CONVOLUTIONS.observation, 1), 3);
    expect(first.memoryBytes()).toBeGreaterThan(before);
    loaded.dispose();
    expect(first.memoryBytes()).toBe(before);
    first.dispose();
    expect((globalThis as { navigator?: { gpu?: unknown } }).navigator?.gpu).toBeUndefined();
    await selfTest(await start(), CARTPOLE_MLP);
  });

  test('refuses −128 in an observation and in a weight', async () => {
    const backend = await start();
    const loaded = backend.load(randomPolicy(CARTPOLE_MLP, 1));
    const low = randomObservations(2, 4, 1);
    low[5] = -128;
    expect(() => loaded.logits(low, 2)).toThrow(expect.objectContaining({ code: 'INT8_RANGE' }));
    const bad = randomPolicy(CARTPOLE_MLP, 1);
    bad.layers[0]!.weight[3] = -128;
    expect(() => backend.load(bad)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
  });

  test('a device that goes away is BACKEND_LOST: for what is under way, and from then on', async () => {
    const backend = await start();
    const loaded = backend.load(randomPolicy(CARTPOLE_MLP, 1));
    const observations = randomObservations(8, 4, 1);
    const underWay = [loaded.logits(observations, 8), loaded.logits(observations, 8)];
    destroyDevice();
    for (const answer of underWay) await expectCode('BACKEND_LOST', answer);
    expect(() => loaded.logits(observations, 8)).toThrow(expect.objectContaining({ code: 'BACKEND_LOST' }));
    loaded.dispose();
    backend.dispose();
    await selfTest(await start(), CARTPOLE_MLP);
  });

  test('a buffer that the device has no room for is an error with a code, not zeros', async () => {
    const backend = await start();
    const loaded = backend.load(randomPolicy(CARTPOLE_MLP, 1));
    await loaded.logits(randomObservations(1, 4, 1), 1);
    const device = engineDevice();
    device.createBuffer({ size: 2 ** 50, usage: 128 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(() => loaded.logits(randomObservations(1, 4, 1), 1)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^BACKEND_(LOST|OUT_OF_MEMORY)$/) }),
    );
  });

  test('is unavailable, and says what to install, where no driver is found', async () => {
    const script = `
      const { loadBackend } = await import('./src/backends/index.ts');
      await loadBackend('webgpu').catch(({ code, message }) => console.log(code, message));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: packageRoot(),
      encoding: 'utf8',
      env: { ...process.env, VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' },
    });
    expect(stdout).toMatch(/^BACKEND_UNAVAILABLE .*Vulkan driver/);
  });
});

interface EngineDevice {
  destroy(): void;
  createBuffer(descriptor: { size: number; usage: number }): unknown;
}

/** The device that TensorFlow.js's engine computes on. */
function engineDevice(): EngineDevice {
  const engine = (globalThis as unknown as { _tfengine: { registry: { webgpu: { device: EngineDevice } } } })
    ._tfengine;
  return engine.registry.webgpu.device;
}

/** As if the GPU had been taken out. */
function destroyDevice(): void {
  engineDevice().destroy();
}
