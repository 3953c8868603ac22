import type { WebSocket } from 'ws';
import type { LedgerEntry } from '../src/ledger/entry.ts';
import { toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { type ClientFrame, clientFrameSchema, type ServerFrame } from '../src/protocol/wire.ts';
import { type Failure, failure, tooMany } from './failures.ts';
import type { Place } from './fair-share.ts';
import { parseJsonText } from './json-body.ts';
import type { GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';
import type { HttpMetrics } from './metrics/http.ts';
import { TokenBuckets } from './rates.ts';
import type { SequencerView, VerifierEvent } from './types.ts';

/** Bytes of backlog after which other work gets its turn. */
const TURN_BYTES = 1_048_576;

/** A frame of so few bytes goes to a reader that waits for nothing, whatever others hold: nobody can stop small entries. */
const SMALL_FRAME_BYTES = 65_536;

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
  readonly metrics: HttpMetrics;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** The frame of an entry. @throws GrailError LEDGER_CORRUPT */
  readonly entryFrame: (index: number) => EntryFrame;
  readonly address: string;
  /** Bytes of pages, blobs and backlogs by address. */
  readonly answerBytes: TokenBuckets;
  /** What waits for this reader, of what may wait for all. */
  readonly memory: Place;
  /** Calls once some of that was taken, by whomever; the function says whether it had room then. */
  readonly onRoom: (resume: () => boolean) => void;
  /** To be called when some of it was taken. */
  readonly roomFreed: () => void;
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
  /** Bytes that wait for the reader, and when it last took some or had none. */
  #held = 0;
  #takenAt: number;
  #backlogTimer: NodeJS.Timeout | null = null;
  readonly #resume = () => this.#pump();
  /** Why this side ended it, for the metrics. */
  #ended = 'left';

  constructor(socket: WebSocket, context: SocketContext) {
    this.#socket = socket;
    this.#context = context;
    this.#takenAt = context.now();
    const { framesPerSecond: perSecond, framesBurst: burst } = context.limits;
    this.#frames = new TokenBuckets({ perSecond, burst }, 1, context.now);
    socket.on('message', (data, isBinary) => this.#receive(String(data), isBinary));
    // ws answers pings itself.
    for (const event of ['ping', 'pong'])
      socket.on(event, () => {
        this.#countFrame();
      });
    // ws closes the socket itself, with 1002, 1007 or 1009, for what is no frame, no UTF-8, or too large.
    socket.on('error', () => {});
    socket.once('close', () => context.metrics.socketClosed(this.#ended));
    const { state, ledger } = context.sequencer;
    this.#send({ type: 'hello', genesisHash: toHex(state.genesisHash), size: ledger.size });
  }

  /** Passes on what happened. */
  onEvent(event: VerifierEvent, text: () => string): void {
    const subscription = this.#subscription;
    if (subscription === null) return;
    if (event.type === 'entry') {
      // Most are other miners': whoever is up to date passes them over without a look at the ledger.
      const next = this.#synced && event.index === this.#next;
      if (next && !this.#wants(event.entry, subscription)) this.#next += 1;
      else this.#pump();
      return;
    }
    if (event.type === 'refused' && subscription.miner !== undefined && subscription.miner !== event.miner)
      return;
    this.#offer(text());
  }

  /** Called every heartbeat: closes a connection whose reader has been silent since the last, or takes nothing. */
  beat(): void {
    const { now, limits } = this.#context;
    const stalled = this.#held > 0 && now() - this.#takenAt > limits.idleTimeoutMs;
    if (!this.#alive || stalled) {
      this.#ended = 'silent';
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
    this.#ended = told.code;
    this.#context.metrics.failed(told);
    this.#socket.send(errorFrame(told));
    this.#socket.close(4000 + status, told.code);
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_GRACE_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #receive(text: string, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (!this.#countFrame()) return;
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

  /** False when there were too many. */
  #countFrame(): boolean {
    this.#alive = true;
    this.#context.metrics.frame('received');
    if (this.#frames.take('') === 0) return true;
    this.close(tooMany('framesPerSecond', 'too many frames a second', 1_000));
    return false;
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

  /** Sends entries until there are no more, the reader is behind, or others should have a turn. False when there was no room. */
  #pump(): boolean {
    if (this.#pumping) return true;
    this.#pumping = true;
    const { address, answerBytes, limits, sequencer } = this.#context;
    const { ledger } = sequencer;
    let turn = TURN_BYTES;
    try {
      while (this.#subscription !== null && this.#next < ledger.size) {
        if (this.#socket.readyState !== this.#socket.OPEN) return true;
        // The callback of what is waiting takes up again.
        if (this.#held >= limits.socketPauseBytes) return true;
        if (turn <= 0) {
          setImmediate(() => this.#pump());
          return true;
        }
        const waitMs = this.#synced ? 0 : answerBytes.wait(address);
        if (waitMs > 0) {
          this.#pumpLater(waitMs);
          return true;
        }
        const frame = this.#context.entryFrame(this.#next);
        if (this.#wants(frame, this.#subscription) && !this.#offer(frame.text)) {
          this.#context.onRoom(this.#resume);
          return false;
        }
        if (!this.#synced) answerBytes.charge(address, frame.text.length);
        this.#next += 1;
        turn -= frame.text.length;
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
    return true;
  }

  #pumpLater(waitMs: number): void {
    this.#backlogTimer ??= setTimeout(() => {
      this.#backlogTimer = null;
      this.#pump();
    }, waitMs).unref();
  }

  #wants({ author }: Pick<EntryFrame, 'author'>, { entries, miner }: Subscription): boolean {
    if (entries === 'all' || author === null || author === miner) return true;
    return this.#context.sequencer.state.genesis.verifiers.some(({ address }) => address === author);
  }

  #send(frame: ServerFrame): void {
    this.#sendText(JSON.stringify(frame));
  }

  #sendText(text: string): void {
    if (this.#offer(text)) return;
    this.close(tooMany('socketBytesInFlight', 'too much is waiting for its readers', 1_000));
  }

  /** Sends, or gives false where too much is waiting for all readers. */
  #offer(text: string): boolean {
    const { memory, limits, now } = this.#context;
    if (this.#socket.readyState !== this.#socket.OPEN) return true;
    if (this.#held > limits.socketBufferBytes) {
      this.close(tooMany('socketBufferBytes', 'you read more slowly than the network moves', 1_000));
      return true;
    }
    const bytes = text.length;
    const free = this.#held === 0 && bytes <= SMALL_FRAME_BYTES;
    if (!free && !memory.add(bytes)) return false;
    if (this.#held === 0) this.#takenAt = now();
    this.#held += bytes;
    this.#context.metrics.frame('sent');
    this.#socket.send(text, (error) => {
      this.#held -= bytes;
      this.#takenAt = now();
      if (!free && memory.add(-bytes)) this.#context.roomFreed();
      if (error) return;
      this.#alive = true;
      if (this.#subscription !== null && this.#next < this.#context.sequencer.ledger.size) this.#pump();
    });
    return true;
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
