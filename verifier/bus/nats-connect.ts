import { readFile } from 'node:fs/promises';
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
} from '@nats-io/transport-node';
import { GrailError } from '../../src/protocol/errors.ts';
import { pause, stopped, unlessAborted } from './abort.ts';
import { MAX_BUS_BYTES } from './bus.ts';

/** How long a server is waited for that was not there yet; once found it is waited for without end. */
const FIRST_CONNECT_MS = 10_000;
const RETRY_MS = 250;

/** Between attempts to come back, and how much longer they are at most: so that processes do not come all at once. */
const RECONNECT_MS = 250;
const RECONNECT_JITTER_MS = 500;

/** How often a quiet connection is tried; it is lost after two of these without an answer. */
const PING_MS = 10_000;

/** Room for headers beside the payload of a message. */
const MAX_HEADER_BYTES = 16_384;

/** A server to connect to, and its name without a password. */
export interface NatsAddress {
  readonly name: string;
  readonly options: ConnectionOptions;
}

/** @throws GrailError USAGE */
export function parseNatsUrl(text: string): NatsAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  const user = plain(url?.username);
  const pass = plain(url?.password);
  if (url?.hostname && ['nats:', 'tls:'].includes(url.protocol) && user !== null && pass !== null) {
    const login = pass !== '' ? { user, pass } : user !== '' ? { token: user } : {};
    const tls = url.protocol === 'tls:' ? { tls: {} } : {};
    return { name: `${url.protocol}//${url.host}`, options: { servers: url.host, ...login, ...tls } };
  }
  throw new GrailError('USAGE', 'the URL of a NATS server is nats://HOST:PORT or tls://HOST:PORT');
}

function plain(encoded = ''): string | null {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

/** What a file of credentials gives, where `GRAIL_NATS_CREDS` names one. @throws GrailError USAGE */
export async function natsCredentials(path: string | undefined): Promise<ConnectionOptions> {
  if (path === undefined || path === '') return {};
  try {
    return { authenticator: credsAuthenticator(await readFile(path)) };
  } catch (error) {
    throw new GrailError(
      'USAGE',
      `GRAIL_NATS_CREDS names ${path}, which cannot be read`,
      {},
      { cause: error },
    );
  }
}

/**
 * A connection that comes back whenever it is lost.
 * @throws GrailError UNREACHABLE when there is no such server, or none that is fit; STOPPED when aborted
 */
export async function openConnection(
  { name, options }: NatsAddress,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const nc = await firstConnection(name, signal, {
    ...options,
    timeout: FIRST_CONNECT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    ignoreAuthErrorAbort: true,
    pingInterval: PING_MS,
    noAsyncTraces: true,
  });
  const limit = MAX_BUS_BYTES + MAX_HEADER_BYTES;
  if ((nc.info?.max_payload ?? 0) >= limit) return nc;
  await nc.close();
  throw new GrailError(
    'UNREACHABLE',
    `set max_payload of the NATS server at ${name} to ${limit} bytes or more`,
  );
}

async function firstConnection(
  name: string,
  signal: AbortSignal,
  options: ConnectionOptions,
): Promise<NatsConnection> {
  const untilMs = performance.now() + FIRST_CONNECT_MS;
  for (;;) {
    if (signal.aborted) throw stopped();
    const connecting = connect(options);
    try {
      return await unlessAborted(connecting, signal);
    } catch (error) {
      if (error instanceof GrailError) {
        void connecting.then((nc) => nc.close()).catch(() => {});
        throw error;
      }
      if (error instanceof AuthorizationError || performance.now() > untilMs) {
        const { message } = error as Error;
        throw new GrailError('UNREACHABLE', `${name} cannot be reached: ${message}`, {}, { cause: error });
      }
    }
    await pause(RETRY_MS, signal);
  }
}
