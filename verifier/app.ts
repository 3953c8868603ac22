import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { z } from 'zod';
import { GrailError } from '../src/protocol/errors.ts';
import { readBody } from './body.ts';
import { failure, retryAfter, tooMany } from './failures.ts';
import { parseJson } from './json-body.ts';
import type { Log } from './log.ts';
import { openApiDocument } from './openapi.ts';
import { peerName, TokenBuckets } from './rates.ts';
import { type Answer, ROUTES, type Route, type RouteContext } from './routes.ts';

export interface AppOptions extends Omit<RouteContext, 'openapi'> {
  readonly log: Log;
  readonly now: () => number;
  /** Requests by address. */
  readonly requests: TokenBuckets;
}

/** The express application: every route of ROUTES, every other path NOT_FOUND, every failure coded. */
export function createApp(options: AppOptions): Express {
  const { limits, now } = options;
  let document: unknown = null;
  const openapi = () => {
    document ??= openApiDocument();
    return document;
  };
  const context: RouteContext = { ...options, openapi };
  const messages = new TokenBuckets(
    { perSecond: limits.messagesPerSecond, burst: limits.messagesBurst },
    limits.rememberedAddresses,
    now,
  );
  const blobBytes = new BytesInFlight(limits.blobBytesInFlight);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use((request, response, next) => {
    response.set('Access-Control-Allow-Origin', '*');
    response.set('X-Content-Type-Options', 'nosniff');
    takeToken(options.requests, request, 'requests');
    if (Buffer.byteLength(request.url) > limits.urlBytes) {
      throw new GrailError('TOO_LARGE', `a request's target has at most ${limits.urlBytes} bytes`);
    }
    next();
  });
  for (const route of ROUTES) {
    const mounted = app.route(route.path);
    const answer = async (request: Request, response: Response) => {
      const input = {
        params: parsed(route.params, request.params, 'path'),
        query: parsed(route.query, queryOf(request), 'query'),
        body:
          route.body === undefined
            ? null
            : parseJson(await readBody(request, limits.bodyBytes), limits.jsonDepth),
      };
      send(response, await route.handle(context, input), blobBytes);
    };
    if (route.method === 'get') mounted.get(answer);
    else mounted.post(admitMessage(messages), answer);
    mounted.all((_request, response) => refuseMethod(route, response));
  }
  app.use((request) => {
    if (request.path === '/v1/events') {
      throw new GrailError('BAD_REQUEST', '/v1/events is a WebSocket: connect with ws:// or wss://');
    }
    throw new GrailError('NOT_FOUND', 'there is nothing at this path: see /openapi.json');
  });
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    sendFailure(response, error, options.log);
  });
  return app;
}

/** What must hold before a message's body is read. */
function admitMessage(messages: TokenBuckets) {
  return (request: Request, _response: Response, next: NextFunction) => {
    takeToken(messages, request, 'messages');
    const type = request.headers['content-type'] ?? '';
    if (!/^application\/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*$/i.test(type)) {
      throw new GrailError('BAD_REQUEST', 'a message is sent as Content-Type: application/json', {
        expected: 'application/json',
      });
    }
    next();
  };
}

function takeToken(buckets: TokenBuckets, request: Request, what: string): void {
  const waitMs = buckets.take(peerName(request.socket.remoteAddress));
  if (waitMs > 0) throw tooMany(`too many ${what} of this address`, waitMs);
}

function refuseMethod(route: Route, response: Response): never {
  const allowed = route.method === 'get' ? 'GET, HEAD' : 'POST';
  response.set('Allow', allowed);
  throw new GrailError('BAD_REQUEST', `this path takes ${allowed}`, { expected: allowed });
}

/** A query as an object without a prototype. @throws GrailError BAD_REQUEST when a key repeats */
function queryOf(request: Request): Record<string, string> {
  const at = request.url.indexOf('?');
  const query: Record<string, string> = Object.create(null);
  if (at < 0) return query;
  for (const [name, value] of new URLSearchParams(request.url.slice(at + 1))) {
    if (name in query) throw new GrailError('BAD_REQUEST', 'a query parameter repeats');
    query[name] = value;
  }
  return query;
}

/** Parses text parameters: what has the canonical form of a number is one. @throws GrailError BAD_REQUEST */
function parsed(schema: z.ZodObject | undefined, values: Record<string, unknown>, where: string): unknown {
  const entries = Object.entries(values);
  if (schema === undefined) {
    if (entries.length === 0) return null;
    throw new GrailError('BAD_REQUEST', `${where}: no parameters are taken here`);
  }
  const result = schema.safeParse(Object.fromEntries(entries.map(([name, value]) => [name, numeric(value)])));
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GrailError('BAD_REQUEST', `${[where, ...issue.path].join('.')}: ${issue.message}`);
}

function numeric(value: unknown): unknown {
  return typeof value === 'string' && /^(?:0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : value;
}

/** Bytes that are being sent from memory. */
class BytesInFlight {
  readonly #most: number;
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws GrailError TOO_MANY_REQUESTS; a single answer always fits */
  hold(bytes: number, response: Response): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#most)
      throw tooMany('too many blobs are being sent', 1_000);
    this.#bytes += bytes;
    response.once('close', () => {
      this.#bytes -= bytes;
    });
  }
}

function send(response: Response, answer: Answer, blobBytes: BytesInFlight): void {
  if (answer.kind === 'blob') {
    blobBytes.hold(answer.bytes.length, response);
    response.set('Content-Type', 'application/octet-stream');
    response.set('Cache-Control', 'public, max-age=31536000, immutable');
    response.set('ETag', `"${answer.hash}"`);
    const { buffer, byteOffset, byteLength } = answer.bytes;
    response.end(Buffer.from(buffer, byteOffset, byteLength));
    return;
  }
  response.set('Content-Type', 'application/json; charset=utf-8');
  response.set('Cache-Control', 'no-store');
  response.end(answer.kind === 'json' ? JSON.stringify(answer.value) : answer.json);
}

function sendFailure(response: Response, error: unknown, log: Log): void {
  if (response.headersSent || response.socket?.destroyed) {
    response.destroy();
    return;
  }
  const { status, error: told } = failure(error, log);
  const wait = retryAfter(told.details);
  if (wait !== undefined) response.set('Retry-After', wait);
  response.status(status).set('Content-Type', 'application/json; charset=utf-8');
  response.set('Cache-Control', 'no-store');
  response.end(JSON.stringify({ error: told }));
}
