import type { BackendName } from '../../src/backends/index.ts';
import type { RolloutArrays } from '../../src/environments/index.ts';
import type { Architecture, Policy } from '../../src/policy/index.ts';
import { siblingModule } from '../../src/storage/fork-module.ts';
import { CLOSE_MS, Member } from './member.ts';
import { DONE, type PlayedSlots, STOP } from './messages.ts';
import { split } from './play.ts';
import type { EngineCandidate, PlayOptions, RolloutInput } from './types.ts';

/** How often progress is looked at. */
const PROGRESS_MS = 250;

/** Threads with a backend each, that play a window together. */
export class Crew {
  readonly backend: BackendName;
  readonly #members: Member[] = [];
  #policy: Policy | null = null;

  private constructor(backend: BackendName) {
    this.backend = backend;
  }

  /** @throws GrailError what the backend fails with: BACKEND_UNAVAILABLE, BACKEND_NOT_EXACT, … */
  static async start(
    { name, threads }: EngineCandidate,
    architecture: Architecture,
    thread = siblingModule(import.meta.url, 'thread'),
  ): Promise<Crew> {
    const crew = new Crew(name);
    try {
      for (let i = 0; i < threads; i++)
        crew.#members.push(new Member(thread, { backend: name, architecture }));
      await Promise.all(crew.#members.map((member) => member.ready));
    } catch (error) {
      await crew.close();
      throw error;
    }
    return crew;
  }

  get device(): string {
    return this.#members[0]!.device;
  }

  get threads(): number {
    return this.#members.length;
  }

  get memoryBytes(): number {
    return this.#members.reduce((sum, member) => sum + member.memoryBytes, 0);
  }

  /**
   * Plays a window into `out`, in shared memory.
   * @throws GrailError STOPPED, or what a thread failed with: the others are stopped. A thread that does not stop is ended,
   *   and the crew is of no more use: BACKEND_LOST
   */
  async play(
    { policy, ...input }: RolloutInput,
    out: RolloutArrays,
    { signal, onProgress, digests = true }: PlayOptions,
  ): Promise<PlayedSlots> {
    const ranges = split({ first: 0, slots: input.slots }, Math.min(this.#members.length, input.slots));
    const words = new Int32Array(new SharedArrayBuffer(8));
    const total = input.slots * input.genesis.stepsPerSlot;
    const sent = this.#policy === policy ? {} : { policy };
    // Members without a part have an older one, and after a failure nobody knows who has which.
    this.#policy = null;
    let ending: NodeJS.Timeout | undefined;
    const stop = () => {
      Atomics.store(words, STOP, 1);
      ending ??= setTimeout(() => {
        for (const member of this.#members) member.endPlay();
      }, CLOSE_MS);
    };
    signal?.addEventListener('abort', stop, { once: true });
    const timer = onProgress && setInterval(() => onProgress(Atomics.load(words, DONE), total), PROGRESS_MS);
    try {
      const plays = ranges.map((range, i) =>
        this.#members[i]!.play({ type: 'play', input, ...sent, ...range, out, digests, words }),
      );
      for (const play of plays) play.catch(stop);
      const results = await Promise.allSettled(plays);
      // A thread that failed by itself says more than those that were stopped because of it.
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      const failure = failures.find(({ code }) => code !== 'STOPPED') ?? failures[0];
      if (failure !== undefined) throw failure;
      if (ranges.length === this.#members.length) this.#policy = policy;
      const played = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      return {
        ends: played.flatMap(({ ends }) => ends),
        digests: digests ? played.flatMap((part) => part.digests ?? []) : null,
      };
    } finally {
      clearInterval(timer);
      clearTimeout(ending);
      signal?.removeEventListener('abort', stop);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }
}
