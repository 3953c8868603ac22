import type { ServerResponse } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { z } from 'zod';
import { GrailError } from '../src/protocol/errors.ts';
import { Answers } from './answers.ts';
import { Bodies } from './body.ts';
import { failure, retryAfter, tooMany } from './failures.ts';
import { roomCheck } from './health.ts';
import { parseJson } from './json-body.ts';
import type { GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';
import { MessageGate } from './message-gate.ts';
import { openApiDocument } from './openapi.ts';
import { peerName, TokenBuckets } from './rates.ts';
import { ROUTES, type Route, type RouteContext } from './routes.ts';
import { currentTrace, withTrace } from './trace.ts';
import { Turns } from './turns.ts';

export interface AppOptions extends Omit<RouteContext, 'openapi' | 'submit'> {
  readonly log: Log;
  readonly now: () => number;
  /** Requests by address. */
  readonly requests: TokenBuckets;
  /** Bytes of pages, blobs and backlogs by address. */
  readonly answerBytes: TokenBuckets;
}

/** What routes answer with that takes reading up to megabytes. */
const LARGE_ANSWERS = ['Entries', 'blob'];

/** The express application: every route of ROUTES, every other path NOT_FOUND, every failure coded. */
export function createApp(options: AppOptions): Express {
  const { limits, now, metrics } = options;
  let document: unknown = null;
  const openapi = () => {
    document ??= openApiDocument();
    return document;
  };
  const messages = new TokenBuckets(
    { perSecond: limits.messagesPerSecond, burst: limits.messagesBurst },
    limits.rememberedAddresses,
    now,
  );
  const gate = new MessageGate({ ...options, messages });
  const bodies = new Bodies(limits, now);
  const answers = new Answers(limits, options.answerBytes);
  const posting = new Turns({
    atOnce: limits.messagesInFlight,
    waiting: limits.messagesWaiting,
    limit: 'messagesWaiting',
  });
  const reading = new Turns({
    atOnce: limits.readsInFlight,
    waiting: limits.readsWaiting,
    limit: 'readsWaiting',
  });
  const queues = {
    messagesInFlight: () => posting.running,
    messagesWaiting: () => posting.waiting,
    readsInFlight: () => reading.running,
    readsWaiting: () => reading.waiting,
  };
  for (const [name, depth] of Object.entries(queues)) {
    metrics.queues.watchItems(name, { depth, limit: limits[name as keyof typeof queues] });
  }
  metrics.queues.watchBytes('bodyBytesInFlight', {
    depth: () => bodies.used,
    limit: limits.bodyBytesInFlight,
  });
  metrics.queues.watchBytes('answerBytesInFlight', {
    depth: () => answers.used,
    limit: limits.answerBytesInFlight,
  });
  options.health.register('messages', () => roomCheck(posting.waiting, limits.messagesWaiting));
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use((request, response, next) => {
    response.locals.nameRoute = metrics.http.observe(request, response);
    withTrace(request.headers.traceparent, () => {
      response.set('traceresponse', currentTrace()!);
      next();
    });
  });
  app.use((request, response, next) => {
    response.set('Access-Control-Allow-Origin', '*');
    response.set('X-Content-Type-Options', 'nosniff');
    takeToken(options.requests, request, 'requestsPerSecond', 'too many requests of this address');
    if (Buffer.byteLength(request.url) > limits.urlBytes) {
      throw new GrailError('TOO_LARGE', `a request's target has at most ${limits.urlBytes} bytes`);
    }
    next();
  });
  for (const route of ROUTES) {
    const mounted = app.route(route.path);
    mounted.all((_request, response, next) => {
      response.locals.nameRoute(route.path);
      next();
    });
    const answer = async (request: Request, response: Response) => {
      const address = addressOf(request);
      const context: RouteContext = {
        ...options,
        openapi,
        submit: (message) => gate.submit(address, message),
      };
      const input = {
        params: parsed(route.params, request.params, 'path'),
        query: parsed(route.query, queryOf(request), 'query'),
      };
      const handle = (body: unknown) => {
        // Nobody waits for it any more.
        if (response.destroyed) throw new GrailError('STOPPED', 'the sender hung up');
        return route.handle(context, { ...input, body });
      };
      if (route.body !== undefined) {
        const body = await bodies.read(address, request, response);
        const answered = await posting.run(address, () => handle(parseJson(body, limits.jsonDepth)));
        answers.send(address, response, answered);
      } else if (LARGE_ANSWERS.includes(route.answer)) {
        answers.admit(address);
        answers.send(address, response, await reading.run(address, () => handle(null)));
      } else {
        answers.send(address, response, await handle(null));
      }
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
    sendFailure(response, error, options);
  });
  return app;
}

/** What must hold before a message's body is read. */
function admitMessage(messages: TokenBuckets) {
  return (request: Request, _response: Response, next: NextFunction) => {
    takeToken(messages, request, 'messagesPerSecond', 'too many messages of this address');
    const type = request.headers['content-type'] ?? '';
    if (!/^application\/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*$/i.test(type)) {
      throw new GrailError('BAD_REQUEST', 'a message is sent as Content-Type: application/json', {
        expected: 'application/json',
      });
    }
    next();
  };
}

function addressOf(request: Request): string {
  return peerName(request.socket.remoteAddress);
}

function takeToken(buckets: TokenBuckets, request: Request, limit: keyof GatewayLimits, what: string): void {
  const waitMs = buckets.take(addressOf(request));
  if (waitMs > 0) throw tooMany(limit, what, waitMs);
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

/** Answers a request that failed. */
export function sendFailure(
  response: ServerResponse,
  error: unknown,
  { log, metrics }: Pick<AppOptions, 'log' | 'metrics'>,
): void {
  if (response.headersSent || response.socket?.destroyed) {
    response.destroy();
    return;
  }
  const { status, error: told } = failure(error, log);
  metrics.http.failed(told);
  const wait = retryAfter(told);
  if (wait !== undefined) response.setHeader('Retry-After', wait);
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.setHeader('Cache-Control', 'no-store');
  response.end(JSON.stringify({ error: told }));
}
