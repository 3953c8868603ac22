import { Worker } from 'node:worker_threads';
import type { BackendName } from '../../src/backends/index.ts';
import type { RolloutArrays, SlotEnds } from '../../src/environments/index.ts';
import type { Architecture, Policy } from '../../src/policy/index.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { type Details, GrailError } from '../../src/protocol/errors.ts';
import { siblingModule } from '../../src/storage/fork-module.ts';
import type { EngineCandidate } from './engine.ts';
import { split } from './play.ts';
import type { PlayOptions, RolloutInput } from './types.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly backend: BackendName;
  readonly architecture: Architecture;
}

/** Places in the shared words by which a crew speaks with threads that are too busy for messages. */
export const STOP = 0;
export const DONE = 1;

export type ThreadRequest =
  | {
      readonly type: 'play';
      readonly input: Omit<RolloutInput, 'policy'>;
      /** The window's policy; absent when it is the one that was sent last. */
      readonly policy?: Policy;
      readonly first: number;
      readonly slots: number;
      /** The whole window's, in shared memory. */
      readonly out: RolloutArrays;
      readonly digests: boolean;
      readonly words: Int32Array;
    }
  | { readonly type: 'close' };

export type ThreadReply =
  | { readonly type: 'ready'; readonly device: string }
  | ({ readonly type: 'played'; readonly memoryBytes: number } & PlayedSlots)
  | { readonly type: 'failed'; readonly error: { code: Code; message: string; details: Details } };

/** What a range of slots leaves beside the arrays. */
export interface PlayedSlots {
  /** Of each lane, in the order of their slots. */
  readonly ends: readonly SlotEnds[];
  /** Of each slot, unless they were not wanted. */
  readonly digests: readonly Uint8Array[] | null;
}

/** How long a thread that was told to end may take, before it is ended. */
const CLOSE_MS = 2000;
/** How often progress is looked at. */
const PROGRESS_MS = 250;

/** Threads with a backend each, that play a window together. */
export class Crew {
  readonly backend: BackendName;
  readonly #members: readonly Member[];
  #policy: Policy | null = null;

  private constructor(backend: BackendName, members: readonly Member[]) {
    this.backend = backend;
    this.#members = members;
  }

  /** @throws GrailError what the backend fails with: BACKEND_UNAVAILABLE, BACKEND_NOT_EXACT, … */
  static async start(
    { name, threads }: EngineCandidate,
    architecture: Architecture,
    thread = siblingModule(import.meta.url, 'thread'),
  ): Promise<Crew> {
    const members = Array.from(
      { length: threads },
      () => new Member(thread, { backend: name, architecture }),
    );
    const crew = new Crew(name, members);
    try {
      await Promise.all(members.map((member) => member.ready));
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
   * @throws GrailError STOPPED, or what a thread failed with: the others are stopped
   */
  async play(
    { policy, ...input }: RolloutInput,
    out: RolloutArrays,
    { signal, onProgress, digests = true }: PlayOptions,
  ): Promise<PlayedSlots> {
    const words = new Int32Array(new SharedArrayBuffer(8));
    const total = input.slots * input.genesis.stepsPerSlot;
    const stop = () => Atomics.store(words, STOP, 1);
    signal?.addEventListener('abort', stop, { once: true });
    const timer = onProgress && setInterval(() => onProgress(Atomics.load(words, DONE), total), PROGRESS_MS);
    const sent = this.#policy === policy ? {} : { policy };
    const ranges = split({ first: 0, slots: input.slots }, Math.min(this.#members.length, input.slots));
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
      // Members without a part have an older one.
      this.#policy = ranges.length === this.#members.length ? policy : null;
      const played = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      return {
        ends: played.flatMap(({ ends }) => ends),
        digests: digests ? played.flatMap((part) => part.digests ?? []) : null,
      };
    } catch (error) {
      this.#policy = null;
      throw error;
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', stop);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }
}

interface Pending<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: GrailError) => void;
}

/** One thread, as the crew sees it. */
class Member {
  readonly ready: Promise<void>;
  device = '';
  memoryBytes = 0;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #starting: Pending<void> | null = null;
  #playing: Pending<PlayedSlots> | null = null;
  #failure: GrailError | null = null;

  constructor(thread: URL, data: ThreadData) {
    this.#worker = new Worker(thread, {
      workerData: data,
      // Not the caller's, who may have come by --eval.
      execArgv: [],
    });
    this.ready = new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
    });
    // Whoever starts a crew hears of it; so does the next play.
    this.ready.catch(() => {});
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('message', (reply: ThreadReply) => this.#hear(reply));
    this.#worker.on('error', (error: Error & { code?: string }) => {
      const code = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'BACKEND_OUT_OF_MEMORY' : 'BACKEND_LOST';
      this.#fail(code, `a thread of the ${data.backend} backend failed: ${error.message}`, data.backend);
    });
    this.#worker.on('exit', () =>
      this.#fail('BACKEND_LOST', `a thread of the ${data.backend} backend ended`, data.backend),
    );
  }

  play(request: ThreadRequest): Promise<PlayedSlots> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#playing = { resolve, reject };
      this.#worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    this.#worker.postMessage({ type: 'close' } satisfies ThreadRequest);
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #hear(reply: ThreadReply): void {
    if (reply.type === 'ready') {
      this.device = reply.device;
      this.#starting?.resolve();
      this.#starting = null;
      return;
    }
    const playing = this.#playing;
    this.#playing = null;
    if (reply.type === 'played') {
      this.memoryBytes = reply.memoryBytes;
      playing?.resolve(reply);
      return;
    }
    const { code, message, details } = reply.error;
    const error = new GrailError(code, message, details);
    if (this.#starting === null) playing?.reject(error);
    else this.#starting.reject(error);
    this.#starting = null;
  }

  #fail(code: Code, message: string, backend: string): void {
    this.#failure ??= new GrailError(code, message, { backend });
    this.#starting?.reject(this.#failure);
    this.#playing?.reject(this.#failure);
    this.#starting = null;
    this.#playing = null;
  }
}
