import type { StoredMsg } from '@nats-io/jetstream';
import { headers, type Msg, type MsgHdrs } from '@nats-io/transport-node';
import { z } from 'zod';
import { parseTraceparent } from '../trace.ts';
import type { DeadLetter, Trace } from './bus.ts';

const TRACE = 'traceparent';
const ERROR = 'grail-error';
const LETTER = 'grail-dead-letter';

const letterSchema = z.strictObject({
  attempts: z.int().min(0),
  code: z.string().max(64),
  message: z.string().max(4_096),
});

/** What was sent, or was stored. */
type Received = Pick<Msg, 'headers'> | Pick<StoredMsg, 'header'>;

/** The options of a message that carries a trace, where that is well-formed. */
export function withTrace(trace: Trace | undefined): { headers?: MsgHdrs } {
  return trace && parseTraceparent(trace) !== null ? { headers: single(TRACE, trace) } : {};
}

/** The trace that came with a message; null for one that is not well-formed. */
export function traceOf(message: Received): Trace {
  const trace = read(message, TRACE);
  return parseTraceparent(trace) === null ? null : trace;
}

/** The options of an answer that is an error, as JSON. */
export function withError(error: string): { headers: MsgHdrs } {
  return { headers: single(ERROR, error) };
}

/** The error that an answer is, as JSON, or null. */
export const errorOf = (message: Received): string | null => read(message, ERROR);

type End = Pick<DeadLetter, 'attempts' | 'error'>;

export function withEnd({ attempts, error }: End): { headers: MsgHdrs } {
  return { headers: single(LETTER, JSON.stringify({ attempts, ...error })) };
}

/** How a dead letter's job ended. */
export function endOf(message: Received): End {
  try {
    const { attempts, code, message: text } = letterSchema.parse(JSON.parse(read(message, LETTER) ?? ''));
    return { attempts, error: { code, message: text } };
  } catch {
    return { attempts: 0, error: { code: 'INTERNAL', message: 'the dead letter says not why' } };
  }
}

function single(name: string, value: string): MsgHdrs {
  const all = headers();
  all.set(name, value);
  return all;
}

function read(message: Received, name: string): string | null {
  // Headers are parsed when they are read, and what a stranger sent may be none.
  try {
    const value = ('header' in message ? message.header : message.headers)?.get(name) ?? '';
    return value === '' ? null : value;
  } catch {
    return null;
  }
}
