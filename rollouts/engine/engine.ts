import type { BackendName } from '../../src/backends/index.ts';
import {
  environmentById,
  joinRuns,
  type RolloutArrays,
  rolloutArrays,
} from '../../src/environments/index.ts';
import type { Architecture } from '../../src/policy/index.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { Crew } from './crew.ts';
import type { EngineCandidate, PlayedRollouts, PlayOptions, RolloutEngine, RolloutInput } from './types.ts';

/** A backend that was given up for another. */
export interface Fallback {
  readonly from: BackendName;
  readonly to: BackendName;
  /** What it failed with. */
  readonly error: GrailError;
}

export interface EngineOptions {
  /** The best first. */
  readonly candidates: readonly EngineCandidate[];
  /** What the self-test runs. */
  readonly architecture: Architecture;
  /** Told when a backend fails, at the start or in the middle of a window, and another one takes over. */
  readonly onFallback?: (fallback: Fallback) => void;
  /** Another module for the threads, for tests of what goes wrong in one. */
  readonly thread?: URL;
}

/** What every machine has, for when a device is lost. */
const LAST_RESORTS: readonly BackendName[] = ['simd', 'reference'];

/** Failures after which another backend plays the window again: the rollouts are the same. */
const LOSSES = new Set(['BACKEND_LOST', 'BACKEND_OUT_OF_MEMORY']);

/**
 * Starts threads with the first candidate whose threads all pass the self-test.
 * @throws GrailError BACKEND_UNAVAILABLE, BACKEND_NOT_EXACT, BACKEND_OUT_OF_MEMORY or BACKEND_LOST: the first candidate's
 *   failure, when none is left
 */
export async function startRolloutEngine(options: EngineOptions): Promise<RolloutEngine> {
  const waiting = [...options.candidates];
  const crew = await hire(options, waiting, null);
  return new ThreadedEngine(options, crew, waiting);
}

/**
 * A crew with the first of `waiting` that can be started; it and those that failed are taken out.
 * @throws the failure that made it necessary, or else the first one's, when none is left
 */
async function hire(
  { architecture, onFallback, thread }: EngineOptions,
  waiting: EngineCandidate[],
  lost: Omit<Fallback, 'to'> | null,
): Promise<Crew> {
  let failed = lost;
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    try {
      const crew = await Crew.start(next, architecture, thread);
      if (failed !== null) onFallback?.({ ...failed, to: next.name });
      return crew;
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      failed ??= { from: next.name, error };
    }
  }
  throw failed?.error ?? new GrailError('INTERNAL', 'the engine was given no backend');
}

class ThreadedEngine implements RolloutEngine {
  readonly #options: EngineOptions;
  /** Every backend that there is to try, and those that are left. */
  readonly #all: readonly EngineCandidate[];
  #waiting: EngineCandidate[];
  readonly #closing = new AbortController();
  #crew: Crew;
  /** Why the crew is gone: another one is hired before the next play. */
  #lost: Omit<Fallback, 'to'> | null = null;
  /** One window at a time: all threads play it. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: EngineOptions, crew: Crew, waiting: readonly EngineCandidate[]) {
    const { candidates } = options;
    const threads = Math.max(...candidates.map((candidate) => candidate.threads));
    const resorts = LAST_RESORTS.filter((resort) => !candidates.some(({ name }) => name === resort)).map(
      (name) => ({ name, threads }),
    );
    this.#options = options;
    this.#crew = crew;
    this.#all = [...candidates, ...resorts];
    this.#waiting = [...waiting, ...resorts];
  }

  get backend(): BackendName {
    return this.#crew.backend;
  }

  get device(): string {
    return this.#crew.device;
  }

  get threads(): number {
    return this.#crew.threads;
  }

  get memoryBytes(): number {
    return this.#crew.memoryBytes;
  }

  play(input: RolloutInput, options: PlayOptions = {}): Promise<PlayedRollouts> {
    const { signal } = options;
    const ends = signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal];
    const stop = AbortSignal.any(ends);
    const result = this.#queue.then(() => this.#play(input, { ...options, signal: stop }));
    this.#queue = result.catch(() => {});
    return result;
  }

  async #play(input: RolloutInput, options: PlayOptions & { signal: AbortSignal }): Promise<PlayedRollouts> {
    const { genesis, slots } = input;
    for (;;) {
      if (options.signal.aborted) throw new GrailError('STOPPED', 'the rollouts were stopped');
      if (this.#lost !== null) await this.#replace(this.#lost);
      const out = sharedArrays(input);
      try {
        const { ends, digests } = await this.#crew.play(input, out, options);
        return { ...joinRuns(slots, genesis.stepsPerSlot, out, ends), digests };
      } catch (error) {
        if (!(error instanceof GrailError) || !LOSSES.has(error.code)) throw error;
        this.#lost = { from: this.#crew.backend, error };
        await this.#crew.close();
      }
    }
  }

  /** Hires another crew. @throws why the last one is gone, when no backend is left: the next play begins with all again */
  async #replace(lost: Omit<Fallback, 'to'>): Promise<void> {
    try {
      this.#crew = await hire(this.#options, this.#waiting, lost);
      this.#lost = null;
    } catch (error) {
      this.#waiting = [...this.#all];
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#queue;
    await this.#crew.close();
  }
}

/** @throws GrailError BACKEND_OUT_OF_MEMORY */
function sharedArrays({ genesis, slots }: RolloutInput): RolloutArrays {
  const { observation } = environmentById(genesis.environment);
  try {
    return rolloutArrays(slots, genesis.stepsPerSlot, observation, { shared: true });
  } catch (cause) {
    const message = `there is no memory for ${slots} slots of ${genesis.stepsPerSlot} steps: enrol fewer with --slots`;
    throw new GrailError('BACKEND_OUT_OF_MEMORY', message, { slots }, { cause });
  }
}
