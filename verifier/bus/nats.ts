import type { Msg } from '@nats-io/transport-node';
import { GrailError } from '../../src/protocol/errors.ts';
import { unlessAborted } from './abort.ts';
import { AnswerQueue } from './answer-queue.ts';
import { type Bus, DEFAULT_JOB_SETTINGS, type JobSettings } from './bus.ts';
import { failureFrom, failureOf } from './failure.ts';
import { checkSize, checkSubject } from './limits.ts';
import { hear } from './listener.ts';
import { natsCredentials, openConnection, parseNatsUrl } from './nats-connect.ts';
import { errorOf, traceOf, withError, withTrace } from './nats-headers.ts';
import { NatsJobs } from './nats-jobs.ts';
import { NatsLink } from './nats-link.ts';

export interface NatsOptions {
  /** Which process this is, for those who look at the server. */
  readonly name: string;
  /** First 16 hex digits of the genesis hash: each network has its own subjects and streams. */
  readonly namespace: string;
  readonly settings?: Partial<JobSettings>;
  readonly signal: AbortSignal;
  /** `GRAIL_NATS_CREDS` names a file of credentials. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * A bus on a NATS server with JetStream, for a verifier of several processes.
 * @param url `nats://` or `tls://`, with user and password or a token where the server asks for them
 * @throws GrailError USAGE for a URL or a file of credentials that cannot be read; UNREACHABLE when there is no such server,
 *   or none that is fit; STOPPED when aborted
 */
export async function connectNats(url: string, options: NatsOptions): Promise<Bus> {
  const { name, namespace, settings, signal, env = process.env } = options;
  if (!/^[0-9a-f]{16}$/.test(namespace)) throw new RangeError('a namespace is 16 hex digits');
  const address = parseNatsUrl(url);
  const login = await natsCredentials(env.GRAIL_NATS_CREDS);
  const nc = await openConnection(
    { name: address.name, options: { ...address.options, ...login, name: `grail ${name}` } },
    signal,
  );
  const link = await NatsLink.over(nc, namespace, { ...DEFAULT_JOB_SETTINGS, ...settings });
  return new NatsBus(address.name, link);
}

class NatsBus implements Bus {
  readonly name: string;
  readonly jobs: NatsJobs;
  readonly #link: NatsLink;

  constructor(name: string, link: NatsLink) {
    this.name = name;
    this.#link = link;
    this.jobs = new NatsJobs(link);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkSubject(subject);
    checkSize(bytes);
    const { nc, names, lost } = this.#link;
    if (!lost.aborted) nc.publish(names.told(subject), bytes);
  }

  subscribe(subject: string, listener: (bytes: Uint8Array) => void): () => void {
    checkSubject(subject);
    const { nc, names } = this.#link;
    const subscription = nc.subscribe(names.told(subject), {
      callback: (error, message) => {
        if (error === null) hear(listener, new Uint8Array(message.data));
      },
    });
    return () => subscription.unsubscribe();
  }

  async request(
    subject: string,
    bytes: Uint8Array,
    { timeoutMs, trace }: Parameters<Bus['request']>[2],
  ): Promise<Uint8Array> {
    checkSubject(subject);
    checkSize(bytes);
    const { nc, names, lost } = this.#link;
    const away = () => new GrailError('UNREACHABLE', 'the NATS server is away');
    if (lost.aborted) throw away();
    let answer: Msg;
    try {
      const options = { timeout: timeoutMs, ...withTrace(trace) };
      answer = await unlessAborted(nc.request(names.asked(subject), bytes, options), lost, away);
    } catch (error) {
      if (error instanceof GrailError) throw error;
      const { message } = error as Error;
      throw new GrailError('UNREACHABLE', `${subject} was not answered: ${message}`, {}, { cause: error });
    }
    const failure = errorOf(answer);
    if (failure !== null) throw failureFrom(failure);
    return new Uint8Array(answer.data);
  }

  serve(...[subject, handler, options]: Parameters<Bus['serve']>): () => Promise<void> {
    checkSubject(subject);
    const { nc, names } = this.#link;
    const queue = new AnswerQueue(options);
    const respond = async (message: Msg) => {
      try {
        const trace = traceOf(message);
        const answer = await queue.answer(() => handler(new Uint8Array(message.data), { trace }));
        checkSize(answer);
        message.respond(answer);
      } catch (error) {
        // While the connection is away nobody waits for it any more.
        if (!nc.isClosed()) message.respond('', withError(JSON.stringify(failureOf(error))));
      }
    };
    const subscription = nc.subscribe(names.asked(subject), {
      callback: (error, message) => {
        if (error === null) void respond(message);
      },
    });
    return async () => {
      await this.#link.end(subscription);
      await queue.idle();
    };
  }

  trouble(): string | null {
    return this.#link.trouble();
  }

  async close(): Promise<void> {
    await this.jobs.close();
    await this.#link.close();
  }
}
