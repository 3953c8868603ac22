import { isDeepStrictEqual } from 'node:util';
import { startRolloutEngine } from '../../rollouts/engine/index.ts';
import type { BackendName } from '../../src/backends/index.ts';
import type { Rollouts } from '../../src/environments/index.ts';
import { recipePolicy } from '../support/networks.ts';
import { median } from '../support/timing.ts';
import { windowInput } from '../support/window.ts';

export interface WholeOptions {
  readonly slots: number;
  readonly steps: number;
  readonly runs: number;
  /** Threads that each backend is tried with. */
  readonly threads: readonly number[];
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

/** Whole rollouts: environment, policy and sampling. */
export interface Whole {
  readonly environment: string;
  readonly on: BackendName;
  readonly device: string;
  readonly threads: number;
  readonly slots: number;
  readonly steps: number;
  readonly rolloutsPerSecond: number;
  readonly stepsPerSecond: number;
  /** Whether every byte is the same as the kernel's. */
  readonly exact: boolean;
  /** Why the backend gave way to another one, whose figures these are then. */
  readonly error?: string;
}

const ENVIRONMENT = 'MinAtar/Breakout-v1';

/** MinAtar Breakout through the rollout engine, as a miner plays it; each time the median of the runs. */
export async function measureWhole(options: WholeOptions): Promise<Whole[]> {
  const { slots, steps, runs, threads, signal, report } = options;
  const policy = recipePolicy(ENVIRONMENT);
  const input = windowInput(ENVIRONMENT, policy, slots, steps, 1);
  const results: Whole[] = [];
  let expected: Rollouts | null = null;
  for (const on of ['simd', 'webgpu'] as const) {
    for (const count of threads) {
      signal.throwIfAborted();
      let error: string | null = null;
      const engine = await startRolloutEngine({
        candidates: [{ name: on, threads: count }],
        architecture: policy.architecture,
        onFallback: (fallback) => {
          error = `${fallback.error.code}: ${fallback.error.message}`;
          report(`${fallback.from} gave way to ${fallback.to}: ${error}`);
        },
      });
      try {
        const rates: number[] = [];
        let exact = true;
        // The first is a warm-up.
        for (let run = 0; run <= runs; run++) {
          const began = performance.now();
          const rollouts = await engine.play(input, { signal });
          if (run > 0) rates.push((1000 * slots) / (performance.now() - began));
          expected ??= rollouts;
          exact &&= same(expected, rollouts);
        }
        const rolloutsPerSecond = median(rates);
        results.push({
          environment: ENVIRONMENT,
          on,
          device: engine.device,
          threads: count,
          slots,
          steps,
          rolloutsPerSecond,
          stepsPerSecond: rolloutsPerSecond * steps,
          exact: exact && error === null,
          ...(error !== null && { error }),
        });
        report(`whole rollouts: ${on}, threads: ${count}`);
      } finally {
        await engine.close();
      }
    }
  }
  return results;
}

/** Whether two windows are the same, byte for byte. */
export function same(a: Rollouts, b: Rollouts): boolean {
  const bytes = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  return Object.keys(a).every((key) => {
    const [one, other] = [a, b].map((rollouts) => rollouts[key as keyof Rollouts]);
    return ArrayBuffer.isView(one) && ArrayBuffer.isView(other)
      ? bytes(one).equals(bytes(other))
      : isDeepStrictEqual(one, other);
  });
}
