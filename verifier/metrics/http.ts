import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Counter, Histogram, type Registry } from 'prom-client';
import { CODES } from '../../src/protocol/codes.ts';
import type { GrailError } from '../../src/protocol/errors.ts';

const METHODS: readonly (string | undefined)[] = ['GET', 'HEAD', 'POST', 'OPTIONS'];

/** What clients ask of a gateway, and what it refuses at the door. */
export function httpMetrics(registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: 'grail_http_requests_total',
    help: 'HTTP requests by route (none: refused before there was one), method and status (aborted: the client left).',
    labelNames: ['route', 'method', 'status'],
    registers,
  });
  const duration = new Histogram({
    name: 'grail_http_request_duration_seconds',
    help: 'Time from a request’s headers to the end of its answer.',
    labelNames: ['route'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const bytes = new Counter({
    name: 'grail_http_bytes_total',
    help: 'Bytes of HTTP requests (received) and answers (sent), heads included.',
    labelNames: ['route', 'direction'],
    registers,
  });
  const limited = new Counter({
    name: 'grail_limit_refusals_total',
    help: 'What was refused with TOO_MANY_REQUESTS, by the limit that was reached (names of docs/LIMITS.md).',
    labelNames: ['limit'],
    registers,
  });
  const frames = new Counter({
    name: 'grail_event_frames_total',
    help: 'Frames of event sockets.',
    labelNames: ['direction'],
    registers,
  });
  const closed = new Counter({
    name: 'grail_event_closed_sockets_total',
    help: 'Event sockets that ended: by the code with which they were closed, silent (no sign of life), or left.',
    labelNames: ['reason'],
    registers,
  });
  /** Counts a refusal by the limit that was reached; other errors are none. */
  function failed(error: Pick<GrailError, 'code' | 'details'>): void {
    if (error.code !== 'TOO_MANY_REQUESTS') return;
    const { limit } = error.details;
    limited.inc({ limit: typeof limit === 'string' ? limit : 'other' });
  }
  const counted = new WeakMap<Socket, { read: number; written: number }>();

  return {
    /** Follows a request to its end; the function given back names its route. */
    observe(request: IncomingMessage, response: ServerResponse): (route: string) => void {
      const end = duration.startTimer();
      const { socket } = request;
      let route = 'none';
      response.once('close', () => {
        const method = METHODS.includes(request.method) ? request.method! : 'other';
        const status = response.writableFinished ? String(response.statusCode) : 'aborted';
        requests.inc({ route, method, status });
        // A counter that begins with 1 would show no increase.
        requests.inc({ route, method, status: '500' }, 0);
        end({ route });
        const before = counted.get(socket) ?? { read: 0, written: 0 };
        const after = { read: socket.bytesRead, written: socket.bytesWritten };
        bytes.inc({ route, direction: 'received' }, after.read - before.read);
        bytes.inc({ route, direction: 'sent' }, after.written - before.written);
        counted.set(socket, after);
      });
      return (path) => {
        route = path;
      };
    },
    /** Counts a refusal on a connection that has no request yet. */
    refused(error: GrailError): void {
      requests.inc({ route: 'none', method: 'other', status: String(CODES[error.code].status) });
      failed(error);
    },
    failed,
    frame(direction: 'received' | 'sent'): void {
      frames.inc({ direction });
    },
    socketClosed(reason: string): void {
      closed.inc({ reason });
    },
  };
}

export type HttpMetrics = ReturnType<typeof httpMetrics>;
