import { WebSocket } from 'ws';
import type { LedgerEntry } from '../src/ledger/entry.ts';
import { entrySchema, MAX_ENTRY_BYTES } from '../src/ledger/entry.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { type ClientFrame, type ServerFrame, serverFrameSchema } from '../src/protocol/wire.ts';
import { Backoff, type BackoffOptions, pause } from './backoff.ts';
import type { Endpoints } from './endpoints.ts';
import { eventsUrl, remoteError } from './http.ts';

/** A socket that says nothing for two of these, pings included, is dead. */
const HEARTBEAT_MS = 15_000;
const HANDSHAKE_MS = 10_000;
/** Connections in a row that may find a ledger shorter than what was seen of it: one that others write is read late. */
const SHORT_LEDGERS = 5;

export interface FeedOptions {
  /** The verifier's addresses, as the HTTP client has them. */
  readonly endpoints: Endpoints;
  /** 32 bytes. */
  readonly genesisHash: Uint8Array;
  /** Entries wanted: those of verifiers and of this miner. */
  readonly miner: Hex;
  /** First entry that was not seen, asked again at each connection. */
  readonly next: () => number;
  readonly signal: AbortSignal;
  readonly onEntry: (index: number, entry: LedgerEntry) => void;
  /** Everything before was sent; also after each reconnection. */
  readonly onSynced: () => void;
  /** A connection ended or could not be made; it is tried again after `waitMs`. */
  readonly onDown: (error: GrailError, waitMs: number) => void;
  readonly backoff?: Partial<BackoffOptions>;
  readonly heartbeatMs?: number;
}

/**
 * Follows a ledger over the verifier's event socket until the signal is aborted: reconnects with back-off, to the next
 * address where there are several, and takes up at the first entry that it has not seen.
 * @throws GrailError GENESIS_MISMATCH, LEDGER_DIVERGED, BAD_REQUEST, or whatever `onEntry` throws: trying again is no use
 */
export async function followLedger(options: FeedOptions): Promise<void> {
  const backoff = new Backoff(options.backoff);
  const { signal, endpoints } = options;
  let short = 0;
  while (!signal.aborted) {
    const url = endpoints.current;
    try {
      await connection(options, url, () => {
        backoff.reset();
        short = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof GrailError)) throw error;
      short = error.code === 'LEDGER_DIVERGED' ? short + 1 : 0;
      if (error.fault === 'reject' && (short === 0 || short === SHORT_LEDGERS)) throw error;
      endpoints.leave(url);
      const waitMs = backoff.next(error);
      options.onDown(error, waitMs);
      await pause(waitMs, signal);
    }
  }
}

/** One connection. Resolves when the signal is aborted; rejects when it ends otherwise. */
function connection(options: FeedOptions, url: URL, onAlive: () => void): Promise<void> {
  const { signal } = options;
  const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
  const socket = new WebSocket(eventsUrl(url), {
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: MAX_ENTRY_BYTES + 65_536,
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    let heard = true;
    const heartbeat = setInterval(() => {
      if (!heard) return finish(unreachable(url, 'fell silent'));
      heard = false;
      if (socket.readyState === WebSocket.OPEN) send(socket, { type: 'ping' });
    }, heartbeatMs);
    const abort = () => finish(null);
    const finish = (error: Error | null) => {
      clearInterval(heartbeat);
      signal.removeEventListener('abort', abort);
      socket.removeAllListeners();
      // A socket that is torn down may still fail; nobody is interested any more.
      socket.on('error', () => {});
      socket.terminate();
      if (error === null) resolve();
      else reject(error);
    };
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) return finish(null);
    socket.on('error', (error) => finish(unreachable(url, 'cannot be reached', error)));
    socket.on('close', () => finish(unreachable(url, 'closed the connection')));
    socket.on('message', (data, isBinary) => {
      heard = true;
      try {
        if (isBinary) throw malformed('a binary frame');
        handle(options, url, socket, parseFrame(String(data)), onAlive);
      } catch (error) {
        finish(error as Error);
      }
    });
  });
}

function handle(
  options: FeedOptions,
  url: URL,
  socket: WebSocket,
  frame: ServerFrame,
  onAlive: () => void,
): void {
  switch (frame.type) {
    case 'hello': {
      const expected = toHex(options.genesisHash);
      if (frame.genesisHash !== expected) {
        throw new GrailError('GENESIS_MISMATCH', `the verifier at ${url.href} now runs another network`, {
          expected,
          got: frame.genesisHash,
        });
      }
      const from = options.next();
      if (frame.size < from) {
        throw new GrailError(
          'LEDGER_DIVERGED',
          `the ledger at ${url.href} has ${frame.size} entries, but ${from} were seen before: it lost or rewrote some, or is behind`,
          { expected: from, got: frame.size },
        );
      }
      send(socket, { type: 'subscribe', from, entries: 'closers', miner: options.miner });
      return;
    }
    case 'entry': {
      const entry = entrySchema.safeParse(frame.entry);
      if (!entry.success) throw malformed(`entry ${frame.index}: ${entry.error.issues[0]!.message}`);
      options.onEntry(frame.index, entry.data);
      return;
    }
    case 'synced':
      onAlive();
      options.onSynced();
      return;
    case 'error':
      throw remoteError(frame.error);
    case 'refused':
    case 'pong':
    case 'evaluation':
      return;
  }
}

function send(socket: WebSocket, frame: ClientFrame): void {
  socket.send(JSON.stringify(frame));
}

function parseFrame(text: string): ServerFrame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed('it is not JSON');
  }
  const result = serverFrameSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw malformed(`${issue.path.join('.')}: ${issue.message}`);
}

function malformed(what: string): GrailError {
  return new GrailError('BAD_REQUEST', `the verifier sent a malformed frame: ${what}`);
}

function unreachable(url: URL, what: string, cause?: unknown): GrailError {
  return new GrailError('UNREACHABLE', `the verifier at ${url.href} ${what}`, {}, { cause });
}
