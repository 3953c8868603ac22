import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { GrailError } from '../src/protocol/errors.ts';
import type { BlobStore } from '../src/storage/blobs.ts';
import { createApp } from './app.ts';
import { EventServer } from './events.ts';
import { tooMany } from './failures.ts';
import { HealthChecks } from './health.ts';
import { closeServer, createBoundedServer, listen, refuse } from './http-server.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';
import { createMetrics, type VerifierMetrics } from './metrics/index.ts';
import { peerName, TokenBuckets } from './rates.ts';
import type { SequencerView } from './types.ts';

export const EVENTS_PATH = '/v1/events';

export interface GatewayOptions {
  readonly sequencer: SequencerView;
  readonly blobs: BlobStore;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What differs from DEFAULT_LIMITS. */
  readonly limits?: Partial<GatewayLimits>;
  readonly log: Log;
  /** Where it counts what it does; its own, where nobody else counts in this process. */
  readonly metrics?: VerifierMetrics;
  /** What /healthz and /readyz tell; the gateway adds its own checks. */
  readonly health?: HealthChecks;
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
  const { metrics = createMetrics(), health = new HealthChecks() } = options;
  const limits: GatewayLimits = { ...DEFAULT_LIMITS, ...options.limits };
  let stopping = false;
  const requests = new TokenBuckets(
    { perSecond: limits.requestsPerSecond, burst: limits.requestsBurst },
    limits.rememberedAddresses,
    now,
  );
  const answerBytes = new TokenBuckets(
    { perSecond: limits.answerBytesPerSecond, burst: limits.answerBytesBurst },
    limits.rememberedAddresses,
    now,
  );
  const app = createApp({
    ...{ sequencer, blobs, limits, log, now, requests, answerBytes, metrics, health },
  });
  const events = new EventServer({ sequencer, limits, log, now, answerBytes, metrics: metrics.http });
  const server = createBoundedServer(limits, metrics, app);
  metrics.queues.watchItems('sockets', { depth: () => events.count, limit: limits.sockets });
  metrics.queues.watchBytes('socketBytesInFlight', {
    depth: () => events.waitingBytes,
    limit: limits.socketBytesInFlight,
  });
  metrics.watchHealth(health);
  health.register('gateway', () =>
    stopping ? { ok: false, detail: 'stopping' } : { ok: true, detail: 'taking requests' },
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const waitMs = requests.take(peerName(request.socket.remoteAddress));
    if (waitMs > 0) {
      const what = 'too many requests of this address';
      return refuse(metrics.http, socket, tooMany('requestsPerSecond', what, waitMs));
    }
    const path = (request.url ?? '').split('?')[0];
    if (path !== EVENTS_PATH)
      return refuse(metrics.http, socket, new GrailError('NOT_FOUND', `there is no socket at this path`));
    if (request.url !== EVENTS_PATH) {
      return refuse(metrics.http, socket, new GrailError('BAD_REQUEST', `${EVENTS_PATH} takes no query`));
    }
    if (stopping)
      return refuse(
        metrics.http,
        socket,
        new GrailError('STOPPED', 'this verifier is stopping: try again soon'),
      );
    events.upgrade(request, socket, head);
  });

  return {
    async start() {
      const url = await listen(server, options.host, options.port);
      events.start();
      return { url };
    },
    async stop() {
      stopping = true;
      const closed = closeServer(server);
      await events.stop();
      await closed;
    },
  };
}
