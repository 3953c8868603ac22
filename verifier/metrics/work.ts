import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type Bus, JOB_KINDS, type JobKind } from '../bus/bus.ts';

/** What a window needs computed. */
export type WorkStep = 'replay' | 'proofs' | 'train' | 'evaluate' | 'publish';

/** What happens to a job: at who wants its result (requested, answered, dead), and at who computes it. */
const JOB_EVENTS = ['requested', 'answered', 'dead', 'started', 'retried', 'done', 'failed'] as const;
export type JobEvent = (typeof JOB_EVENTS)[number];

const WORK_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** How long /metrics waits for a bus that may be away. */
const DEPTH_TIMEOUT_MS = 1_000;

/** Replay, training, proofs: in a window, and as jobs. */
export function workMetrics(registry: Registry) {
  const registers = [registry];
  const windowWork = new Histogram({
    name: 'grail_window_work_duration_seconds',
    help: 'Time from when a step of a window’s work could begin until its result was there, waiting included.',
    labelNames: ['step'],
    buckets: WORK_BUCKETS,
    registers,
  });
  const proofs = new Counter({
    name: 'grail_proofs_checked_total',
    help: 'Proofs that were checked, by result: valid or invalid.',
    labelNames: ['result'],
    registers,
  });
  const jobs = new Counter({
    name: 'grail_jobs_total',
    help: 'Jobs by kind and event: requested, answered, dead where results are wanted; started, retried, done, failed where they are computed.',
    labelNames: ['kind', 'event'],
    registers,
  });
  const running = new Gauge({
    name: 'grail_running_jobs',
    help: 'Jobs that this process computes now.',
    labelNames: ['kind'],
    registers,
  });
  const duration = new Histogram({
    name: 'grail_job_duration_seconds',
    help: 'Time that a job took to compute, failed ones included.',
    labelNames: ['kind'],
    buckets: WORK_BUCKETS,
    registers,
  });
  const requests = new Histogram({
    name: 'grail_bus_request_duration_seconds',
    help: 'Time of requests to other processes, by outcome: answered, or the code of the failure.',
    labelNames: ['outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });

  let bus: Bus | null = null;
  new Gauge({
    name: 'grail_bus_reachable',
    help: '1 while the bus works, 0 while it is in trouble.',
    registers,
    collect() {
      if (bus === null) this.remove();
      else this.set(bus.trouble() === null ? 1 : 0);
    },
  });
  new Gauge({
    name: 'grail_queued_jobs',
    help: 'Jobs that wait or are computed anywhere; the same in every process, so take the maximum.',
    labelNames: ['kind'],
    registers,
    async collect() {
      this.reset();
      const depths = await Promise.all(JOB_KINDS.map((kind) => depthOf(bus, kind)));
      for (const [i, kind] of JOB_KINDS.entries()) if (depths[i] !== null) this.set({ kind }, depths[i]!);
    },
  });

  return {
    windowWork(step: WorkStep, seconds: number): void {
      windowWork.observe({ step }, seconds);
    },
    proofsChecked(valid: number, invalid: number): void {
      proofs.inc({ result: 'valid' }, valid);
      proofs.inc({ result: 'invalid' }, invalid);
    },
    job(kind: JobKind, event: JobEvent): void {
      jobs.inc({ kind, event });
    },
    /** A job begins; the function given back ends it. */
    computing(kind: JobKind): () => void {
      const end = duration.startTimer({ kind });
      running.inc({ kind });
      return () => {
        running.dec({ kind });
        end();
      };
    },
    busRequest(outcome: string, seconds: number): void {
      requests.observe({ outcome }, seconds);
    },
    watchBus(watched: Bus): void {
      bus = watched;
      // A counter that begins with 1 would show no increase.
      for (const kind of JOB_KINDS) for (const event of JOB_EVENTS) jobs.inc({ kind, event }, 0);
    },
  };
}

export type WorkMetrics = ReturnType<typeof workMetrics>;

/** Jobs of a kind, or null where the bus does not say in time. */
async function depthOf(bus: Bus | null, kind: JobKind): Promise<number | null> {
  if (bus === null || bus.trouble() !== null) return null;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), DEPTH_TIMEOUT_MS);
  });
  const depth = bus.jobs.depth(kind).catch(() => null);
  return Promise.race([depth, timeout]).finally(() => clearTimeout(timer));
}
