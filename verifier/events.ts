import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { GrailError } from '../src/protocol/errors.ts';
import { tooMany } from './failures.ts';
import { FairShare } from './fair-share.ts';
import { refuse } from './http-server.ts';
import { peerName, TokenBuckets } from './rates.ts';
import { type EntryFrame, EventConnection, type SocketContext } from './socket.ts';
import type { VerifierEvent } from './types.ts';

/** Time for connections to take in that the verifier stops. */
const STOP_GRACE_MS = 500;

/** What an address may have of the bytes that wait for readers. */
const SHARE_OF_ONE = 1 / 4;

/** Bytes of frames that are kept for other connections: more than a batch of the journal. */
const RECENT_BYTES = 16_777_216;

type EventContext = Pick<SocketContext, 'sequencer' | 'limits' | 'log' | 'metrics' | 'now' | 'answerBytes'>;

/** All event sockets of a gateway. */
export class EventServer {
  readonly #context: EventContext;
  readonly #server: WebSocketServer;
  readonly #places: FairShare;
  readonly #memory: FairShare;
  readonly #toldRefusals: TokenBuckets;
  /** Readers that wait for room, the first one first. */
  readonly #waiting = new Set<() => boolean>();
  readonly #connections = new Set<EventConnection>();
  #unsubscribe: (() => void) | null = null;
  #heartbeat: NodeJS.Timeout | null = null;
  /** Frames that were made last, the oldest first: live entries come in batches, and each goes to many connections. */
  readonly #recent = new Map<number, EntryFrame>();
  #recentBytes = 0;

  constructor(context: EventContext) {
    this.#context = context;
    const { limits } = context;
    this.#places = new FairShare(limits.sockets, limits.socketsPerAddress);
    this.#memory = new FairShare(limits.socketBytesInFlight, limits.socketBytesInFlight * SHARE_OF_ONE);
    this.#toldRefusals = new TokenBuckets(
      { perSecond: limits.toldRefusalsPerSecond, burst: limits.toldRefusalsBurst },
      1,
      context.now,
    );
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: true,
      maxPayload: limits.frameBytes,
      perMessageDeflate: false,
    });
    this.#server.on('wsClientError', (error, socket) => {
      refuse(
        this.#context.metrics,
        socket,
        new GrailError('BAD_REQUEST', `the WebSocket handshake is wrong: ${error.message}`),
      );
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

  /** Bytes that wait for readers. */
  get waitingBytes(): number {
    return this.#memory.used;
  }

  /** Takes an upgrade request whose path is right. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const address = peerName(request.socket.remoteAddress);
    const full = tooMany('sockets', 'there are too many event sockets', 10_000);
    let giveWay: () => void = () => socket.destroy();
    const place = this.#places.enter(address, 1, () => giveWay());
    if (place === null) {
      refuse(this.#context.metrics, socket, full);
      return;
    }
    socket.once('close', place.leave);
    const memory = this.#memory.enter(address, 0)!;
    socket.once('close', () => {
      memory.leave();
      this.#roomFreed();
    });
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const connection = new EventConnection(webSocket, {
        ...this.#context,
        ...{ address, memory },
        entryFrame: (index) => this.#entryFrame(index),
        onRoom: (resume) => this.#waiting.add(resume),
        roomFreed: () => this.#roomFreed(),
      });
      giveWay = () => connection.close(full);
      this.#boundBytes(socket, connection);
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

  /** Pings and fragments reach no handler of frames: whatever a peer sends is counted. */
  #boundBytes(socket: Duplex, connection: EventConnection): void {
    const { limits, now } = this.#context;
    const bytes = new TokenBuckets(
      { perSecond: limits.socketBytesPerSecond, burst: limits.socketBytesBurst },
      1,
      now,
    );
    socket.on('data', ({ length }: Buffer) => {
      if (bytes.take('', length) > 0)
        connection.close(tooMany('socketBytesPerSecond', 'too many bytes a second', 1_000));
    });
  }

  /** Goes on with the readers that wait for room, until one finds none. */
  #roomFreed(): void {
    for (const resume of this.#waiting) {
      this.#waiting.delete(resume);
      if (!resume()) return;
    }
  }

  #broadcast(event: VerifierEvent): void {
    if (event.type === 'refused' && this.#toldRefusals.take('') > 0) return;
    let text: string | null = null;
    const frame = () => {
      text ??= JSON.stringify(event);
      return text;
    };
    for (const connection of this.#connections) connection.onEvent(event, frame);
  }

  #entryFrame(index: number): EntryFrame {
    const known = this.#recent.get(index);
    if (known !== undefined) return known;
    const { entry, bytes } = this.#context.sequencer.ledger.read(index);
    const text = `{"type":"entry","index":${index},"entry":${new TextDecoder().decode(bytes)}}`;
    const frame = { author: entry.author, text };
    this.#recent.set(index, frame);
    this.#recentBytes += text.length;
    for (const [oldest, { text: forgotten }] of this.#recent) {
      if (this.#recentBytes <= RECENT_BYTES || this.#recent.size === 1) break;
      this.#recent.delete(oldest);
      this.#recentBytes -= forgotten.length;
    }
    return frame;
  }
}
