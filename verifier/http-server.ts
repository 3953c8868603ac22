import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { GrailError } from '../src/protocol/errors.ts';
import { answerRaw, connectionFailure, tooMany } from './failures.ts';
import { FairShare } from './fair-share.ts';
import type { GatewayLimits } from './limits.ts';
import type { HttpMetrics } from './metrics/http.ts';
import type { VerifierMetrics } from './metrics/index.ts';
import { peerName } from './rates.ts';

/** How often the server looks for requests that take too long. */
const TIMEOUT_CHECK_MS = 500;

/** Time for answers that are under way when the server closes. */
const STOP_GRACE_MS = 2_000;

/** A server of HTTP that bounds its connections, and what each of them may take. */
export function createBoundedServer(
  limits: GatewayLimits,
  metrics: VerifierMetrics,
  listener: RequestListener,
): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    listener,
  );
  server.setTimeout(limits.idleTimeoutMs);
  const connections = new FairShare(limits.connections, limits.connectionsPerAddress);
  guardConnections(server, connections, metrics);
  metrics.queues.watchItems('connections', { depth: () => connections.used, limit: limits.connections });
  return server;
}

/** Answers and ends a connection that has no request yet, and counts it. */
export function refuse(http: HttpMetrics, socket: Duplex, error: GrailError): void {
  http.refused(error);
  answerRaw(socket, error);
}

/** Bounds connections, and answers those that speak no HTTP. */
function guardConnections(server: Server, connections: FairShare, { http }: VerifierMetrics): void {
  server.on('connection', (socket: Socket) => {
    const full = tooMany('connections', 'there are too many connections', 5_000);
    const place = connections.enter(peerName(socket.remoteAddress), 1, () => {
      http.failed(full);
      socket.destroy();
    });
    if (place === null) return refuse(http, socket, full);
    socket.once('close', place.leave);
  });
  const newest = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (request, response) => newest.set(request.socket, response));
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    const response = newest.get(socket);
    // An answer that has begun must not get another one into its middle.
    const answering = response?.headersSent && !(response.writableFinished && response.req.complete);
    if (error.code === 'ECONNRESET' || answering) socket.destroy();
    else refuse(http, socket, connectionFailure(error));
  });
  server.on('connect', (_request, socket: Duplex) => {
    refuse(http, socket, new GrailError('BAD_REQUEST', 'this is not a proxy'));
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

/** Listens, and gives the URL. @throws GrailError USAGE when the address cannot be had */
export function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      const message = `cannot listen on ${host}:${port}: ${error.message}; choose another port or address`;
      reject(new GrailError('USAGE', message, { host, port }, { cause: error }));
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      server.on('error', () => {});
      const { address, port: bound, family } = server.address() as AddressInfo;
      resolve(`http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`);
    });
  });
}

/** Takes no more connections, and resolves when all are closed. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearTimeout(timer);
}
