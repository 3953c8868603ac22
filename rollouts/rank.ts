import { type BackendName, EMBEDDED_BACKENDS, loadBackend } from '../src/backends/index.ts';
import type { Policy } from '../src/policy/index.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { LANES } from './engine/play.ts';
import { measureBackend } from './measure.ts';

export type BackendChoice = BackendName | 'auto';

/** What a backend is chosen for. */
export interface Workload {
  readonly policy: Policy;
  /** Slots that step side by side. */
  readonly slots: number;
  /** Policy passes of a window. */
  readonly stepsPerSlot: number;
  /** Threads that may share the slots. */
  readonly threads: number;
}

export interface Candidate {
  readonly name: BackendName;
  /** What computes, in words. */
  readonly device: string;
  /** Policy steps a second of all threads that it would have. */
  readonly stepsPerSecond: number;
  /** Threads that are worth it for the workload. */
  readonly threads: number;
}

/** Searching further takes TensorFlow.js's second and 150 MB: not for windows that the kernel plays in less. */
const FAST_ENOUGH_MS = 250;
/** A thread is worth starting for so much of a window's work. */
const THREAD_MS = 50;
/** Slots that keep a device busy: another thread, with batches of its own, is for more. */
const DEVICE_SLOTS = 1024;

/** Where `auto` looks: the kernel first. TensorFlow.js's plain JavaScript and the reference are for want of anything else. */
const SEARCHED: readonly BackendName[] = ['simd', 'tensorflow', 'webgpu', 'wasm'];
const WITHOUT_SIMD: readonly BackendName[] = ['cpu', 'reference'];

/**
 * The backends for a workload, the fastest first: the one that was asked for, or with `auto` those that are found. `auto`
 * looks no further than the integer kernel when that plays a window in a quarter of a second, and never takes a device
 * that is emulated. None has yet shown that it is exact.
 * @throws GrailError BACKEND_UNAVAILABLE when the one asked for, or every one, does not start here
 */
export async function rankBackends(
  choice: BackendChoice,
  work: Workload,
  now?: () => number,
): Promise<Candidate[]> {
  if (choice !== 'auto') return [(await candidate(choice, work, true, now))!];
  const found: Candidate[] = [];
  let missing: GrailError | null = null;
  for (const name of [...SEARCHED, ...WITHOUT_SIMD]) {
    if (found.length > 0 && WITHOUT_SIMD.includes(name)) break;
    try {
      const one = await candidate(name, work, false, now);
      if (one !== null) found.push(one);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      missing ??= error;
    }
    const [kernel] = found;
    if (name === 'simd' && kernel !== undefined && windowMs(work, kernel.stepsPerSecond) < FAST_ENOUGH_MS)
      break;
  }
  if (found.length === 0) throw missing ?? new GrailError('INTERNAL', 'no backend was looked for');
  return found.sort((a, b) => b.stepsPerSecond - a.stepsPerSecond);
}

/** One backend, measured; null where it is emulated and that is not allowed. */
async function candidate(
  name: BackendName,
  work: Workload,
  mayBeEmulated: boolean,
  now?: () => number,
): Promise<Candidate | null> {
  const { policy, slots } = work;
  const backend = await loadBackend(name);
  try {
    if (backend.emulated && !mayBeEmulated) return null;
    const { device } = backend;
    if (!(EMBEDDED_BACKENDS as readonly string[]).includes(name)) {
      const threads = Math.min(work.threads, Math.ceil(slots / DEVICE_SLOTS));
      const lanes = threads * (backend.answers === 'later' ? LANES : 1);
      const stepsPerSecond = await measureBackend(backend, policy, Math.ceil(slots / lanes), now);
      return { name, device, stepsPerSecond, threads };
    }
    const one = await measureBackend(backend, policy, slots, now);
    const wanted = Math.ceil(windowMs(work, one) / THREAD_MS);
    const threads = Math.max(1, Math.min(work.threads, slots, wanted));
    return { name, device, stepsPerSecond: one * threads, threads };
  } finally {
    backend.dispose();
  }
}

const windowMs = ({ slots, stepsPerSlot }: Workload, stepsPerSecond: number) =>
  (1000 * slots * stepsPerSlot) / stepsPerSecond;
