import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { GrailError } from '../../src/protocol/errors.ts';
import { pause, settledWithin, unlessAborted } from './abort.ts';
import type { JobSettings } from './bus.ts';
import { type NatsNames, natsNames } from './nats-names.ts';
import { makeStreams } from './nats-streams.ts';

/** First wait before the server is asked again, and the longest. */
const RETRY_MS = 50;
const LONGEST_RETRY_MS = 2_000;

/** Longest wait for JetStream's answer. */
const API_MS = 5_000;

/** Longest wait for the server to have read all that was sent, when the connection is closed. */
const FLUSH_MS = 1_000;

/** A connection that comes back, and the queue's streams on whatever server it comes back to. */
export class NatsLink {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly names: NatsNames;
  readonly settings: JobSettings;
  #lost = new AbortController();
  #back = Promise.withResolvers<void>();
  #streams: Promise<void> | null = null;
  /** What the server refused since the connection is up, and what operations wait for. */
  #refused: string | null = null;
  readonly #failing = new Map<symbol, string>();

  static async over(nc: NatsConnection, namespace: string, settings: JobSettings): Promise<NatsLink> {
    const options = { timeout: API_MS, checkAPI: false };
    return new NatsLink(nc, await jetstreamManager(nc, options), namespace, settings);
  }

  private constructor(nc: NatsConnection, jsm: JetStreamManager, namespace: string, settings: JobSettings) {
    this.nc = nc;
    this.js = jetstream(nc, { timeout: API_MS });
    this.jsm = jsm;
    this.names = natsNames(namespace);
    this.settings = settings;
    this.#back.resolve();
    void this.#watch();
  }

  /** Aborted while the connection is away. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  trouble(): string | null {
    if (this.nc.isClosed()) return 'the bus is closed';
    if (this.#lost.signal.aborted) return 'the NATS server is away';
    const [failing] = this.#failing.values();
    return failing ?? this.#refused;
  }

  /**
   * Repeats an operation of the queue until the server has done it, over losses of the connection, the server and its data.
   * @throws GrailError STOPPED when aborted; what else of GrailError the operation throws
   */
  async persist<T>(operation: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const mark = Symbol();
    try {
      for (let waitMs = RETRY_MS; ; waitMs = Math.min(LONGEST_RETRY_MS, 2 * waitMs)) {
        await unlessAborted(this.#back.promise, signal);
        try {
          return await unlessAborted(this.once(operation), signal);
        } catch (error) {
          if (error instanceof GrailError && error.code !== 'UNREACHABLE') throw error;
          this.#failing.set(mark, (error as Error).message);
        }
        await pause(waitMs, signal);
      }
    } finally {
      this.#failing.delete(mark);
    }
  }

  /** Resolves when the server is there with all that the queue needs. @throws GrailError STOPPED when aborted */
  ready(signal: AbortSignal): Promise<void> {
    return this.persist(async () => {}, signal);
  }

  /** Does an operation of the queue. @throws GrailError UNREACHABLE when the server does not do it */
  async once<T>(operation: () => Promise<T>): Promise<T> {
    if (this.lost.aborted) throw new GrailError('UNREACHABLE', 'the NATS server is away');
    try {
      this.#streams ??= makeStreams(this.jsm, this.names, this.settings);
      const done = this.#streams.then(operation);
      return await unlessAborted(done, this.lost, () => new Error('the connection was lost'));
    } catch (error) {
      if (error instanceof GrailError) throw error;
      this.makeAgain();
      const { message } = error as Error;
      throw new GrailError('UNREACHABLE', `the NATS server does not do it: ${message}`, {}, { cause: error });
    }
  }

  /** The server may have lost the streams: they are looked at before the next operation. */
  makeAgain(): void {
    this.#streams = null;
  }

  /** Ends a subscription after what is on its way to it has come. */
  async end(subscription: Subscription): Promise<void> {
    if (subscription.isClosed()) return;
    if (this.lost.aborted) subscription.unsubscribe();
    else await unlessAborted(subscription.drain(), this.lost).catch(() => {});
  }

  async close(): Promise<void> {
    if (!this.lost.aborted) await settledWithin(this.nc.flush(), FLUSH_MS);
    await this.nc.close();
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') {
        this.#lost.abort();
        this.#back = Promise.withResolvers();
      } else if (status.type === 'reconnect') {
        this.#streams = null;
        this.#refused = null;
        this.#lost = new AbortController();
        this.#back.resolve();
      } else if (status.type === 'error') {
        this.#refused = `the NATS server refuses: ${status.error.message}`;
      }
    }
    this.#lost.abort();
  }
}
