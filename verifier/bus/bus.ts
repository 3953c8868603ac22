/** Kinds of jobs. */
export const JOB_KINDS = ['replay', 'proofs', 'train', 'evaluate'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** Largest message, job or result in bytes; what is larger goes through a blob store, by hash. */
export const MAX_BUS_BYTES = 524_288;

/** W3C `traceparent` of what caused a message, or null. */
export type Trace = string | null;

/** How the processes of one verifier talk. What is lost on it delays, and never decides: the ledger is the memory. */
export interface Bus {
  /** Where it is, for people: never with a password. */
  readonly name: string;
  /** Tells everybody who listens now, at most once each. While the bus is away it is dropped. */
  publish(subject: string, bytes: Uint8Array): void;
  /** Hears what is published; the function given back ends it. */
  subscribe(subject: string, listener: (bytes: Uint8Array) => void): () => void;
  /**
   * Asks whoever serves the subject and gives its answer.
   * @throws GrailError what the server threw (code, message and details travel); UNREACHABLE when nobody serves it, no
   *   answer came in time or the bus is away: whether the server acted is then unknown; TOO_LARGE
   */
  request(
    subject: string,
    bytes: Uint8Array,
    options: { readonly timeoutMs: number; readonly trace?: Trace },
  ): Promise<Uint8Array>;
  /**
   * Answers requests of a subject, `concurrency` at a time; beyond `queue` more that wait, callers get TOO_MANY_REQUESTS
   * with retryAfterSeconds. The function given back stops taking requests and resolves when those under way are answered.
   */
  serve(
    subject: string,
    handler: (bytes: Uint8Array, context: { readonly trace: Trace }) => Promise<Uint8Array>,
    options: { readonly concurrency: number; readonly queue: number },
  ): () => Promise<void>;
  readonly jobs: JobQueue;
  /** Null while it works, else why it does not. */
  readonly trouble: () => string | null;
  close(): Promise<void>;
}

export interface Job {
  readonly kind: JobKind;
  /** What it computes, as 64 lower-case hex digits: the same id is the same work, and its result is kept and given again. */
  readonly id: string;
  readonly payload: Uint8Array;
  readonly trace?: Trace;
}

export interface JobContext {
  /** 1 at the first delivery. */
  readonly attempt: number;
  readonly trace: Trace;
  /** Aborted when the lease was lost or the worker stops: the result is then not wanted from here. */
  readonly signal: AbortSignal;
}

export interface DeadLetter {
  readonly kind: JobKind;
  readonly id: string;
  readonly payload: Uint8Array;
  readonly attempts: number;
  /** What the last attempt failed with. */
  readonly error: { readonly code: string; readonly message: string };
}

/** A queue of pure computations: at-least-once delivery, a lease while one is worked on, one result an id. */
export interface JobQueue {
  /**
   * Puts a job unless its id is queued or done, and gives its result when somebody has computed it.
   * @throws GrailError JOB_FAILED when it failed at every attempt; STOPPED when aborted or closed; TOO_LARGE
   */
  run(job: Job, options: { readonly signal: AbortSignal }): Promise<Uint8Array>;
  /**
   * Works on jobs of a kind. A handler that throws is retried with back-off, elsewhere if there is an elsewhere, and after the
   * last attempt the job lies among the dead letters. A worker that dies loses its lease, and the job is delivered again.
   */
  work(
    kind: JobKind,
    handler: (payload: Uint8Array, context: JobContext) => Promise<Uint8Array>,
    options: { readonly concurrency: number },
  ): JobWorker;
  /** Jobs of a kind that wait or are worked on. */
  depth(kind: JobKind): Promise<number>;
  /** The newest dead letters of a kind, at most `limit`. */
  dead(kind: JobKind, limit: number): Promise<DeadLetter[]>;
}

export interface JobWorker {
  /**
   * Takes no more, and resolves when what is under way is finished (or its lease given back after `graceMs`: that attempt
   * counts).
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

/** What a queue is set to. */
export interface JobSettings {
  /** A lease that is not renewed for so long is given to somebody else. */
  readonly leaseMs: number;
  readonly attempts: number;
  /** First wait before a retry; it doubles, up to 30 s. */
  readonly retryMs: number;
  /** Jobs of one kind that wait or are worked on; `run` waits for room beyond it. */
  readonly capacity: number;
  /** How long results and dead letters are kept. */
  readonly keepMs: number;
}

export const DEFAULT_JOB_SETTINGS: JobSettings = {
  leaseMs: 30_000,
  attempts: 5,
  retryMs: 500,
  capacity: 65_536,
  keepMs: 3_600_000,
};
