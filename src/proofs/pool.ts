import type { ChildProcess } from 'node:child_process';
import { GrailError } from '../protocol/errors.ts';
import { forkModule } from '../storage/fork-module.ts';
import type { WorkerMessage, WorkerReply, WorkerSetup } from './pool-worker.ts';
import type { CircuitInput, ProofResult, ProofStage, ProverFiles, ProverOptions } from './prove.ts';
import type { VerificationKey } from './verification-key.ts';

export interface ProofPoolOptions {
  /** Proving processes; each takes about 0.3 GB while it proves. They start with their first job. */
  readonly size: number;
  readonly artefacts: ProverFiles & { readonly verificationKey: VerificationKey };
  /** As of `createProver`, in each process. */
  readonly threads?: ProverOptions['threads'];
  readonly engine?: ProverOptions['engine'];
  /** Jobs that may wait. Default 64. */
  readonly queue?: number;
}

export interface JobOptions {
  readonly signal?: AbortSignal;
}

export interface ProveOptions extends JobOptions {
  /** Called when a stage of this job begins; again from the first one when its process crashed. */
  readonly onStage?: (stage: ProofStage) => void;
}

/** Proves and verifies in processes of its own, in the order of the calls. */
export interface ProofPool {
  /**
   * @throws GrailError WITNESS_FAILED when the input does not satisfy the circuit; PROVER_FAILED when the process
   *   crashed twice on this job; TOO_MANY_REQUESTS when the queue is full; STOPPED when aborted or closed.
   */
  prove(input: CircuitInput, options?: ProveOptions): Promise<ProofResult>;
  /** @throws GrailError as `ProofVerifier.verify`, and PROVER_FAILED, TOO_MANY_REQUESTS, STOPPED as `prove` */
  verify(publicSignals: readonly bigint[], proof: Uint8Array, options?: JobOptions): Promise<void>;
  /** Loads code and keys now instead of with the first job. */
  warm(): void;
  /** Process ids of the workers that run, for tests and metrics. */
  readonly pids: readonly number[];
  /** Ends all processes, running jobs with STOPPED, and resolves when they are gone. */
  close(): Promise<void>;
}

type JobRequest =
  | { readonly type: 'prove'; readonly input: CircuitInput }
  | { readonly type: 'verify'; readonly publicSignals: readonly bigint[]; readonly proof: Uint8Array };

interface Job {
  readonly request: JobRequest;
  readonly onStage: (stage: ProofStage) => void;
  readonly resolve: (result: ProofResult | null) => void;
  readonly reject: (error: GrailError) => void;
  crashes: number;
}

interface Worker {
  readonly child: ChildProcess;
  readonly closed: Promise<void>;
  job: { readonly id: number; readonly job: Job } | undefined;
  stderr: string;
}

/** How often a job may take its process down before the job is given up: the second crash is no accident. */
const MAX_CRASHES = 2;
/** What is kept of a worker's stderr for the error message: V8's out-of-memory report is at its beginning. */
const STDERR_CHARS = 2000;

