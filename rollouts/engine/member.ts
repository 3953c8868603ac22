import { Worker } from 'node:worker_threads';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { PlayedSlots, PlayRequest, ThreadData, ThreadReply, ThreadRequest } from './messages.ts';

/** How long a thread that was told to stop or to end may take, before it is ended; and then, to be gone. */
export const CLOSE_MS = 2000;

interface Pending<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: GrailError) => void;
}

/** One thread, as its crew sees it. */
export class Member {
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

  play(request: PlayRequest): Promise<PlayedSlots> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#playing = { resolve, reject };
      this.#worker.postMessage(request);
    });
  }

  /** Ends the thread if it still plays: what it plays is rejected with BACKEND_LOST. */
  endPlay(): void {
    if (this.#playing !== null) void this.#worker.terminate();
  }

  async close(): Promise<void> {
    this.#worker.postMessage({ type: 'close' } satisfies ThreadRequest);
    let timer: NodeJS.Timeout | undefined;
    const late = () =>
      new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), CLOSE_MS);
      });
    if ((await Promise.race([this.#exited, late()])) === 'late') {
      void this.#worker.terminate();
      // One that is deep in a driver cannot be ended; it shall not keep the process.
      if ((await Promise.race([this.#exited, late()])) === 'late') this.#worker.unref();
    }
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
