import { createInbox, type Msg, nanos } from '@nats-io/transport-node';
import type { JobKind } from './bus.ts';
import type { NatsLink } from './nats-link.ts';
import { WORKERS } from './nats-names.ts';

/** How long the server looks for a job before it is asked anew. */
const PULL_MS = 10_000;

/** How much later its answer is given up: without the consumer there is no answer at all. */
const SILENCE_MS = 2_000;

/** A job that was handed out to this process. */
export class Delivery {
  readonly message: Msg;
  /** 1 at the first delivery. */
  readonly attempt: number;

  private constructor(message: Msg, attempt: number) {
    this.message = message;
    this.attempt = attempt;
  }

  /** Null for what the server says of the pull itself, and for what is no delivery. */
  static of(message: Msg): Delivery | null {
    // `$JS.ACK.STREAM.CONSUMER.DELIVERIES.…`; newer servers put a domain and an account before the stream.
    const tokens = (message.reply ?? '').split('.');
    if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return null;
    const attempt = Number(tokens.length === 9 ? tokens[4] : tokens[6]);
    return Number.isSafeInteger(attempt) && attempt > 0 ? new Delivery(message, attempt) : null;
  }

  /** Takes the job off the queue. */
  done(): void {
    this.message.respond('+ACK');
  }

  /** Gives it back: it is delivered again after `delayMs`. */
  giveBack(delayMs: number): void {
    this.message.respond(delayMs === 0 ? '-NAK' : `-NAK ${JSON.stringify({ delay: nanos(delayMs) })}`);
  }

  /** Renews the lease. */
  renew(): void {
    this.message.respond('+WPI');
  }
}

/**
 * The next job of a kind: null when there was none for a while, the signal is aborted or the connection is lost.
 * @throws Error when the server refuses, or does not know of the consumer
 */
export async function pullJob(link: NatsLink, kind: JobKind, signal: AbortSignal): Promise<Delivery | null> {
  const { nc, names, lost } = link;
  if (signal.aborted || lost.aborted) return null;
  const answer = Promise.withResolvers<void>();
  const inbox = createInbox();
  let delivery: Delivery | null = null;
  const subscription = nc.subscribe(inbox, {
    max: 1,
    callback: (error, message) => {
      delivery = error === null ? Delivery.of(message) : null;
      if (delivery !== null || isTimeout(message)) answer.resolve();
      else answer.reject(error ?? new Error('the NATS server gives no jobs'));
    },
  });
  const giveUp = () => answer.resolve();
  const silent = () => answer.reject(new Error('the NATS server does not answer'));
  const silence = setTimeout(silent, PULL_MS + SILENCE_MS);
  signal.addEventListener('abort', giveUp, { once: true });
  lost.addEventListener('abort', giveUp, { once: true });
  nc.publish(
    `$JS.API.CONSUMER.MSG.NEXT.${names.jobStream(kind)}.${WORKERS}`,
    JSON.stringify({ batch: 1, expires: nanos(PULL_MS) }),
    { reply: inbox },
  );
  try {
    await answer.promise;
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', giveUp);
    lost.removeEventListener('abort', giveUp);
    // What is on its way would otherwise keep its lease with nobody to work on it.
    await link.end(subscription);
  }
  return delivery;
}

/** JetStream's 408: it had no job in that time. */
function isTimeout(message: Msg): boolean {
  try {
    return message.headers?.code === 408;
  } catch {
    return false;
  }
}
