import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import { failureSchema } from '../../src/protocol/api.ts';
import { CODES, type Code } from '../../src/protocol/codes.ts';
import { type ServerFrame, serverFrameSchema } from '../../src/protocol/wire.ts';
import { createGateway, type Gateway } from '../../verifier/gateway.ts';
import type { GatewayLimits } from '../../verifier/limits.ts';
import type { Log } from '../../verifier/log.ts';
import type { SequencerView } from '../../verifier/types.ts';
import { TestNetwork } from './network.ts';

/** A log that keeps what it was told. */
export class KeptLog implements Log {
  readonly lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  readonly #keep =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      this.lines.push({ level, message, fields });
    };
  readonly info = this.#keep('info');
  readonly warn = this.#keep('warn');
  readonly error = this.#keep('error');

  child(fields: Record<string, unknown>): Log {
    const at =
      (level: 'info' | 'warn' | 'error') =>
      (message: string, own: Record<string, unknown> = {}) =>
        this[level](message, { ...fields, ...own });
    return {
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (own) => this.child({ ...fields, ...own }),
    };
  }
}

/** A gateway on a free port over a network of its own. */
export class TestGateway {
  readonly network = new TestNetwork();
  readonly log = new KeptLog();
  readonly gateway: Gateway;
  url = '';
  readonly #sockets: WebSocket[] = [];

  /** @param view what the gateway sees, when it is not the network itself */
  constructor(limits: Partial<GatewayLimits> = {}, view?: (network: TestNetwork) => SequencerView) {
    const { network, log } = this;
    const sequencer = view?.(network) ?? network;
    this.gateway = createGateway({
      sequencer,
      blobs: network.blobs,
      host: '127.0.0.1',
      port: 0,
      limits,
      log,
    });
  }

  async start(): Promise<this> {
    this.url = (await this.gateway.start()).url;
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    await this.gateway.stop();
    this.network.remove();
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  /** Posts a message; text goes as it is. */
  post(
    body: unknown,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ): Promise<Response> {
    const raw = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    return fetch(`${this.url}/v1/messages`, {
      method: 'POST',
      headers,
      body: raw as NonNullable<RequestInit['body']>,
    });
  }

  async json(path: string): Promise<unknown> {
    const response = await this.get(path);
    expect(response.status).toBe(200);
    return response.json();
  }

  /** Writes bytes on a bare connection and gives what comes back until it closes. */
  async raw(text: string | Uint8Array): Promise<string> {
    const socket = connect(this.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(text);
    await once(socket, 'close');
    return Buffer.concat(chunks).toString();
  }

  /** The path by which every test ends: the server still answers. */
  async expectAlive(): Promise<void> {
    const response = await this.get('/healthz');
    expect(await response.json()).toEqual({ ok: true });
  }

  async open(): Promise<TestSocket> {
    const socket = new WebSocket(`${this.url.replace('http', 'ws')}/v1/events`, {
      maxPayload: 64 * 1_048_576,
    });
    this.#sockets.push(socket);
    const kept = new TestSocket(socket);
    await once(socket, 'open');
    return kept;
  }
}

/** An event socket whose frames were parsed. */
export class TestSocket {
  readonly socket: WebSocket;
  readonly frames: ServerFrame[] = [];
  closed: { code: number; reason: string } | null = null;
  #wake: () => void = () => {};

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data) => {
      this.frames.push(serverFrameSchema.parse(JSON.parse(String(data))));
      this.#wake();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#wake();
    });
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** Resolves when `done` says so; checked at every frame. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.closed !== null && !done())
        throw new Error(`the socket closed: ${JSON.stringify(this.closed)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  of<T extends ServerFrame['type']>(type: T): Extract<ServerFrame, { type: T }>[] {
    return this.frames.filter((frame): frame is Extract<ServerFrame, { type: T }> => frame.type === type);
  }

  async next<T extends ServerFrame['type']>(type: T, count = 1): Promise<Extract<ServerFrame, { type: T }>> {
    await this.until(() => this.of(type).length >= count);
    return this.of(type)[count - 1]!;
  }

  async close(): Promise<{ code: number; reason: string }> {
    await this.until(() => this.closed !== null);
    return this.closed!;
  }
}

/** Expects a coded failure under the code's own status, without a trace of our insides. */
export async function expectFailure(
  response: Response,
  code: Code,
): Promise<{ message: string; details: object }> {
  const text = await response.text();
  const { error } = failureSchema.parse(JSON.parse(text));
  expect({ status: response.status, code: error.code }).toEqual({ status: CODES[code].status, code });
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(text).not.toMatch(/\bat .*\.(?:ts|js):\d+|node_modules|stack/);
  return error;
}

/** As `expectFailure`, of an answer read from a bare connection. */
export function expectRawFailure(text: string, code: Code): void {
  const [head, body] = text.split('\r\n\r\n') as [string, string];
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${CODES[code].status} `));
  expect(failureSchema.parse(JSON.parse(body)).error.code).toBe(code);
}
