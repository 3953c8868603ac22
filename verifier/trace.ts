import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { Trace } from './bus/bus.ts';

/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): one trace id for a message in the log lines of every process
 * that it went through. It decides nothing, and whoever sends a message chooses its trace id.
 */
export interface Span {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  /** Whether the caller records the trace. */
  readonly sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]{0,200})?$/;

/** The span that a `traceparent` names; null for what is no valid one. Fields that later versions add are ignored. */
export function parseTraceparent(header: unknown): Span | null {
  if (typeof header !== 'string') return null;
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(header) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return null;
  return { traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & 1) === 1 };
}

/** A span as `traceparent`, version 00. */
export function formatTraceparent({ traceId, spanId, sampled }: Span): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** A span of the trace that `parent` belongs to, or of a new trace. */
export function childSpan(parent: Span | null): Span {
  return {
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    sampled: parent?.sampled ?? false,
  };
}

const spans = new AsyncLocalStorage<Span>();

/** Does work in a new span, with everything that it awaits: a child of `traceparent` where that is valid. */
export function withTrace<T>(traceparent: unknown, work: () => T): T {
  return spans.run(childSpan(parseTraceparent(traceparent)), work);
}

/** The span of the work that is being done. */
export function currentSpan(): Span | null {
  return spans.getStore() ?? null;
}

/** The `traceparent` of the work that is being done, for what it asks of other processes. */
export function currentTrace(): Trace {
  const span = currentSpan();
  return span === null ? null : formatTraceparent(span);
}
