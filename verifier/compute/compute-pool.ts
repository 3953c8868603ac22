import { Worker } from 'node:worker_threads';
import type { Genesis } from '../../src/params/genesis.ts';
import type { VerificationKey } from '../../src/proofs/verify.ts';
import { GrailError, revivedError } from '../../src/protocol/errors.ts';
import { siblingModule } from '../../src/storage/fork-module.ts';
import type { Computation, Computed } from './compute.ts';
import type { ComputeReply } from './compute-worker.ts';

interface Waiting {
  readonly computation: Computation;
  readonly resolve: (computed: Computed) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  /** What it computes now. */
  current: Waiting | null;
}

/** Threads that compute jobs, one at a time each, in the order in which they come. A thread that dies is replaced. */
export class ComputePool {
  readonly #data: { readonly genesis: Genesis; readonly verificationKey: VerificationKey };
  readonly #threads = new Set<Thread>();
  readonly #size: number;
  readonly #queue: Waiting[] = [];
  #closed = false;

  constructor(genesis: Genesis, verificationKey: VerificationKey, size: number) {
    this.#data = { genesis, verificationKey };
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** @throws GrailError what the computation throws; CHILD_FAILED when its thread died; STOPPED */
  compute(computation: Computation): Promise<Computed> {
    if (this.#closed) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      this.#queue.push({ computation, resolve, reject });
      this.#next();
    });
  }

  /** Ends all threads; what is under way is given up. */
  async close(): Promise<void> {
    this.#closed = true;
    const threads = [...this.#threads];
    for (const { reject } of this.#queue.splice(0)) reject(stopped());
    for (const { current } of threads) current?.reject(stopped());
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idle();
      if (thread === null) return;
      const waiting = this.#queue.shift()!;
      thread.current = waiting;
      thread.worker.postMessage(waiting.computation);
    }
  }

  #idle(): Thread | null {
    for (const thread of this.#threads) if (thread.current === null) return thread;
    return this.#threads.size < this.#size ? this.#start() : null;
  }

  #start(): Thread {
    const worker = new Worker(siblingModule(import.meta.url, 'compute-worker'), { workerData: this.#data });
    const thread: Thread = { worker, current: null };
    this.#threads.add(thread);
    worker.on('message', (reply: ComputeReply) => {
      const { current } = thread;
      thread.current = null;
      if ('error' in reply) current?.reject(revivedError(reply.error));
      else current?.resolve(reply.computed);
      this.#next();
    });
    const died = (reason: string) => {
      if (!this.#threads.delete(thread)) return;
      thread.current?.reject(new GrailError('CHILD_FAILED', `a computing thread ended: ${reason}`));
      thread.current = null;
      if (!this.#closed) this.#next();
    };
    worker.on('error', (error) => died(error.message));
    worker.on('exit', (code) => died(`exit code ${code}`));
    return thread;
  }
}

function stopped(): GrailError {
  return new GrailError('STOPPED', 'the verifier is stopping');
}
