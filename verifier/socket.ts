import type { WebSocket } from 'ws';
import type { LedgerEntry } from '../src/ledger/entry.ts';
import { toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { type ClientFrame, clientFrameSchema, type ServerFrame } from '../src/protocol/wire.ts';
import { type Failure, failure } from './failures.ts';
import { parseJsonText } from './json-body.ts';
import type { GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';
import { TokenBuckets } from './rates.ts';
import type { SequencerView, VerifierEvent } from './types.ts';

/** Bytes of backlog after which other work gets its turn. */
const TURN_BYTES = 1_048_576;

/** How long a reader has to take in why its socket closes. */
const CLOSE_GRACE_MS = 2_000;

/** An entry as a frame, and who wrote it. */
export interface EntryFrame {
  readonly author: LedgerEntry['author'];
  readonly text: string;
}

type Subscription = Extract<ClientFrame, { type: 'subscribe' }>;

/** What the connections of one gateway share. */
export interface SocketContext {
  readonly sequencer: SequencerView;
  readonly limits: GatewayLimits;
  readonly log: Log;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** The frame of an entry. @throws GrailError LEDGER_CORRUPT */
  readonly entryFrame: (index: number) => EntryFrame;
}

/**
 * One connection of /v1/events. What it sends of the ledger follows a cursor: an event only says that there may be more.
 * So backlog and live entries are one sequence without gaps or repetitions, whenever entries are appended, and a slow
 * reader holds no more in memory than the pause allows.
 */
export class EventConnection {
  readonly #socket: WebSocket;
  readonly #context: SocketContext;
  readonly #frames: TokenBuckets;
  #subscription: Subscription | null = null;
  /** Next entry to be looked at. */
  #next = 0;
  #synced = false;
  #pumping = false;
  #badFrames = 0;
  /** Whether the reader gave a sign of life since the last beat. */
  #alive = true;

  constructor(socket: WebSocket, context: SocketContext) {
    this.#socket = socket;
    this.#context = context;
    const { framesPerSecond: perSecond, framesBurst: burst } = context.limits;
    this.#frames = new TokenBuckets({ perSecond, burst }, 1, context.now);
    socket.on('message', (data, isBinary) => this.#receive(String(data), isBinary));
    socket.on('pong', () => {
      this.#alive = true;
    });
    // ws closes the socket itself, with 1002, 1007 or 1009, for what is no frame, no UTF-8, or too large.
    socket.on('error', () => {});
    const { state, ledger } = context.sequencer;
    this.#send({ type: 'hello', genesisHash: toHex(state.genesisHash), size: ledger.size });
  }

  /** Passes on what happened. */
  onEvent(event: VerifierEvent, text: () => string): void {
    const subscription = this.#subscription;
    if (subscription === null) return;
    if (event.type === 'entry') {
      this.#pump();
      return;
    }
    if (event.type === 'refused' && subscription.miner !== undefined && subscription.miner !== event.miner)
      return;
    this.#sendText(text());
  }

  /** Called every heartbeat: closes a connection whose reader has been silent since the last. */
  beat(): void {
    if (!this.#alive) {
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    this.#socket.ping();
  }

  /** Closes with 4000 plus the status of the error's code, and the code as the reason. */
  close(error: GrailError): void {
    const { status, error: told } = failure(error, this.#context.log);
    this.#subscription = null;
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(errorFrame(told));
    this.#socket.close(4000 + status, told.code);
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_GRACE_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #receive(text: string, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#alive = true;
    if (this.#frames.take('') > 0) {
      this.close(new GrailError('TOO_MANY_REQUESTS', 'too many frames a second'));
      return;
    }
    try {
      if (isBinary) throw new GrailError('BAD_REQUEST', 'frames are text, not binary');
      this.#handle(parseFrame(text, this.#context.limits.jsonDepth));
    } catch (error) {
      this.#badFrames += 1;
      const fault =
        error instanceof GrailError
          ? error
          : new GrailError('INTERNAL', 'a frame failed', {}, { cause: error });
      if (this.#badFrames >= this.#context.limits.badFrames) this.close(fault);
      else this.#sendText(errorFrame(failure(fault, this.#context.log).error));
    }
  }

  #handle(frame: ClientFrame): void {
    if (frame.type === 'ping') {
      this.#send({ type: 'pong' });
      return;
    }
    if (this.#subscription !== null) {
      throw new GrailError('BAD_REQUEST', 'this socket is subscribed already: open another one');
    }
    const { size } = this.#context.sequencer.ledger;
    if (frame.from > size) {
      throw new GrailError(
        'NOT_FOUND',
        `the ledger has ${size} entries, so none can follow entry ${frame.from}`,
        {
          from: frame.from,
          treeSize: size,
        },
      );
    }
    this.#subscription = frame;
    this.#next = frame.from;
    this.#pump();
  }

  /** Sends entries until there are no more, the reader is behind, or others should have a turn. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const { ledger } = this.#context.sequencer;
    let turn = TURN_BYTES;
    try {
      while (this.#subscription !== null && this.#next < ledger.size) {
        if (this.#socket.readyState !== this.#socket.OPEN) return;
        // The callback of what is waiting takes up again.
        if (this.#socket.bufferedAmount >= this.#context.limits.socketPauseBytes) return;
        if (turn <= 0) {
          setImmediate(() => this.#pump());
          return;
        }
        const frame = this.#context.entryFrame(this.#next);
        this.#next += 1;
        turn -= frame.text.length;
        if (this.#wants(frame, this.#subscription)) this.#sendText(frame.text);
      }
      if (this.#subscription !== null && !this.#synced) {
        this.#synced = true;
        this.#send({ type: 'synced', size: this.#next });
      }
    } catch (error) {
      this.close(
        error instanceof GrailError
          ? error
          : new GrailError('INTERNAL', 'reading failed', {}, { cause: error }),
      );
    } finally {
      this.#pumping = false;
    }
  }

  #wants(frame: EntryFrame, { entries, miner }: Subscription): boolean {
    if (entries === 'all' || frame.author === null || frame.author === miner) return true;
    return this.#context.sequencer.state.genesis.verifiers.some(({ address }) => address === frame.author);
  }

  #send(frame: ServerFrame): void {
    this.#sendText(JSON.stringify(frame));
  }

  #sendText(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > this.#context.limits.socketBufferBytes) {
      this.close(new GrailError('TOO_MANY_REQUESTS', 'you read more slowly than the network moves'));
      return;
    }
    this.#socket.send(text, (error) => {
      if (error) return;
      this.#alive = true;
      if (this.#subscription !== null && this.#next < this.#context.sequencer.ledger.size) this.#pump();
    });
  }
}

function errorFrame(error: Failure['error']): string {
  return JSON.stringify({ type: 'error', error });
}

/** @throws GrailError BAD_REQUEST */
function parseFrame(text: string, depth: number): ClientFrame {
  const result = clientFrameSchema.safeParse(parseJsonText(text, depth));
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GrailError('BAD_REQUEST', `${issue.path.join('.') || 'frame'}: ${issue.message}`);
}
