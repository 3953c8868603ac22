import type { ZodType } from 'zod';
import { CODES, type Code } from '../src/protocol/codes.ts';
import { type Details, GrailError } from '../src/protocol/errors.ts';
import { errorSchema } from '../src/protocol/wire.ts';

/** Largest reply that is read: an anchor of the largest policy, with room. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024;

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** JSON to be posted; without it the request is a GET. */
  readonly body?: string | undefined;
}

/**
 * A verifier's address as a URL that paths can be resolved against.
 * @throws GrailError USAGE
 */
export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new GrailError('USAGE', `the verifier's address must be an http or https URL, not '${text}'`);
  }
  url.search = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/**
 * One request to a verifier.
 * @throws GrailError the code of its refusal; UNREACHABLE, STOPPED, TOO_LARGE
 */
export async function request(base: URL, path: string, options: RequestOptions): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(new URL(path, base), {
      signal,
      ...(options.body === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: options.body }),
    });
    bytes = await readAll(response);
  } catch (error) {
    if (error instanceof GrailError) throw error;
    if (options.signal?.aborted)
      throw new GrailError('STOPPED', 'the request was given up', {}, { cause: error });
    const why = timeout.aborted ? `did not answer within ${options.timeoutMs} ms` : 'cannot be reached';
    throw new GrailError('UNREACHABLE', `the verifier at ${base.href} ${why}`, { path }, { cause: error });
  }
  if (response.ok) return bytes;
  throw refusal(base, path, response, bytes);
}

async function readAll(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_REPLY_BYTES) throw new GrailError('TOO_LARGE', 'the reply of the verifier is too large');
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** The error that a reply carries, with its own code; one by its status for what a proxy answers. */
function refusal(base: URL, path: string, { status, headers }: Response, bytes: Uint8Array): GrailError {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    value = null;
  }
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const wait: Details = Number.isFinite(seconds) ? { retryAfterSeconds: seconds } : {};
  const parsed = errorSchema.safeParse((value as { error?: unknown } | null)?.error);
  if (parsed.success) return remoteError({ ...parsed.data, details: { ...wait, ...parsed.data.details } });
  if (status === 429) {
    return new GrailError('TOO_MANY_REQUESTS', `${base.href} answers that there are too many requests`, wait);
  }
  // A proxy in front of a verifier that is down answers 502 to 504 in its own words.
  if (status >= 502) {
    const message = `the verifier at ${base.href} is not up`;
    return new GrailError('UNREACHABLE', message, { path, status, ...wait });
  }
  return new GrailError(
    'INTERNAL',
    `${base.href}${path} answered ${status} without an error of this protocol`,
    { status },
  );
}

/** An error that came over the wire, as the error that was thrown there. */
export function remoteError(error: {
  readonly code: string;
  readonly message: string;
  readonly details: Details;
}): GrailError {
  const { code, message, details } = error;
  if (isCode(code)) return new GrailError(code, message, details);
  return new GrailError('INTERNAL', `the verifier answered ${code}: ${message}`, { ...details, code });
}

function isCode(code: string): code is Code {
  return Object.hasOwn(CODES, code);
}

/**
 * A reply's JSON as what it must be.
 * @throws GrailError BAD_REQUEST
 */
export function parseReply<T>(schema: ZodType<T>, bytes: Uint8Array): T {
  const result = schema.safeParse(parseJson(bytes));
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GrailError(
    'BAD_REQUEST',
    `the verifier's reply is malformed: ${issue.path.join('.') || 'document'}: ${issue.message}`,
    { path: issue.path.map(String) },
  );
}

/** @throws GrailError BAD_REQUEST */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const message = 'the verifier answered with something that is not JSON';
    throw new GrailError('BAD_REQUEST', message, {}, { cause: error });
  }
}

/** The address of the event socket. */
export function eventsUrl(url: URL): URL {
  const socket = new URL('v1/events', url);
  socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return socket;
}
