import { GrailError } from '../src/protocol/errors.ts';
import type { HealthChecks, Readiness } from './health.ts';
import type { VerifierMetrics } from './metrics/index.ts';
import type { Route } from './routes.ts';

/** What an operator's machines ask every process of a verifier. */
export interface OperatorContext {
  readonly health: HealthChecks;
  readonly metrics: VerifierMetrics;
}

export const OPERATOR_ROUTES: readonly Route<OperatorContext>[] = [
  {
    method: 'get',
    path: '/healthz',
    summary: 'Whether the process can do its work at all; where not, start it again',
    answer: 'Health',
    codes: ['NOT_READY'],
    handle: ({ health }) => {
      const fatal = health.fatal();
      if (fatal !== null) throw notReady('this process cannot go on: start it again', health.readiness());
      return { kind: 'json', value: { ok: true } };
    },
  },
  {
    method: 'get',
    path: '/readyz',
    summary: 'Whether the process can serve now, with what was checked',
    answer: 'Ready',
    codes: ['NOT_READY'],
    handle: ({ health }) => {
      const { ready, checks } = health.readiness();
      if (!ready) throw notReady('this process cannot serve now: ask another one, or later', { checks });
      return { kind: 'json', value: { ready: true, checks } };
    },
  },
  {
    method: 'get',
    path: '/metrics',
    summary: 'Metrics in Prometheus’s text format',
    answer: 'metrics',
    codes: [],
    handle: async ({ metrics }) => ({ kind: 'metrics', text: await metrics.text() }),
  },
];

function notReady(message: string, { checks }: Pick<Readiness, 'checks'>): GrailError {
  return new GrailError('NOT_READY', message, { checks: checks.map((check) => ({ ...check })) });
}
