import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type EngineCandidate,
  type Fallback,
  inlineEngine,
  type RolloutEngine,
  type RolloutInput,
  startRolloutEngine,
} from '../../rollouts/engine/index.ts';
import { type BackendName, referenceBackend } from '../../src/backends/index.ts';
import type { Rollouts } from '../../src/environments/index.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import { recipe } from '../../src/params/recipes.ts';
import type { Policy } from '../../src/policy/index.ts';
import { fromHex } from '../../src/protocol/bytes.ts';
import { rolloutDigests } from '../../src/protocol/commitment.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { initialise } from '../../src/training/initialise.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { KEYS, tinyGenesis } from '../helpers/network.ts';
import { nextPolicy } from '../support/mining.ts';
import { LOSES, NEVER_ANSWERS, PLAYS } from '../support/stub-thread.ts';

const bytes = (value: number) => sha256(new Uint8Array([value]));

/** Slots of a window, CartPole's unless an environment is named. */
function input(
  slots: number,
  stepsPerSlot: number,
  options: { environment?: string; policy?: Policy; window?: number } = {},
): RolloutInput {
  const { environment = 'CartPole-v1', window = 1 } = options;
  const genesis = {
    ...tinyGenesis(),
    ...recipe(environment, 'ppo'),
    environment,
    stepsPerSlot,
  } as unknown as Genesis;
  return {
    genesis,
    window,
    genesisHash: bytes(0),
    windowSeed: bytes(window),
    miner: KEYS.miner.address,
    slots,
    policy: options.policy ?? initialise(genesis).policy,
  };
}

const reference = (of: RolloutInput) => inlineEngine(referenceBackend()).play(of);

const engines: RolloutEngine[] = [];
const fallbacks: Fallback[] = [];

async function start(...candidates: EngineCandidate[]): Promise<RolloutEngine> {
  return startWith({}, ...candidates);
}

async function startWith(
  options: { thread?: URL },
  ...candidates: EngineCandidate[]
): Promise<RolloutEngine> {
  const engine = await startRolloutEngine({
    ...options,
    candidates,
    architecture: input(1, 1).policy.architecture,
    onFallback: (fallback) => fallbacks.push(fallback),
  });
  engines.push(engine);
  return engine;
}

