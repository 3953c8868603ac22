import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { GrailError } from '../src/protocol/errors.ts';
import type { BlobStore } from '../src/storage/blobs.ts';
import { createApp } from './app.ts';
import { EventServer } from './events.ts';
import { answerRaw, connectionFailure, tooMany } from './failures.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';
import { Occupancy, peerName, TokenBuckets } from './rates.ts';
import type { SequencerView } from './types.ts';

export const EVENTS_PATH = '/v1/events';

/** How often the server looks for requests that take too long. */
const TIMEOUT_CHECK_MS = 500;

export interface GatewayOptions {
  readonly sequencer: SequencerView;
  readonly blobs: BlobStore;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What differs from DEFAULT_LIMITS. */
  readonly limits?: Partial<GatewayLimits>;
  readonly log: Log;
  /** Milliseconds of a clock that only goes forward; it decides nothing but rates. */
  readonly now?: () => number;
}

export interface Gateway {
  /** Listens. @throws GrailError USAGE when the address cannot be had */
  start(): Promise<{ readonly url: string }>;
  /** Answers what is under way, closes every connection, and resolves. */
  stop(): Promise<void>;
}

/** The HTTP interface and event socket of a verifier, on one port. It decides nothing: the sequencer does. */
export function createGateway(options: GatewayOptions): Gateway {
  const { sequencer, blobs, log, now = () => performance.now() } = options;
  const limits: GatewayLimits = { ...DEFAULT_LIMITS, ...options.limits };
  let stopping = false;
  const requests = new TokenBuckets(
    { perSecond: limits.requestsPerSecond, burst: limits.requestsBurst },
    limits.rememberedAddresses,
    now,
  );
  const app = createApp({ sequencer, blobs, limits, log, now, requests, ready: () => !stopping });
  const events = new EventServer({ sequencer, limits, log, now });
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    app,
  );
  server.setTimeout(limits.idleTimeoutMs);
  guardConnections(server, new Occupancy(limits.connections, limits.connectionsPerAddress));
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const waitMs = requests.take(peerName(request.socket.remoteAddress));
    if (waitMs > 0) return answerRaw(socket, tooMany('too many requests of this address', waitMs));
    const path = (request.url ?? '').split('?')[0];
    if (path !== EVENTS_PATH)
      return answerRaw(socket, new GrailError('NOT_FOUND', `there is no socket at this path`));
    if (request.url !== EVENTS_PATH) {
      return answerRaw(socket, new GrailError('BAD_REQUEST', `${EVENTS_PATH} takes no query`));
    }
    if (stopping)
      return answerRaw(socket, new GrailError('STOPPED', 'this verifier is stopping: try again soon'));
    events.upgrade(request, socket, head);
  });

  return {
    async start() {
      await listen(server, options.host, options.port);
      events.start();
      const { address, port, family } = server.address() as AddressInfo;
      const host = family === 'IPv6' ? `[${address}]` : address;
      return { url: `http://${host}:${port}` };
    },
    async stop() {
      stopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await events.stop();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Time for answers that are under way when the gateway stops. */
const STOP_GRACE_MS = 2_000;

/** Bounds connections, and answers those that speak no HTTP. */
function guardConnections(server: Server, occupancy: Occupancy): void {
  server.on('connection', (socket: Socket) => {
    const release = occupancy.enter(peerName(socket.remoteAddress));
    if (release === null) return answerRaw(socket, tooMany('there are too many connections', 5_000));
    socket.once('close', release);
  });
  const newest = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (request, response) => newest.set(request.socket, response));
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    const response = newest.get(socket);
    // An answer that has begun must not get another one into its middle.
    const answering = response?.headersSent && !(response.writableFinished && response.req.complete);
    if (error.code === 'ECONNRESET' || answering) socket.destroy();
    else answerRaw(socket, connectionFailure(error));
  });
  server.on('connect', (_request, socket: Duplex) => {
    answerRaw(socket, new GrailError('BAD_REQUEST', 'this is not a proxy'));
  });
  server.on('checkExpectation', (_request, response) => {
    const error = new GrailError('BAD_REQUEST', 'no Expect but 100-continue is understood');
    const body = JSON.stringify({ error: error.toJSON() });
    response.writeHead(400, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    });
    response.end(body);
  });
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      const message = `cannot listen on ${host}:${port}: ${error.message}; choose another port or address`;
      reject(new GrailError('USAGE', message, { host, port }, { cause: error }));
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      server.on('error', () => {});
      resolve();
    });
  });
}
