import type { JobKind } from './bus.ts';

/** Streams and subjects of one network: nothing else on the server begins with them. */
export interface NatsNames {
  readonly told: (subject: string) => string;
  readonly asked: (subject: string) => string;
  readonly jobStream: (kind: JobKind) => string;
  readonly job: (kind: JobKind, id: string) => string;
  /** Where a job's end is told: its `result`, or that it is `dead`. */
  readonly end: (kind: JobKind | '*', id: string, end: 'result' | 'dead' | '*') => string;
  readonly resultStream: string;
  readonly deadStream: string;
}

/** Name of the consumer from which all workers of a kind take. */
export const WORKERS = 'workers';

/** @param namespace 16 hex digits */
export function natsNames(namespace: string): NatsNames {
  const root = `grail.${namespace}`;
  const stream = `grail-${namespace}`;
  return {
    told: (subject) => `${root}.told.${subject}`,
    asked: (subject) => `${root}.asked.${subject}`,
    jobStream: (kind) => `${stream}-${kind}`,
    job: (kind, id) => `${root}.jobs.${kind}.${id}`,
    end: (kind, id, end) => `${root}.ends.${kind}.${id}.${end}`,
    resultStream: `${stream}-results`,
    deadStream: `${stream}-dead`,
  };
}
