import { pause, settledWithin } from './abort.ts';
import { type JobKind, type JobQueue, type JobWorker, MAX_BUS_BYTES } from './bus.ts';
import { failureOf, unheard } from './failure.ts';
import { checkSize, isJobId, retryDelayMs } from './limits.ts';
import { traceOf, withEnd } from './nats-headers.ts';
import type { NatsLink } from './nats-link.ts';
import { type Delivery, pullJob } from './nats-pull.ts';

export type JobHandler = Parameters<JobQueue['work']>[1];

/** Renewals in the time of a lease. */
const RENEWALS = 3;

/** Wait before jobs are asked for again of a server that has none to give: it lost the consumer, or refuses. */
const PULL_AGAIN_MS = 500;

/** Takes jobs of a kind, one after the other while there is a place, so that each goes to a process that works on it. */
export class NatsWorker implements JobWorker {
  readonly #link: NatsLink;
  readonly #kind: JobKind;
  readonly #handler: JobHandler;
  readonly #concurrency: number;
  readonly #stopping = new AbortController();
  readonly #leases = new Map<AbortController, Delivery>();
  readonly #works = new Set<Promise<void>>();
  readonly #pulling: Promise<void>;
  /** No job is worked on any more, whoever finishes it. */
  #over = false;

  constructor(link: NatsLink, kind: JobKind, handler: JobHandler, concurrency: number) {
    this.#link = link;
    this.#kind = kind;
    this.#handler = handler;
    this.#concurrency = concurrency;
    this.#pulling = this.#pull();
  }

  async stop({ graceMs }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopping.abort();
    await settledWithin(
      this.#pulling.then(() => Promise.all(this.#works)),
      graceMs,
    );
    this.#over = true;
    for (const [lease, delivery] of this.#leases) {
      if (!lease.signal.aborted) this.#giveBack(delivery, 0);
      lease.abort();
    }
  }

  async #pull(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#link.ready(signal);
        const delivery = await pullJob(this.#link, this.#kind, signal);
        if (delivery !== null) this.#take(delivery);
      } catch {
        if (signal.aborted) return;
        this.#link.makeAgain();
        await pause(PULL_AGAIN_MS, signal);
      }
      while (this.#works.size >= this.#concurrency && !signal.aborted) await Promise.race(this.#works);
    }
  }

  #take(delivery: Delivery): void {
    if (this.#over) {
      this.#giveBack(delivery, 0);
      return;
    }
    const { subject, data } = delivery.message;
    const id = subject.split('.').at(-1)!;
    if (subject !== this.#link.names.job(this.#kind, id) || !isJobId(id) || data.length > MAX_BUS_BYTES) {
      // No verifier put this.
      delivery.done();
      return;
    }
    const lease = new AbortController();
    this.#leases.set(lease, delivery);
    const renewing = this.#renew(delivery, lease);
    const work = this.#work(id, delivery, lease.signal)
      // Its lease runs out, and the job is delivered again.
      .catch(() => {})
      .finally(() => {
        clearInterval(renewing);
        this.#leases.delete(lease);
        this.#works.delete(work);
      });
    this.#works.add(work);
  }

  async #work(id: string, delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { jsm, js, names, settings } = this.#link;
    const { message, attempt } = delivery;
    const subject = names.end(this.#kind, id, 'result');
    const find = () => jsm.streams.getMessage(names.resultStream, { last_by_subj: subject });
    if ((await this.#link.persist(find, signal)) === null) {
      if (attempt > settings.attempts) return this.#bury(id, delivery, unheard(), signal);
      let result: Uint8Array;
      try {
        result = await this.#handler(new Uint8Array(message.data), {
          attempt,
          trace: traceOf(message),
          signal,
        });
        checkSize(result);
      } catch (error) {
        if (signal.aborted) return;
        if (attempt === settings.attempts) return this.#bury(id, delivery, error, signal);
        this.#giveBack(delivery, retryDelayMs(settings, attempt));
        return;
      }
      await this.#link.persist(() => js.publish(subject, result), signal);
    }
    delivery.done();
  }

  async #bury(id: string, delivery: Delivery, error: unknown, signal: AbortSignal): Promise<void> {
    const { js, names, settings } = this.#link;
    const { code, message } = failureOf(error);
    const attempts = Math.min(delivery.attempt, settings.attempts);
    const letter = withEnd({ attempts, error: { code, message } });
    const subject = names.end(this.#kind, id, 'dead');
    await this.#link.persist(() => js.publish(subject, delivery.message.data, letter), signal);
    delivery.done();
  }

  /** While the connection is away the lease runs out by itself; told later, it would end somebody else's. */
  #giveBack(delivery: Delivery, delayMs: number): void {
    if (!this.#link.lost.aborted) delivery.giveBack(delayMs);
  }

  #renew(delivery: Delivery, lease: AbortController): NodeJS.Timeout {
    const { leaseMs } = this.#link.settings;
    let renewedMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - renewedMs >= leaseMs) lease.abort();
      else if (!this.#link.lost.aborted) {
        delivery.renew();
        const renewed = () => {
          renewedMs = nowMs;
        };
        // The server answers in order, so it has renewed what came before.
        this.#link.nc.flush().then(renewed, () => {});
      }
    }, leaseMs / RENEWALS);
    lease.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    return timer;
  }
}
