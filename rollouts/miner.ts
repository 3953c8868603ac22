import type { LedgerEntry } from '../src/ledger/entry.ts';
import { GrailError } from '../src/protocol/errors.ts';
import type { Identity } from '../src/protocol/identity.ts';
import type { Message } from '../src/protocol/messages.ts';
import type { Receipt } from '../src/protocol/wire.ts';
import { adviceFor } from './advice.ts';
import { Backoff, type BackoffOptions, pause } from './backoff.ts';
import type { VerifierClient } from './client.ts';
import { type Conduct, honest } from './conduct.ts';
import { alreadyRunning, Deliverer } from './deliver.ts';
import type { RolloutEngine } from './engine/index.ts';
import type { MinerEvent, Progress } from './events.ts';
import { followLedger } from './feed.ts';
import { dueSteps, mayEnrol, type Step, stepKey, waitsFor } from './plan.ts';
import { PolicyStore } from './policies.ts';
import { NetworkView, type WindowView } from './view.ts';
import type { Prover } from './work.ts';

export interface MinerOptions {
  readonly client: VerifierClient;
  readonly identity: Identity;
  /** Slots to enrol: a multiple of the group size, at most maxSlots. */
  readonly slots: number;
  /** What plays its slots; it stays the caller's. */
  readonly engine: RolloutEngine;
  readonly prover: Prover;
  readonly conduct?: Conduct;
  /** Windows to take part in before stopping; no end when absent. */
  readonly windows?: number;
  readonly log: (event: MinerEvent) => void;
  /** Hears several times a second what is under way. */
  readonly onProgress?: (progress: Progress) => void;
  /** Gets every receipt that was checked. */
  readonly onReceipt?: (receipt: Receipt) => void;
  /** Stops at once, in the middle of whatever is under way. */
  readonly signal: AbortSignal;
  readonly backoff?: Partial<BackoffOptions>;
  /** Milliseconds, for reports; the monotonic clock unless given. */
  readonly now?: () => number;
}

export interface MinerSummary {
  readonly windows: number;
  readonly verdicts: number;
  readonly rejections: number;
  readonly credit: bigint;
}

export interface Miner {
  readonly view: NetworkView;
  /** What came of it so far. */
  readonly summary: MinerSummary;
  /**
   * Mines until `stop`, the wanted number of windows or the end of the network's run, and finishes what it enrolled in.
   * @throws GrailError STOPPED when aborted; GENESIS_MISMATCH, LEDGER_INVALID, … when the verifier cannot be trusted
   */
  run(): Promise<MinerSummary>;
  /** Enrols in no more windows; `run` resolves when those it is enrolled in are over. */
  stop(): void;
}

/** A miner of one key on one network. It keeps nothing on disk: the ledger says what it has done. */
export function createMiner(options: MinerOptions): Miner {
  return new WindowMiner(options);
}

/** Refusals that are a matter of waiting for another window. */
const WAIT = new Set(['COOLING_DOWN', 'NOT_YET_ELIGIBLE']);

/** Failures of a step after which no other one makes sense. */
const FATAL = new Set(['GENESIS_INVALID', 'GENESIS_MISMATCH', 'LEDGER_DIVERGED', 'ALREADY_RUNNING']);

/** What was done in one window. */
interface Job {
  readonly done: Set<string>;
  /** A message was refused for good: nothing more is posted in this window. */
  abandoned: boolean;
}

class WindowMiner implements Miner {
  readonly view: NetworkView;
  readonly #options: MinerOptions;
  readonly #conduct: Conduct;
  readonly #policies: PolicyStore;
  readonly #deliverer: Deliverer;
  readonly #jobs = new Map<number, Job>();
  readonly #busy = new Set<string>();
  readonly #delayed = new Set<string>();
  readonly #backoffs = new Map<string, Backoff>();
  /** Windows that it took part in. */
  readonly #joined = new Set<number>();
  /** Ends the feed and everything under way, when the run is over or aborted. */
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  #synced = false;
  #started = false;
  /** The registration was acknowledged; its entry may still be on the way. */
  #registered = false;
  #stopping = false;
  /** The verifier said that its run is over; a later one may go on. */
  #finished = false;
  #verdicts = 0;
  #rejections = 0;
  #fatal: unknown = null;