afterEach(async () => {
  fallbacks.length = 0;
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

describe('rollouts by threads', () => {
  const wanted = new Map<string, Rollouts>();
  const inputs: Record<string, RolloutInput> = {
    'CartPole-v1': input(13, 96),
    'MinAtar/Breakout-v1': input(5, 40, { environment: 'MinAtar/Breakout-v1' }),
  };

  beforeAll(async () => {
    for (const [name, of] of Object.entries(inputs)) wanted.set(name, await reference(of));
  });
  afterAll(() => wanted.clear());

  test.each([
    ['simd', 1],
    ['simd', 3],
    ['wasm', 2],
    ['cpu', 2],
    ['reference', 2],
  ] as const)('of the %s backend, %i of them, are the reference’s in one thread', async (name, threads) => {
    const engine = await start({ name, threads });
    expect(engine).toMatchObject({ backend: name, threads });
    for (const [environment, of] of Object.entries(inputs)) {
      expect(await engine.play(of), environment).toEqual(wanted.get(environment));
    }
  });

  test('are the same for fewer slots than threads, and of windows with other policies in between', async () => {
    const engine = await start({ name: 'simd', threads: 3 });
    const first = input(6, 32);
    const other = { ...input(2, 32, { window: 2 }), policy: nextPolicy(first.policy) };
    for (const of of [first, other, { ...other, slots: 6 }, first, first]) {
      expect(await engine.play(of)).toEqual(await reference(of));
    }
  });

  test('come with the digests that a commitment is made of, unless those are not wanted', async () => {
    const engine = await start({ name: 'simd', threads: 2 });
    const of = input(5, 24);
    const { digests, ...rollouts } = await engine.play(of);
    const { genesis, genesisHash, window, miner } = of;
    const context = { genesisHash, window, address: fromHex(miner), actions: genesis.architecture.actions };
    expect(digests).toEqual(rolloutDigests(context, rollouts));
    expect(await engine.play(of, { digests: false })).toEqual({ ...rollouts, digests: null });
  });

  test('of several windows may be asked for at once', async () => {
    const engine = await start({ name: 'simd', threads: 2 });
    const windows = [1, 2, 3].map((window) => input(4, 48, { window }));
    const played = await Promise.all(windows.map((of) => engine.play(of)));
    for (const [i, of] of windows.entries()) expect(played[i]).toEqual(await reference(of));
  });

  test('leave the thread that asked for them free, and say how far they are', async () => {
    const engine = await start({ name: 'reference', threads: 2 });
    const of = input(64, 8192);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const heard: number[] = [];
    await engine.play(of, {
      onProgress: (done, total) => {
        expect(total).toBe(64 * 8192);
        heard.push(done);
      },
    });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(20);
    expect(heard.length).toBeGreaterThan(0);
    expect(heard).toEqual(heard.toSorted((a, b) => a - b));
  });

  test('report the memory that the backends hold', async () => {
    const engine = await start({ name: 'simd', threads: 2 });
    await engine.play(input(4, 8));
    expect(engine.memoryBytes).toBeGreaterThan(2 * 65_536);
  });
});

describe('a stop', () => {
  test('ends a window in the middle with STOPPED, and the engine plays the next', async () => {
    const engine = await start({ name: 'simd', threads: 2 });
    const aborter = new AbortController();
    const long = engine.play(input(64, 1_000_000), { signal: aborter.signal });
    const next = engine.play(input(3, 16));
    setTimeout(() => aborter.abort(), 100);
    await expectCode('STOPPED', long);
    expect(await next).toEqual(await reference(input(3, 16)));
    await expectCode('STOPPED', engine.play(input(3, 16), { signal: aborter.signal }));
  });

  test('by closing ends what is played and what waits, and later calls', async () => {
    const engine = await start({ name: 'simd', threads: 2 });
    const plays = [engine.play(input(64, 1_000_000)), engine.play(input(3, 16))];
    setTimeout(() => void engine.close(), 100);
    for (const play of plays) await expectCode('STOPPED', play);
    await engine.close();
    await expectCode('STOPPED', engine.play(input(3, 16)));
  });
});

describe('threads that go wrong', () => {
  const stub = { thread: new URL('../support/stub-thread.ts', import.meta.url) };

  test('by never answering are ended when the window is stopped, and others play the next', async () => {
    const engine = await startWith(stub, { name: 'simd', threads: 2 });
    const aborter = new AbortController();
    const silent = engine.play(input(4, 8, { window: NEVER_ANSWERS }), { signal: aborter.signal });
    // By then the thread has been asked.
    setTimeout(() => aborter.abort(), 50);
    await expectCode('STOPPED', silent);
    await engine.play(input(4, 8, { window: PLAYS }));
    expect(fallbacks.map(({ from, to }) => [from, to])).toEqual([['simd', 'reference']]);
  });

  test('by never answering do not keep the engine from being closed', async () => {
    const engine = await startWith(stub, { name: 'simd', threads: 1 });
    const silent = engine.play(input(4, 8, { window: NEVER_ANSWERS }));
    silent.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    await engine.close();
    await expectCode('STOPPED', silent);
  });

  test('of every backend in one window fail that window with its cause, and the next begins with all again', async () => {
    const engine = await startWith(stub, { name: 'wasm', threads: 1 }, { name: 'simd', threads: 1 });
    const lost = await expectCode('BACKEND_LOST', engine.play(input(4, 8, { window: LOSES })));
    expect(lost.message).toBe('lost on purpose');
    const order = fallbacks.splice(0).map(({ to }) => to);
    expect(order).toEqual(['simd', 'reference']);
    await engine.play(input(4, 8, { window: PLAYS }));
    expect(engine.backend).toBe('wasm');
    expect(fallbacks).toEqual([{ from: 'reference', to: 'wasm', error: lost }]);
  });
});

describe('a backend that cannot go on', () => {
  test('at the start gives way to the next, and says why', async () => {
    const engine = await start({ name: 'abacus' as BackendName, threads: 1 }, { name: 'simd', threads: 2 });
    expect(engine).toMatchObject({ backend: 'simd', threads: 2 });
    expect(fallbacks).toEqual([
      { from: 'abacus', to: 'simd', error: expect.objectContaining({ code: 'BACKEND_UNAVAILABLE' }) },
    ]);
  });

  test('and has no other candidate is an error', async () => {
    await expectCode('BACKEND_UNAVAILABLE', start({ name: 'abacus' as BackendName, threads: 1 }));
  });

  test('for want of memory gives way in the middle of a window, whose rollouts are the same', async () => {
    // The runtime's own limit: the kernel has no room for what plain integers compute in JavaScript's heap.
    const script = `
      const { startRolloutEngine } = await import('./rollouts/engine/index.ts');
      const { input } = await import('./test/support/wide-input.ts');
      const of = input();
      const lines = [];
      const engine = await startRolloutEngine({
        candidates: [{ name: 'simd', threads: 2 }],
        architecture: { ...of.policy.architecture, layers: [{ type: 'dense', in: 4, out: 2, shift: 1, biasMax: 1 }] },
        onFallback: ({ from, to, error }) => lines.push([from, to, error.code]),
      });
      const { actions } = await engine.play(of);
      lines.push([engine.backend, Buffer.from(actions.buffer, actions.byteOffset, actions.byteLength).toString('hex')]);
      await engine.close();
      console.log(JSON.stringify(lines));`;
    const args = ['--wasm-max-mem-pages=64', '--input-type=module', '--eval', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: packageRoot(), encoding: 'utf8' });
    const { input: wideInput } = await import('../support/wide-input.ts');
    const { actions } = await reference(wideInput());
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual([
      ['simd', 'reference', 'BACKEND_OUT_OF_MEMORY'],
      ['reference', Buffer.from(actions.buffer).toString('hex')],
    ]);
  });
});
