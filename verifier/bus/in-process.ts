import { GrailError } from '../../src/protocol/errors.ts';
import { unlessAborted } from './abort.ts';
import { AnswerQueue } from './answer-queue.ts';
import { type Bus, DEFAULT_JOB_SETTINGS, type JobSettings } from './bus.ts';
import { failureFrom, failureOf } from './failure.ts';
import { InProcessJobs } from './in-process-jobs.ts';
import { checkSize, checkSubject } from './limits.ts';
import { hear } from './listener.ts';

type Listener = Parameters<Bus['subscribe']>[1];
type Answer = (bytes: Uint8Array, trace: string | null) => Promise<Uint8Array>;

/** A bus for a verifier that is one process. What goes through it is copied, as on a bus between processes. */
export function createInProcessBus(settings: Partial<JobSettings> = {}): Bus {
  return new InProcessBus({ ...DEFAULT_JOB_SETTINGS, ...settings });
}

class InProcessBus implements Bus {
  readonly name = 'this process';
  readonly jobs: InProcessJobs;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #servers = new Map<string, Answer>();
  #closed = false;

  constructor(settings: JobSettings) {
    this.jobs = new InProcessJobs(settings);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkSubject(subject);
    checkSize(bytes);
    for (const listener of this.#listeners.get(subject) ?? []) {
      const copy = new Uint8Array(bytes);
      queueMicrotask(() => {
        if (this.#listeners.get(subject)?.has(listener)) hear(listener, copy);
      });
    }
  }

  subscribe(subject: string, listener: Listener): () => void {
    checkSubject(subject);
    // Of its own, so that one function may listen twice.
    const own: Listener = (bytes) => listener(bytes);
    const listeners = this.#listeners.get(subject) ?? new Set();
    this.#listeners.set(subject, listeners.add(own));
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(subject) === listeners) this.#listeners.delete(subject);
    };
  }

  async request(
    subject: string,
    bytes: Uint8Array,
    { timeoutMs, trace = null }: Parameters<Bus['request']>[2],
  ): Promise<Uint8Array> {
    checkSubject(subject);
    checkSize(bytes);
    const answer = this.#servers.get(subject);
    if (answer === undefined) throw new GrailError('UNREACHABLE', `nobody serves ${subject} in this process`);
    const late = () => new GrailError('UNREACHABLE', `${subject} was not answered in ${timeoutMs} ms`);
    return unlessAborted(answer(new Uint8Array(bytes), trace), AbortSignal.timeout(timeoutMs), late);
  }

  serve(...[subject, handler, options]: Parameters<Bus['serve']>): () => Promise<void> {
    checkSubject(subject);
    if (this.#servers.has(subject)) throw new RangeError(`${subject} is served already`);
    const queue = new AnswerQueue(options);
    const server: Answer = async (bytes, trace) => {
      try {
        const answer = await queue.answer(() => handler(bytes, { trace }));
        checkSize(answer);
        return new Uint8Array(answer);
      } catch (error) {
        throw failureFrom(JSON.stringify(failureOf(error)));
      }
    };
    this.#servers.set(subject, server);
    return () => {
      if (this.#servers.get(subject) === server) this.#servers.delete(subject);
      return queue.idle();
    };
  }

  trouble(): string | null {
    return this.#closed ? 'the bus is closed' : null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    this.#servers.clear();
    await this.jobs.close();
  }
}
