import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { GrailError } from '../src/protocol/errors.ts';
import { answerRaw, tooMany } from './failures.ts';
import { Occupancy, peerName } from './rates.ts';
import { type EntryFrame, EventConnection, type SocketContext } from './socket.ts';
import type { VerifierEvent } from './types.ts';

/** Time for connections to take in that the verifier stops. */
const STOP_GRACE_MS = 500;

/** All event sockets of a gateway. */
export class EventServer {
  readonly #context: Omit<SocketContext, 'entryFrame'>;
  readonly #server: WebSocketServer;
  readonly #occupancy: Occupancy;
  readonly #connections = new Set<EventConnection>();
  #unsubscribe: (() => void) | null = null;
  #heartbeat: NodeJS.Timeout | null = null;
  /** The frame that was made last: live entries go to many connections. */
  #last: { readonly index: number; readonly frame: EntryFrame } | null = null;

  constructor(context: Omit<SocketContext, 'entryFrame'>) {
    this.#context = context;
    const { limits } = context;
    this.#occupancy = new Occupancy(limits.sockets, limits.socketsPerAddress);
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: true,
      maxPayload: limits.frameBytes,
      perMessageDeflate: false,
    });
    this.#server.on('wsClientError', (error, socket) => {
      answerRaw(socket, new GrailError('BAD_REQUEST', `the WebSocket handshake is wrong: ${error.message}`));
    });
  }

  start(): void {
    this.#unsubscribe = this.#context.sequencer.subscribe((event) => this.#broadcast(event));
    this.#heartbeat = setInterval(() => {
      for (const connection of this.#connections) connection.beat();
    }, this.#context.limits.heartbeatMs);
    this.#heartbeat.unref();
  }

  get count(): number {
    return this.#connections.size;
  }

  /** Takes an upgrade request whose path is right. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const release = this.#occupancy.enter(peerName(request.socket.remoteAddress));
    if (release === null) {
      answerRaw(socket, tooMany('there are too many event sockets', 10_000));
      return;
    }
    socket.once('close', release);
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const connection = new EventConnection(webSocket, {
        ...this.#context,
        entryFrame: (index) => this.#entryFrame(index),
      });
      this.#connections.add(connection);
      webSocket.once('close', () => this.#connections.delete(connection));
    });
  }

  /** Tells everybody, and closes what is still open a moment later. */
  async stop(): Promise<void> {
    this.#unsubscribe?.();
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    for (const connection of this.#connections) {
      connection.close(new GrailError('STOPPED', 'this verifier is stopping: try again soon'));
    }
    const deadline = performance.now() + STOP_GRACE_MS;
    while (this.#connections.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }

  #broadcast(event: VerifierEvent): void {
    let text: string | null = null;
    const frame = () => {
      text ??= JSON.stringify(event);
      return text;
    };
    for (const connection of this.#connections) connection.onEvent(event, frame);
  }

  #entryFrame(index: number): EntryFrame {
    if (this.#last?.index !== index) {
      const { entry, bytes } = this.#context.sequencer.ledger.read(index);
      const text = `{"type":"entry","index":${index},"entry":${new TextDecoder().decode(bytes)}}`;
      this.#last = { index, frame: { author: entry.author, text } };
    }
    return this.#last.frame;
  }
}
