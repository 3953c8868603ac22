import {
  BACKEND_NAMES,
  type Backend,
  type BackendName,
  loadBackend,
  selfTest,
} from '../src/backends/index.ts';
import type { Policy } from '../src/policy/index.ts';
import { GrailError } from '../src/protocol/errors.ts';

export type BackendChoice = BackendName | 'auto';

/** Passes that are timed, after as many that are not: the first ones compile. */
const TIMED_PASSES = 32;

/** Rollouts of a window that take less without TensorFlow.js are not worth loading it for: 1 s and 150 MB. */
const FAST_ENOUGH_MS = 250;

/** What a backend is chosen for. */
export interface Workload {
  readonly policy: Policy;
  /** Slots that step together: rows of one pass. */
  readonly slots: number;
  /** Passes of a window. */
  readonly stepsPerSlot: number;
}

/**
 * A backend that passed its self-test: the one asked for, or with `auto` the fastest for the workload. `auto` looks no
 * further than the integer kernel when that plays a window in a quarter of a second.
 * @param now milliseconds of a clock that only moves forward
 * @throws GrailError BACKEND_NOT_EXACT or BACKEND_UNAVAILABLE
 */
export async function chooseBackend(
  choice: BackendChoice,
  work: Workload,
  now: () => number = performance.now.bind(performance),
): Promise<Backend> {
  if (choice !== 'auto') return tested(await loadBackend(choice), work.policy);
  const timed: { backend: Backend; ms: number }[] = [];
  for (const name of BACKEND_NAMES) {
    try {
      const backend = await loadBackend(name);
      const ms = passMs(backend, work, now);
      timed.push({ backend, ms });
      if (name === 'simd' && ms * work.stepsPerSlot < FAST_ENOUGH_MS) break;
    } catch (error) {
      // One that this machine lacks is no choice.
      if (!(error instanceof GrailError) || error.code !== 'BACKEND_UNAVAILABLE') throw error;
    }
  }
  timed.sort((a, b) => a.ms - b.ms);
  let failure: unknown = new GrailError('BACKEND_UNAVAILABLE', 'no backend starts on this machine');
  for (const { backend } of timed) {
    try {
      return await tested(backend, work.policy);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function tested(backend: Backend, policy: Policy): Promise<Backend> {
  await selfTest(backend, policy.architecture);
  return backend;
}

/** Milliseconds of one policy pass. */
function passMs(backend: Backend, { policy, slots }: Workload, now: () => number): number {
  const loaded = backend.load(policy);
  const observations = new Int8Array(slots * policy.architecture.observation).fill(1);
  for (let pass = 0; pass < TIMED_PASSES; pass++) loaded.logits(observations, slots);
  const before = now();
  for (let pass = 0; pass < TIMED_PASSES; pass++) loaded.logits(observations, slots);
  const ms = (now() - before) / TIMED_PASSES;
  loaded.dispose();
  return ms;
}