export function createProofPool(options: ProofPoolOptions): ProofPool {
  const { size, artefacts, threads, engine, queue: capacity = 64 } = options;
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`a pool of ${size} processes`);
  const waiting: Job[] = [];
  const workers = new Set<Worker>();
  let nextId = 0;
  let closing: Promise<void> | undefined;

  const stopped = (why: string) => new GrailError('STOPPED', `the proof pool: ${why}`);

  function start(): Worker {
    // ffjavascript crashes in worker_threads, so workers are processes.
    const child = forkModule(import.meta.url, 'pool-worker');
    const worker: Worker = {
      child,
      closed: new Promise((resolve) => {
        child.once('close', () => resolve());
      }),
      job: undefined,
      stderr: '',
    };
    workers.add(worker);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      if (worker.stderr.length < STDERR_CHARS) worker.stderr += text.slice(0, STDERR_CHARS);
    });
    child.stdout!.resume();
    child.on('message', (reply: WorkerReply) => onReply(worker, reply));
    child.once('error', (error) => {
      worker.stderr += String(error);
    });
    // `exit` comes before `close`; a process that could not be started has only `close` or `error`.
    child.once('close', (code, signal) => onEnd(worker, signal ?? `code ${code}`));
    const setup: WorkerSetup = {
      type: 'setup',
      files: { wasm: artefacts.wasm, zkey: artefacts.zkey },
      verificationKey: artefacts.verificationKey,
      prover: { ...(threads && { threads }), ...(engine && { engine }) },
    };
    send(child, setup);
    return worker;
  }

  const isFree = ({ job, child }: Worker) => job === undefined && child.connected && !child.killed;

  function send(child: ChildProcess, message: WorkerMessage): void {
    // A failed send means that the process ended, and its end is handled in one place.
    child.send(message, () => {});
  }

  function onReply(worker: Worker, reply: WorkerReply): void {
    if (worker.job?.id !== reply.id) return;
    const { job } = worker.job;
    if (reply.type === 'stage') {
      job.onStage(reply.stage);
      return;
    }
    worker.job = undefined;
    if (reply.type === 'done') job.resolve(reply.result);
    else job.reject(new GrailError(reply.error.code, reply.error.message, reply.error.details));
    schedule();
  }

  function onEnd(worker: Worker, how: string): void {
    workers.delete(worker);
    const job = worker.job?.job;
    worker.job = undefined;
    if (job && closing) job.reject(stopped('it was closed'));
    else if (job && ++job.crashes < MAX_CRASHES) waiting.unshift(job);
    else if (job) {
      const stderr = worker.stderr.trim();
      job.reject(
        new GrailError(
          'PROVER_FAILED',
          `the proving process ended with ${how}, ${MAX_CRASHES} times for this job: ${stderr || 'it said nothing'}; check the memory of this machine`,
          { ended: how, stderr },
        ),
      );
    }
    if (!closing) schedule();
  }

  function schedule(): void {
    while (waiting.length > 0) {
      let worker = [...workers].find(isFree);
      if (worker === undefined) {
        if (workers.size >= size) return;
        worker = start();
      }
      const job = waiting.shift()!;
      const id = nextId++;
      worker.job = { id, job };
      send(worker.child, { ...job.request, id });
    }
  }

  function enqueue(
    request: JobRequest,
    { signal, onStage = () => {} }: ProveOptions,
  ): Promise<ProofResult | null> {
    return new Promise((resolve, reject) => {
      if (closing) return reject(stopped('it was closed'));
      if (signal?.aborted) return reject(stopped('the job was aborted'));
      if (waiting.length >= capacity) {
        return reject(
          new GrailError('TOO_MANY_REQUESTS', `the proof pool: ${capacity} jobs wait already; try later`, {
            capacity,
          }),
        );
      }
      const settle = () => signal?.removeEventListener('abort', abort);
      const job: Job = {
        request,
        onStage,
        crashes: 0,
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      function abort(): void {
        const index = waiting.indexOf(job);
        if (index >= 0) waiting.splice(index, 1);
        for (const worker of workers) {
          if (worker.job?.job !== job) continue;
          // Proving cannot be interrupted, so the process goes and the next job gets a new one.
          worker.job = undefined;
          worker.child.kill('SIGKILL');
        }
        job.reject(stopped('the job was aborted'));
      }
      signal?.addEventListener('abort', abort, { once: true });
      waiting.push(job);
      schedule();
    });
  }

  return {
    async prove(input, options = {}) {
      return (await enqueue({ type: 'prove', input }, options)) as ProofResult;
    },
    async verify(publicSignals, proof, options = {}) {
      await enqueue({ type: 'verify', publicSignals, proof }, options);
    },
    warm() {
      while (!closing && workers.size < size) start();
      for (const worker of workers) if (isFree(worker)) send(worker.child, { type: 'warm' });
    },
    get pids() {
      return [...workers].map(({ child }) => child.pid!).filter((pid) => pid !== undefined);
    },
    close() {
      closing ??= (async () => {
        for (const job of waiting.splice(0)) job.reject(stopped('it was closed'));
        const ended = [...workers].map(({ child, closed }) => {
          child.kill('SIGKILL');
          return closed;
        });
        await Promise.all(ended);
      })();
      return closing;
    },
  };
}
