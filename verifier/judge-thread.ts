import { Worker } from 'node:worker_threads';
import type { Genesis } from '../src/params/genesis.ts';
import type { Policy } from '../src/policy/architecture.ts';
import type { Code } from '../src/protocol/codes.ts';
import { type Details, GrailError } from '../src/protocol/errors.ts';
import type { WindowInput, WindowWork } from '../src/replica/judge.ts';
import type { JudgeStart } from '../src/replica/load-judge.ts';
import { siblingModule } from '../src/storage/fork-module.ts';
import type { JudgeReply, JudgeRequest } from './judge-worker.ts';

type Request = JudgeRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The judge in a thread of its own, so that replays and training never hold up the network. */
export class JudgeThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #failure: GrailError | null = null;

  constructor(genesis: Genesis, start: JudgeStart) {
    this.#worker = new Worker(siblingModule(import.meta.url, 'judge-worker'), {
      workerData: { genesis, start },
    });
    this.#worker.on('message', (reply: JudgeReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail(`the judge's thread failed: ${error.message}`));
    this.#worker.on('exit', () => this.#fail('the judge’s thread ended'));
  }

  /** Judges a window; windows must be given in order. */
  process(input: WindowInput): Promise<WindowWork> {
    return this.#ask({ type: 'process', input }) as Promise<WindowWork>;
  }

  /** Mean return of a policy over fresh episodes. */
  evaluate(policy: Policy, episodes: number): Promise<number> {
    return this.#ask({ type: 'evaluate', policy, episodes }) as Promise<number>;
  }

  async stop(): Promise<void> {
    this.#failure ??= new GrailError('STOPPED', 'the verifier is stopping');
    await this.#worker.terminate();
  }

  #ask(request: Request): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  #settle(reply: JudgeReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.error === undefined) pending?.resolve(reply.result);
    else {
      const { code, message, details } = reply.error as { code: Code; message: string; details: Details };
      pending?.reject(new GrailError(code, message, details));
    }
  }

  #fail(message: string): void {
    this.#failure ??= new GrailError('CHILD_FAILED', message);
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}
