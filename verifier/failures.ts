import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { CODES, type Code } from '../src/protocol/codes.ts';
import { type Details, GrailError } from '../src/protocol/errors.ts';
import type { GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';

/** What a client is told of an error: `{code, message, details}` under the code's own HTTP status. */
export interface Failure {
  readonly status: number;
  readonly error: { readonly code: Code; readonly message: string; readonly details: Details };
}

/** Characters of an error's message; a parser may quote its whole input. */
const MESSAGE_CHARACTERS = 500;

/** Characters of an error's details, as JSON. */
const DETAILS_CHARACTERS = 4_096;

/** Details of our own faults that help a client; anything else of them, file names above all, stays in the log. */
const OPEN_DETAILS = ['index', 'hash', 'treeSize', 'window'];

/** Codes of status 500 and above that are not faults of this machine. */
const OPEN_CODES: readonly Code[] = ['STOPPED', 'UNREACHABLE', 'NOT_READY'];

/**
 * A GrailError as it is, a library's error by its kind, anything else as INTERNAL. Faults of this machine are logged
 * whole and told in the code's own words.
 */
export function failure(error: unknown, log: Log): Failure {
  const known = error instanceof GrailError ? error : translated(error);
  const { status, doc } = CODES[known.code];
  const { code, details } = known;
  if (status < 500 || OPEN_CODES.includes(code)) {
    const small = JSON.stringify(details).length <= DETAILS_CHARACTERS;
    return { status, error: { code, message: shortened(known.message), details: small ? details : {} } };
  }
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error('a request failed', { code, error: cause, ...details });
  const open = Object.entries(details).filter(([name]) => OPEN_DETAILS.includes(name));
  return { status, error: { code, message: doc, details: Object.fromEntries(open) } };
}

function shortened(message: string): string {
  return message.length <= MESSAGE_CHARACTERS ? message : `${message.slice(0, MESSAGE_CHARACTERS)}…`;
}

/** Errors of express's router (a path that is no UTF-8) carry a status. */
function translated(error: unknown): GrailError {
  const { status } = (error ?? {}) as { status?: unknown };
  const options = { cause: error };
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new GrailError('BAD_REQUEST', 'the request cannot be read', {}, options);
  }
  return new GrailError('INTERNAL', 'an unexpected error', {}, options);
}

/** A failure of the connection itself, before there is a request. */
export function connectionFailure(error: Error & { code?: string }): GrailError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new GrailError('TOO_LARGE', 'the request line and headers are too large');
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new GrailError('TIMEOUT', 'the request did not arrive in time');
  }
  return new GrailError('BAD_REQUEST', 'this is not an HTTP request');
}

/**
 * The refusal of somebody who asks too often or for too much at once. `Retry-After` is its `retryAfterSeconds`, and
 * `limit` the bound that was reached.
 */
export function tooMany(limit: keyof GatewayLimits, what: string, waitMs: number): GrailError {
  return new GrailError('TOO_MANY_REQUESTS', what, {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
    limit,
  });
}

/** The value of Retry-After for an error, or undefined. A rule's own TOO_MANY_REQUESTS does not say how long. */
export function retryAfter({ code, details }: Pick<GrailError, 'code' | 'details'>): string | undefined {
  const { retryAfterSeconds } = details;
  if (typeof retryAfterSeconds === 'number') return String(retryAfterSeconds);
  return code === 'TOO_MANY_REQUESTS' ? '1' : undefined;
}

/** Answers on a bare connection, and ends it. */
export function answerRaw(socket: Duplex, error: GrailError): void {
  socket.once('error', () => socket.destroy());
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status } = CODES[error.code];
  const body = JSON.stringify({ error: error.toJSON() });
  const wait = retryAfter(error);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(wait === undefined ? [] : [`Retry-After: ${wait}`]),
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
