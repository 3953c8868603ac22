import { GrailError } from '../../src/protocol/errors.ts';
import type { Bus, Job, JobQueue } from '../bus/bus.ts';
import { currentTrace, withTrace } from '../trace.ts';
import { codeOf } from './ledger.ts';
import type { WorkMetrics } from './work.ts';

/**
 * A bus whose requests and jobs are counted and timed, and that carries the trace of the work that is being done: a
 * request or job without a `trace` gets it, and handlers run in a span of the trace that came.
 */
export function observeBus(bus: Bus, metrics: WorkMetrics): Bus {
  metrics.watchBus(bus);
  return {
    name: bus.name,
    publish: (subject, bytes) => bus.publish(subject, bytes),
    subscribe: (subject, listener) => bus.subscribe(subject, listener),
    async request(subject, bytes, options) {
      const startMs = performance.now();
      const seconds = () => (performance.now() - startMs) / 1000;
      try {
        const answer = await bus.request(subject, bytes, { trace: currentTrace(), ...options });
        metrics.busRequest('answered', seconds());
        return answer;
      } catch (error) {
        metrics.busRequest(codeOf(error), seconds());
        throw error;
      }
    },
    serve: (subject, handler, options) =>
      bus.serve(
        subject,
        (bytes, context) => withTrace(context.trace, () => handler(bytes, context)),
        options,
      ),
    jobs: observeJobs(bus.jobs, metrics),
    trouble: () => bus.trouble(),
    close: () => bus.close(),
  };
}

function observeJobs(jobs: JobQueue, metrics: WorkMetrics): JobQueue {
  return {
    async run(job: Job, options) {
      metrics.job(job.kind, 'requested');
      try {
        const result = await jobs.run({ trace: currentTrace(), ...job }, options);
        metrics.job(job.kind, 'answered');
        return result;
      } catch (error) {
        if (error instanceof GrailError && error.code === 'JOB_FAILED') metrics.job(job.kind, 'dead');
        throw error;
      }
    },
    work: (kind, handler, options) =>
      jobs.work(
        kind,
        (payload, context) =>
          withTrace(context.trace, async () => {
            metrics.job(kind, context.attempt === 1 ? 'started' : 'retried');
            const end = metrics.computing(kind);
            try {
              const result = await handler(payload, context);
              metrics.job(kind, 'done');
              return result;
            } catch (error) {
              metrics.job(kind, 'failed');
              throw error;
            } finally {
              end();
            }
          }),
        options,
      ),
    depth: (kind) => jobs.depth(kind),
    dead: (kind, limit) => jobs.dead(kind, limit),
  };
}
