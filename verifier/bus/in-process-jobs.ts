import { pause, settledWithin, stopped, unlessAborted } from './abort.ts';
import {
  type DeadLetter,
  JOB_KINDS,
  type Job,
  type JobKind,
  type JobQueue,
  type JobSettings,
  type JobWorker,
} from './bus.ts';
import { failureOf, jobFailed, unheard } from './failure.ts';
import { Kept } from './kept.ts';
import {
  checkJob,
  checkSize,
  MAX_DEAD_BYTES,
  MAX_DEAD_LETTERS,
  MAX_QUEUED_BYTES,
  retryDelayMs,
} from './limits.ts';

type Handler = Parameters<JobQueue['work']>[1];

/** Results of one kind that are kept in memory. */
const KEPT_RESULTS = 4_096;
const KEPT_RESULT_BYTES = 33_554_432;

interface Entry {
  readonly job: Job;
  readonly end: PromiseWithResolvers<Uint8Array>;
  /** Deliveries so far. */
  attempts: number;
}

interface Seat {
  readonly handler: Handler;
  readonly concurrency: number;
  readonly leases: Map<AbortController, { readonly entry: Entry; readonly work: Promise<void> }>;
}

/** The jobs of one process. A lease here ends only with its worker: while the process lives, it is renewed. */
export class InProcessJobs implements JobQueue {
  readonly #kinds: ReadonlyMap<JobKind, KindQueue>;

  constructor(settings: JobSettings) {
    this.#kinds = new Map(JOB_KINDS.map((kind) => [kind, new KindQueue(settings)]));
  }

  async run(job: Job, { signal }: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    checkJob(job);
    const result = await this.#kinds.get(job.kind)!.run(job, signal);
    return new Uint8Array(result);
  }

  work(kind: JobKind, handler: Handler, { concurrency }: { readonly concurrency: number }): JobWorker {
    return this.#kinds.get(kind)!.work({ handler, concurrency, leases: new Map() });
  }

  async depth(kind: JobKind): Promise<number> {
    return this.#kinds.get(kind)!.depth;
  }

  async dead(kind: JobKind, limit: number): Promise<DeadLetter[]> {
    return this.#kinds.get(kind)!.dead(limit);
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#kinds.values(), (queue) => queue.close()));
  }
}

class KindQueue {
  readonly #settings: JobSettings;
  readonly #entries = new Map<string, Entry>();
  /** Those to deliver now, in their order. */
  readonly #ready = new Set<Entry>();
  /** Who took a job last comes last, so that a retry goes to somebody else. */
  readonly #seats = new Set<Seat>();
  readonly #results: Kept<Uint8Array>;
  readonly #dead: Kept<DeadLetter>;
  readonly #closed = new AbortController();
  /** Resolves, and is replaced, when a job leaves. */
  #room = Promise.withResolvers<void>();
  #bytes = 0;

  constructor(settings: JobSettings) {
    this.#settings = settings;
    const { keepMs } = settings;
    const results = { keepMs, count: KEPT_RESULTS, bytes: KEPT_RESULT_BYTES };
    this.#results = new Kept(results, ({ length }) => length);
    const dead = { keepMs, count: MAX_DEAD_LETTERS, bytes: MAX_DEAD_BYTES };
    this.#dead = new Kept(dead, ({ payload }) => payload.length);
  }

  get depth(): number {
    return this.#entries.size;
  }

  async run(job: Job, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      if (signal.aborted || this.#closed.signal.aborted) throw stopped();
      const kept = this.#results.get(job.id);
      if (kept !== undefined) return kept;
      const entry = this.#entries.get(job.id) ?? this.#put(job);
      if (entry !== null) return unlessAborted(entry.end.promise, signal);
      await unlessAborted(this.#room.promise, signal);
    }
  }

  work(seat: Seat): JobWorker {
    this.#seats.add(seat);
    this.#deliver();
    return { stop: ({ graceMs } = {}) => this.#stop(seat, graceMs) };
  }

  dead(limit: number): DeadLetter[] {
    return this.#dead.values().reverse().slice(0, limit);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    for (const { end } of this.#entries.values()) end.reject(stopped());
    this.#room.resolve();
    await Promise.all(Array.from(this.#seats, (seat) => this.#stop(seat, 0)));
  }

  #put(job: Job): Entry | null {
    const bytes = this.#bytes + job.payload.length;
    if (this.#entries.size >= this.#settings.capacity || bytes > MAX_QUEUED_BYTES) return null;
    const entry = {
      job: { ...job, payload: new Uint8Array(job.payload) },
      end: Promise.withResolvers<Uint8Array>(),
      attempts: 0,
    };
    // It may fail when nobody waits for it any more.
    entry.end.promise.catch(() => {});
    this.#bytes = bytes;
    this.#entries.set(job.id, entry);
    this.#ready.add(entry);
    this.#deliver();
    return entry;
  }

  #deliver(): void {
    for (const entry of this.#ready) {
      const seat = Array.from(this.#seats).find(({ leases, concurrency }) => leases.size < concurrency);
      if (seat === undefined || this.#closed.signal.aborted) return;
      this.#ready.delete(entry);
      if (entry.attempts === this.#settings.attempts) {
        this.#bury(entry, unheard());
        continue;
      }
      entry.attempts++;
      this.#seats.delete(seat);
      this.#seats.add(seat);
      const lease = new AbortController();
      const work = Promise.resolve().then(() => this.#attempt(entry, seat, lease));
      seat.leases.set(lease, { entry, work });
    }
  }

  async #attempt(entry: Entry, { handler, leases }: Seat, lease: AbortController): Promise<void> {
    const { payload, trace = null } = entry.job;
    const { signal } = lease;
    try {
      const result = await handler(new Uint8Array(payload), { attempt: entry.attempts, trace, signal });
      checkSize(result);
      if (!signal.aborted) this.#finish(entry, new Uint8Array(result));
    } catch (error) {
      if (signal.aborted) return;
      if (entry.attempts === this.#settings.attempts) this.#bury(entry, error);
      else void this.#retry(entry);
    } finally {
      leases.delete(lease);
      this.#deliver();
    }
  }

  async #retry(entry: Entry): Promise<void> {
    await pause(retryDelayMs(this.#settings, entry.attempts), this.#closed.signal);
    this.#ready.add(entry);
    this.#deliver();
  }

  #finish(entry: Entry, result: Uint8Array): void {
    this.#results.set(entry.job.id, result);
    this.#leave(entry);
    entry.end.resolve(result);
  }

  #bury(entry: Entry, error: unknown): void {
    const { kind, id, payload } = entry.job;
    const { code, message } = failureOf(error);
    const letter = { kind, id, payload, attempts: entry.attempts, error: { code, message } };
    this.#dead.set(id, letter);
    this.#leave(entry);
    entry.end.reject(jobFailed(letter));
  }

  #leave({ job }: Entry): void {
    this.#entries.delete(job.id);
    this.#bytes -= job.payload.length;
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  async #stop(seat: Seat, graceMs: number | undefined): Promise<void> {
    this.#seats.delete(seat);
    await settledWithin(Promise.all(Array.from(seat.leases.values(), ({ work }) => work)), graceMs);
    for (const [lease, { entry }] of seat.leases) {
      seat.leases.delete(lease);
      lease.abort();
      this.#ready.add(entry);
    }
    this.#deliver();
  }
}