  constructor(options: MinerOptions) {
    const { client, identity } = options;
    this.#options = options;
    this.#conduct = options.conduct ?? honest;
    this.#signal = AbortSignal.any([options.signal, this.#ending.signal]);
    this.view = new NetworkView(client.genesis, identity.address);
    this.#policies = new PolicyStore(client.genesis, (hash) => client.blob(hash, { signal: this.#signal }));
    this.#deliverer = new Deliverer({
      ...options,
      onProgress: options.onProgress ?? (() => {}),
      onReceipt: options.onReceipt ?? (() => {}),
      conduct: this.#conduct,
      policies: this.#policies,
      view: this.view,
      signal: this.#signal,
      now: options.now ?? performance.now.bind(performance),
    });
  }

  async run(): Promise<MinerSummary> {
    const { client, identity, signal, log, backoff } = this.#options;
    try {
      await followLedger({
        endpoints: client.endpoints,
        genesisHash: client.genesisHash,
        miner: identity.address,
        next: () => this.view.next,
        signal: this.#signal,
        onEntry: (index, entry) => this.#entry(index, entry),
        onSynced: () => this.#sync(),
        onDown: (error, retryMs) => {
          log({
            event: 'disconnected',
            code: error.code,
            message: error.message,
            retryMs: Math.round(retryMs),
          });
        },
        ...(backoff && { backoff }),
      });
    } finally {
      this.#ending.abort();
    }
    if (this.#fatal !== null) throw this.#fatal;
    if (signal.aborted) throw new GrailError('STOPPED', 'the miner was stopped before its windows were over');
    const { summary } = this;
    log({ event: 'stopped', ...summary, credit: String(summary.credit) });
    return summary;
  }

  get summary(): MinerSummary {
    return {
      windows: this.#joined.size,
      verdicts: this.#verdicts,
      rejections: this.#rejections,
      credit: this.view.credit,
    };
  }

  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const unfinished = this.#unfinished();
    this.#options.log({
      event: 'stopping',
      windows: unfinished.map(({ window }) => window),
      waits: unfinished.map((state) => waitsFor(this.view, state)),
    });
    this.#askFinished();
    this.#reconcile();
  }

  #entry(index: number, entry: LedgerEntry): void {
    const state = this.view.windows.get(entry.window);
    const before = state?.phase;
    const own = this.view.apply(index, entry);
    if (!this.#synced) return;
    if (own !== null) this.#checkSent(index, own);
    if (state !== undefined && state.phase !== before && this.#joined.has(state.window)) {
      this.#options.log({ event: 'phase', window: state.window, phase: state.phase });
    }
    this.#reconcile();
  }

  /** Tells of a message of this key that is somebody else's work. What was there before this process is its own past. */
  #checkSent(index: number, message: Message): void {
    if (message.type === 'register' || this.#deliverer.hasSent(message)) return;
    const { type, window } = message;
    this.#options.log({ event: 'foreign', window, message: type, index });
  }

  #sync(): void {
    const { log, client } = this.#options;
    const { enrolWindow, next } = this.view;
    log({ event: 'connected', url: client.url.href, entries: next, window: enrolWindow });
    if (!this.#started) {
      // Verdicts that were there before this process are history.
      for (const { window, phase } of this.view.windows.values()) {
        if (phase === 'done') this.#job(window).done.add(stepKey({ kind: 'settle', window }));
      }
      this.#started = true;
    }
    this.#synced = true;
    this.#finished = false;
    this.#delayed.clear();
    this.#reconcile();
  }

  /** Starts every step that is due and not under way. */
  #reconcile(): void {
    if (!this.#synced || this.#signal.aborted) return;
    for (const window of this.#jobs.keys()) if (!this.view.windows.has(window)) this.#jobs.delete(window);
    for (const state of this.view.windows.values()) {
      if (state.phase !== 'done' && this.view.slots(state) > 0) this.#joined.add(state.window);
    }
    for (const step of dueSteps(this.view, this.#conduct, this.#joins())) {
      const key = stepKey(step);
      if (this.#finished && step.kind !== 'settle') continue;
      if (this.#busy.has(key) || this.#delayed.has(key)) continue;
      if (step.kind === 'register') {
        if (this.#registered) continue;
      } else {
        const job = this.#job(step.window);
        if (job.done.has(key) || (job.abandoned && step.kind !== 'settle')) continue;
      }
      this.#busy.add(key);
      void this.#perform(step)
        .catch((error) => this.#failed(step, error))
        .finally(() => {
          this.#busy.delete(key);
          this.#reconcile();
        });
    }
    const unfinished = this.#unfinished();
    const nothingLeft = this.#busy.size === 0 && unfinished.length === 0;
    // Of a run that is over only verdicts that were not reported yet are waited for.
    const nothingComes = this.#finished && unfinished.every(({ phase }) => phase !== 'done');
    if (!this.#joins() && (nothingLeft || nothingComes)) this.#ending.abort();
  }

  /** Whether it enters another window. */
  #joins(): boolean {
    const { windows } = this.#options;
    return !this.#stopping && (windows === undefined || this.#joined.size < windows);
  }

  /** Windows whose verdict concerns this miner and is not settled. */
  #unfinished(): WindowView[] {
    return [...this.view.windows.values()].filter((state) => {
      const done = this.#jobs.get(state.window)?.done;
      if (state.phase !== 'done') {
        const enrol = stepKey({ kind: 'enrol', window: state.window });
        return this.view.slots(state) > 0 || this.#busy.has(enrol) || done?.has(enrol) === true;
      }
      return state.result !== null && done?.has(`settle ${state.window}`) !== true;
    });
  }

  #job(window: number): Job {
    let job = this.#jobs.get(window);
    if (job === undefined) {
      job = { done: new Set(), abandoned: false };
      this.#jobs.set(window, job);
    }
    return job;
  }

  async #perform(step: Step): Promise<void> {
    // Without an enrolment to show it, posting a commit is what taking part means.
    if (step.kind === 'commit') this.#joined.add(step.window);
    const outcome = await this.#deliverer.perform(step);
    if (outcome.kind === 'refused') {
      this.#refused(step, outcome.message, outcome.error);
      return;
    }
    this.#backoffs.delete(stepKey(step));
    if (step.kind === 'register') {
      this.#registered = true;
      return;
    }
    this.#job(step.window).done.add(stepKey(step));
    if (step.kind === 'enrol') this.#joined.add(step.window);
    if (outcome.kind !== 'settled') return;
    this.#deliverer.forget(step.window);
    this.#verdicts++;
    if (outcome.rejected) {
      this.#rejections++;
      this.#sayWait();
    }
    this.#askFinished();
  }

  #sayWait(): void {
    const from = this.view.coolingUntil + 1;
    const state = this.view.windows.get(this.view.enrolWindow);
    if (state === undefined || mayEnrol(this.view, state) || from <= this.view.enrolWindow) return;
    const message = `the bond is lost: this key may enrol again from window ${from}`;
    this.#options.log({ event: 'waiting', code: 'COOLING_DOWN', message, from });
  }

  #refused(step: Step, message: Message, error: unknown): void {
    const passes = !(error instanceof GrailError) || error.fault !== 'reject';
    const tooLateToEnrol =
      step.kind === 'enrol' && error instanceof GrailError && error.code === 'PHASE_CLOSED';
    if (error instanceof GrailError && (WAIT.has(error.code) || tooLateToEnrol)) {
      const { code, details } = error;
      const next = this.view.enrolWindow + 1;
      const from = Number(
        details.eligibleFrom ?? (typeof details.until === 'number' ? details.until + 1 : next),
      );
      this.#options.log({ event: 'waiting', code, message: error.message, from });
      if (step.kind !== 'register') this.#job(step.window).done.add(stepKey(step));
      return;
    }
    if (passes) {
      this.#failed(step, error);
      return;
    }
    const { expected, got, slot, step: at, part } = error.details;
    this.#rejections++;
    this.#options.log({
      event: 'rejected',
      window: step.kind === 'register' ? null : step.window,
      at: 'gate',
      message: message.type,
      code: error.code,
      ...(typeof slot === 'number' && { slot }),
      ...(typeof at === 'number' && { step: at }),
      ...(typeof part === 'number' && { part }),
      ...(expected !== undefined && { expected }),
      ...(got !== undefined && { got }),
      reason: error.message,
      advice: adviceFor(error.code),
    });
    if (step.kind === 'register') this.#end(error);
    else if (error.code === 'EQUIVOCATION' && this.#conduct === honest) {
      this.#end(alreadyRunning(message.type, step.window, error.details));
    } else this.#job(step.window).abandoned = true;
  }

  /** A step failed on this side, or on the way: tries again later where that may help. */
  #failed(step: Step, error: unknown): void {
    if (this.#signal.aborted) return;
    const { log } = this.#options;
    const coded =
      error instanceof GrailError
        ? error
        : new GrailError('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error));
    const { code, message } = coded;
    if (FATAL.has(code)) {
      this.#end(coded);
      return;
    }
    const key = stepKey(step);
    const again = coded === error && coded.fault !== 'reject';
    if (!again) {
      log({ event: 'failed', step: key, code, message, retryMs: null });
      if (step.kind === 'register') this.#end(coded);
      else if (step.kind === 'settle') this.#job(step.window).done.add(key);
      else this.#job(step.window).abandoned = true;
      return;
    }
    const backoff = this.#backoffs.get(key) ?? new Backoff(this.#options.backoff);
    this.#backoffs.set(key, backoff);
    const retryMs = backoff.next(error);
    log({ event: 'failed', step: key, code, message, retryMs: Math.round(retryMs) });
    this.#delayed.add(key);
    void pause(retryMs, this.#signal).then(() => {
      this.#delayed.delete(key);
      this.#reconcile();
    });
    if (code === 'STOPPED') this.#askFinished();
  }

  /** Learns whether the verifier's run is over: what this miner is enrolled in will then never end. */
  async #checkFinished(): Promise<void> {
    const { client, log } = this.#options;
    if (this.#finished || this.#signal.aborted) return;
    try {
      const { finished } = await client.status({ signal: this.#signal });
      if (!finished || this.#finished) return;
    } catch (error) {
      // A verifier that does not answer is not one whose run is over.
      if (error instanceof GrailError && error.fault !== 'reject') return;
      throw error;
    }
    this.#finished = true;
    log({ event: 'finished' });
    this.#reconcile();
  }

  #askFinished(): void {
    this.#checkFinished().catch((error) => this.#end(error));
  }

  #end(error: unknown): void {
    this.#fatal ??= error;
    this.#ending.abort();
  }
}
