import { JetStreamApiError, type StoredMsg } from '@nats-io/jetstream';
import { pause, stopped, unlessAborted } from './abort.ts';
import type { DeadLetter, Job, JobKind, JobQueue, JobWorker } from './bus.ts';
import { jobFailed } from './failure.ts';
import { checkJob, isJobId } from './limits.ts';
import { endOf, withTrace } from './nats-headers.ts';
import type { NatsLink } from './nats-link.ts';
import { type JobHandler, NatsWorker } from './nats-worker.ts';

/** First wait while the queue is full, and the longest. */
const ROOM_MS = 20;
const LONGEST_ROOM_MS = 1_000;

interface SharedRun {
  readonly result: Promise<Uint8Array>;
  readonly stop: AbortController;
  waiters: number;
}

/**
 * Jobs on JetStream. A job lies in its kind's stream until it is acknowledged, one message an id; its end, a result or a
 * dead letter, is stored under its id and heard at once by whoever waits.
 */
export class NatsJobs implements JobQueue {
  readonly #link: NatsLink;
  readonly #runs = new Map<string, SharedRun>();
  readonly #workers = new Set<NatsWorker>();
  #closed = false;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  async run(job: Job, { signal }: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    checkJob(job);
    if (this.#closed) throw stopped();
    const key = `${job.kind} ${job.id}`;
    const shared = this.#runs.get(key) ?? this.#share(key, job);
    shared.waiters++;
    try {
      const result = await unlessAborted(shared.result, signal);
      return new Uint8Array(result);
    } finally {
      if (--shared.waiters === 0) {
        shared.stop.abort();
        if (this.#runs.get(key) === shared) this.#runs.delete(key);
      }
    }
  }

  work(kind: JobKind, handler: JobHandler, { concurrency }: { readonly concurrency: number }): JobWorker {
    const worker = new NatsWorker(this.#link, kind, handler, concurrency);
    this.#workers.add(worker);
    return {
      stop: async (options) => {
        await worker.stop(options);
        this.#workers.delete(worker);
      },
    };
  }

  /** @throws GrailError UNREACHABLE */
  async depth(kind: JobKind): Promise<number> {
    const { jsm, names } = this.#link;
    const { state } = await this.#link.once(() => jsm.streams.info(names.jobStream(kind)));
    return state.messages;
  }

  /** @throws GrailError UNREACHABLE */
  async dead(kind: JobKind, limit: number): Promise<DeadLetter[]> {
    const { jsm, names } = this.#link;
    const { state } = await this.#link.once(() => jsm.streams.info(names.deadStream));
    const letters: DeadLetter[] = [];
    for (let seq = state.last_seq; seq >= state.first_seq && seq > 0 && letters.length < limit; seq--) {
      const stored = await this.#link.once(() => jsm.streams.getMessage(names.deadStream, { seq }));
      const id = stored?.subject.split('.').at(-2) ?? '';
      if (stored?.subject !== names.end(kind, id, 'dead') || !isJobId(id)) continue;
      letters.push({ kind, id, payload: new Uint8Array(stored.data), ...endOf(stored) });
    }
    return letters;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { stop } of this.#runs.values()) stop.abort();
    await Promise.all(Array.from(this.#workers, (worker) => worker.stop({ graceMs: 0 })));
  }

  #share(key: string, job: Job): SharedRun {
    const stop = new AbortController();
    const shared = { result: this.#end(job, stop), stop, waiters: 0 };
    this.#runs.set(key, shared);
    return shared;
  }

  /** What is told of the job's end, or what is found of it, whichever comes first. */
  async #end(job: Job, stop: AbortController): Promise<Uint8Array> {
    const { nc, names } = this.#link;
    const { kind, id } = job;
    const told = Promise.withResolvers<Uint8Array>();
    const subscription = nc.subscribe(names.end(kind, id, '*'), {
      callback: (error, message) => {
        if (error !== null) return;
        if (message.subject === names.end(kind, id, 'result')) told.resolve(new Uint8Array(message.data));
        else told.reject(jobFailed({ kind, id, ...endOf(message) }));
      },
    });
    try {
      return await Promise.race([told.promise, this.#find(job, stop.signal)]);
    } finally {
      stop.abort();
      subscription.unsubscribe();
    }
  }

  /** Puts the job and looks for its end, again after whatever may have lost either. */
  async #find(job: Job, signal: AbortSignal): Promise<Uint8Array> {
    const { kind, id } = job;
    const { jsm, names, settings } = this.#link;
    const last = (stream: string, subject: string) =>
      jsm.streams.getMessage(stream, { last_by_subj: subject });
    let earlier: StoredMsg | null | undefined;
    for (let roomMs = ROOM_MS; ; roomMs = Math.min(LONGEST_ROOM_MS, 2 * roomMs)) {
      const found = await this.#link.persist(async () => {
        const [result, dead] = await Promise.all([
          last(names.resultStream, names.end(kind, id, 'result')),
          last(names.deadStream, names.end(kind, id, 'dead')),
        ]);
        if (result !== null) return new Uint8Array(result.data);
        if (earlier === undefined) earlier = dead;
        // What failed before this was asked for is tried again.
        if (dead !== null && dead.timestamp !== earlier?.timestamp) {
          throw jobFailed({ kind, id, ...endOf(dead) });
        }
        return this.#put(job);
      }, signal);
      if (found instanceof Uint8Array) return found;
      if (found === 'full') await pause(roomMs, signal);
      else await pause(settings.leaseMs, signal, this.#link.lost);
    }
  }

  async #put({ kind, id, payload, trace }: Job): Promise<'queued' | 'full'> {
    const { js, names } = this.#link;
    try {
      await js.publish(names.job(kind, id), payload, withTrace(trace));
      return 'queued';
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      if (error.message === 'maximum messages per subject exceeded') return 'queued';
      if (/^maximum (messages|bytes) exceeded$/.test(error.message)) return 'full';
      throw error;
    }
  }
}
