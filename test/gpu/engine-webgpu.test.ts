import { afterEach, beforeAll, expect, test } from 'vitest';
import {
  type Fallback,
  inlineEngine,
  type RolloutEngine,
  type RolloutInput,
  startRolloutEngine,
} from '../../rollouts/engine/index.ts';
import { rankBackends } from '../../rollouts/rank.ts';
import { referenceBackend } from '../../src/backends/index.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { initialise } from '../../src/training/initialise.ts';
import { KEYS, tinyGenesis } from '../helpers/network.ts';
import { useSwiftShader } from '../support/swift-shader.ts';

beforeAll(useSwiftShader);

const engines: RolloutEngine[] = [];
const fallbacks: Fallback[] = [];

afterEach(async () => {
  fallbacks.length = 0;
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

function input(slots: number, stepsPerSlot: number): RolloutInput {
  const genesis = { ...tinyGenesis(), stepsPerSlot };
  return {
    genesis,
    window: 1,
    genesisHash: sha256(new Uint8Array([1])),
    windowSeed: sha256(new Uint8Array([2])),
    miner: KEYS.miner.address,
    slots,
    policy: initialise(genesis).policy,
  };
}

async function start(threads: number, thread?: URL): Promise<RolloutEngine> {
  const engine = await startRolloutEngine({
    candidates: [{ name: 'webgpu', threads }],
    architecture: input(1, 1).policy.architecture,
    onFallback: (fallback) => fallbacks.push(fallback),
    ...(thread && { thread }),
  });
  engines.push(engine);
  return engine;
}

test('two threads with a device each, and several batches under way on each, play the reference’s rollouts', async () => {
  const engine = await start(2);
  expect(engine).toMatchObject({ backend: 'webgpu', threads: 2 });
  expect(engine.device).toMatch(/SwiftShader.*, emulated: not a GPU$/);
  // 48 and 49 slots a thread: three lanes each.
  const of = input(97, 12);
  expect(await engine.play(of)).toEqual(await inlineEngine(referenceBackend()).play(of));
  expect(engine.memoryBytes).toBeGreaterThan(0);
});

test('a device that is lost in the middle of a window costs nothing: the kernel plays the window again', async () => {
  const engine = await start(1, new URL('losing-thread.ts', import.meta.url));
  const of = input(32, 400);
  expect(await engine.play(of)).toEqual(await inlineEngine(referenceBackend()).play(of));
  expect(fallbacks).toEqual([
    { from: 'webgpu', to: 'simd', error: expect.objectContaining({ code: 'BACKEND_LOST' }) },
  ]);
  expect(engine.backend).toBe('simd');
});

test('auto never takes an emulated device, though one that was asked for by name is measured', async () => {
  const { policy } = input(1, 1);
  // So many steps that the kernel alone does not end the search.
  const work = { policy, slots: 16, stepsPerSlot: 10_000_000, threads: 1 };
  const found = await rankBackends('auto', work);
  expect(found.map(({ name }) => name)).toEqual(['simd', 'wasm']);
  const [asked] = await rankBackends('webgpu', work);
  expect(asked).toMatchObject({ name: 'webgpu', device: expect.stringContaining('SwiftShader') });
});
