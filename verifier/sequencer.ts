import type { LedgerEntry } from '../src/ledger/entry.ts';
import type { TreeHead } from '../src/ledger/head.ts';
import type { Ledger } from '../src/ledger/log.ts';
import type { Policy } from '../src/policy/architecture.ts';
import { foldDigest, foldPolicy } from '../src/proofs/fold.ts';
import type { Beacon } from '../src/protocol/beacon.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { describeRejection, GrailError } from '../src/protocol/errors.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { type Message, messageDigest, parseMessage } from '../src/protocol/messages.ts';
import { CLOSERS, type Phase } from '../src/protocol/phases.ts';
import type { Acknowledgement, Receipt } from '../src/protocol/wire.ts';
import { place, precheck } from '../src/replica/admission.ts';
import type { CloserBody, VerdictBody } from '../src/replica/bodies.ts';
import { KEPT_POLICIES } from '../src/replica/judge.ts';
import { enrolled, type NetworkState } from '../src/replica/state.ts';
import { assembleVerdict, type CheckProofs } from '../src/replica/verdict.ts';
import type { WindowState } from '../src/replica/window.ts';
import { windowInput } from '../src/replica/window-input.ts';
import type { BlobStore } from '../src/storage/blobs.ts';
import type { LedgerBatch, LedgerWriter } from '../src/storage/ledger-database.ts';
import { untilStored } from '../src/storage/retry.ts';
import { Attestor } from './attestor.ts';
import { CheckedProofs } from './checked-proofs.ts';
import type { VerifierConfig } from './config.ts';
import { Journal } from './journal.ts';
import type { Log } from './log.ts';
import type { VerifierMetrics } from './metrics/index.ts';
import { networkStatus } from './network-status.ts';
import { PhaseTimers } from './phase-timers.ts';
import type { NetworkStatus, SequencerView, VerifierEvent } from './types.ts';
import { type WindowJudge, WindowOutcomes } from './window-outcomes.ts';

/** What a sequencer works with. */
export interface SequencerParts {
  readonly state: NetworkState;
  readonly ledger: Ledger;
  /** The shared database's lease; null where the ledger's own file is all there is. */
  readonly writer: LedgerWriter | null;
  readonly identity: Identity;
  readonly beacon: Beacon;
  readonly judge: WindowJudge;
  readonly checkProofs: CheckProofs;
  readonly blobs: BlobStore;
  /** Keeps a trainer state, on disk when it resolves; a cache that a replay can make again. */
  readonly keepTrainerState: (version: number, bytes: Uint8Array) => Promise<void>;
  /** Policies of the newest versions. */
  readonly policies: Map<number, Policy>;
  readonly config: VerifierConfig;
  readonly log: Log;
  readonly metrics: Pick<VerifierMetrics, 'ledger' | 'work' | 'queues'>;
}

/** How long a phase still waits for miners that are rejected already: they may want to hear what else they did wrong. */
const REJECTED_GRACE_MS = 2000;

/** Entries that may wait for the disk; beyond them messages are refused. */
const MOST_PENDING = 4_096;

/** How long a stop waits for the disk. */
const STOP_MS = 5_000;

/**
 * The one writer of a ledger. It admits messages, closes phases when their miners have delivered or a timer ran out,
 * has windows judged, and publishes verdicts. Its memory is the ledger: after a kill it goes on where the entries end.
 *
 * Its state runs ahead of the disk: a message is admitted and placed at once, and acknowledged when its entry is durable.
 * Nobody hears of an entry before that, so what a crash forgets was never promised.
 */
export class Sequencer implements SequencerView {
  readonly state: NetworkState;
  readonly ledger: Ledger;
  readonly #parts: SequencerParts;
  readonly #journal: Journal;
  readonly #attestor: Attestor;
  readonly #listeners = new Set<(event: VerifierEvent) => void>();
  readonly #outcomes: WindowOutcomes;
  /** Time of phases, by `window phase`. */
  readonly #timers = new PhaseTimers(() => this.#advance());
  /** Miners that a closing enrol phase waits for; one that let a phase expire is dropped until it sends something. */
  readonly #expected = new Set<Hex>();
  readonly #proofs: CheckedProofs;
  readonly #policies: Map<number, Policy>;
  readonly #stop = new AbortController();
  /** Why a policy or trainer state cannot be stored now, or null. */
  #blobTrouble: GrailError | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #finished = false;
  /** Rejected with what the network cannot go on from, which may happen before it is waited for. */
  readonly #failure = Promise.withResolvers<never>();
  #evaluation: { readonly version: number; readonly meanReturn: number } | null = null;

  constructor(parts: SequencerParts) {
    this.#parts = parts;
    this.#failure.promise.catch(() => {});
    this.state = parts.state;
    this.ledger = parts.ledger;
    this.#policies = parts.policies;
    this.#attestor = new Attestor(parts);
    this.#journal = new Journal({
      ledger: parts.ledger,
      writer: parts.writer,
      onDurable: (batch, seconds) => {
        parts.metrics.ledger.appended(batch.entries.length, seconds);
        this.#durable(batch);
      },
      onTrouble: (trouble) => this.#troubled(trouble),
      onFatal: (error) => this.#failure.reject(error),
    });
    parts.metrics.queues.watchItems('entriesPending', {
      depth: () => this.#journal.pending,
      limit: MOST_PENDING,
    });
    this.#outcomes = new WindowOutcomes({
      judge: parts.judge,
      evaluationEpisodes: parts.config.evaluationEpisodes,
      metrics: parts.metrics.work,
      log: parts.log,
      onJudged: () => this.#advance(),
      onFailed: (error) => {
        if (!this.#stopped) this.#failure.reject(error);
      },
    });
    this.#proofs = new CheckedProofs(parts.checkProofs, parts.metrics.work, this.#stop.signal);
    for (const miner of this.state.miners.keys()) this.#expected.add(miner);
    this.#signLast();
    const { windows } = parts.config;
    this.#finished = windows !== null && this.state.nextVerdict >= windows;
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Why the storage takes nothing now, or null. */
  get trouble(): GrailError | null {
    return this.#journal.trouble ?? this.#blobTrouble;
  }

  /** Signs the head that a kill may have left unsigned, before anything is appended behind it. */
  #signLast(): void {
    const { window, phase, body } = this.ledger.get(this.ledger.size - 1);
    const signed = this.ledger.heads().at(-1)?.treeSize === this.ledger.size;
    if (phase !== 'genesis' && body.type === CLOSERS[phase] && !signed) {
      this.#journal.putHead(this.#attestor.head(window, phase));
    }
  }

  /**
   * Starts closing phases. Resolves once the run is over (`windows` or `goal` of the configuration); rejects when the
   * network cannot go on.
   */
  run(): Promise<void> {
    return Promise.race([this.#failure.promise, this.#toTheEnd()]);
  }

  async #toTheEnd(): Promise<void> {
    await this.#resume();
    if (this.#finished) return;
    return new Promise((resolve) => {
      this.subscribe(() => {
        if (this.#finished && this.#journal.pending === 0) resolve();
      });
      this.#advance();
    });
  }

  /** Waits for what is under way and accepts nothing more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#timers.clear();
    // A verdict whose blobs are stored must become an entry: only a storage that takes nothing is not waited for.
    const timer = setTimeout(() => void this.#journal.close(0), STOP_MS);
    await this.#running?.catch(() => {});
    clearTimeout(timer);
    await this.#journal.close(STOP_MS);
  }

  /** Takes up windows that were challenged before a restart. */
  async #resume(): Promise<void> {
    const { config, judge } = this.#parts;
    const newest = this.state.versions.length - 1;
    const wanted = config.evaluationEpisodes > 0 && (config.goal !== null || this.#finished);
    if (wanted && newest > 0) {
      const meanReturn = await judge.evaluate(this.#policies.get(newest)!, config.evaluationEpisodes);
      this.#evaluation = { version: newest, meanReturn };
      if (config.goal !== null && meanReturn >= config.goal) this.#finished = true;
    }
    if (this.#finished) return;
    for (let window = this.state.nextVerdict; window <= this.state.enrolWindow; window++) {
      const state = this.state.window(window);
      if (state?.challenge) this.#outcomes.start(windowInput(state));
    }
  }

  /** As SequencerView says. @param options.vouched the signature was checked by a gateway of this verifier */
  async submit(value: unknown, options: { readonly vouched?: boolean } = {}): Promise<Acknowledgement> {
    if (this.#stopped) throw new GrailError('STOPPED', 'this verifier is stopping: try again soon');
    if (this.#finished) throw new GrailError('STOPPED', 'this run is over: it accepts nothing more');
    let message: Message | null = null;
    try {
      message = parseMessage(value);
      return await this.#accept(message, options.vouched ?? false);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      this.#refused(message, error);
      throw error;
    }
  }

  async #accept(message: Message, vouched: boolean): Promise<Acknowledgement> {
    precheck(this.state, message);
    this.#checkRoom();
    const digest = messageDigest(this.state.domain, message);
    const admission = vouched ? place(this.state, message, digest) : this.state.admit(message, digest);
    // Whoever repeats an old message of somebody does not make everybody wait for that miner.
    if (admission.kind !== 'duplicate') this.#expected.add(message.miner);
    const index = admission.kind === 'duplicate' ? admission.index : this.#append(admission.entry);
    const { enrolWindow } = this.state;
    await this.#journal.durable(index + 1);
    // A registration stands where it was first posted; a promise of another window would be one that is not kept.
    const registered = admission.kind === 'duplicate' ? this.ledger.get(admission.index).window : null;
    const window = 'window' in message ? message.window : (registered ?? enrolWindow);
    if (admission.kind === 'evidence') {
      const posted = this.state.window(window)?.messages(message.type as 'enrol' | 'commit' | 'opening');
      throw new GrailError(
        'EQUIVOCATION',
        'two different messages of this key in one phase: neither counts',
        {
          type: message.type,
          window,
          expected: toHex(posted?.get(message.miner)?.digest ?? digest),
          got: toHex(digest),
        },
      );
    }
    const phase: Phase =
      message.type === 'register' ? 'enrol' : message.type === 'proof' ? 'prove' : message.type;
    return this.#attestor.acknowledge(digest, window, phase, index);
  }

  /** @throws GrailError STORAGE_UNAVAILABLE, TOO_MANY_REQUESTS */
  #checkRoom(): void {
    const { trouble, pending } = this.#journal;
    if (trouble !== null) {
      throw new GrailError('STORAGE_UNAVAILABLE', 'the verifier cannot store messages now: try again soon', {
        retryAfterSeconds: 2,
      });
    }
    if (pending >= MOST_PENDING) {
      throw new GrailError('TOO_MANY_REQUESTS', 'too many messages wait for the disk', {
        retryAfterSeconds: 1,
      });
    }
  }

  #refused(message: Message | null, error: GrailError): void {
    const { log } = this.#parts;
    const type = message?.type ?? 'unreadable';
    const window = message !== null && 'window' in message ? message.window : null;
    const miner = message?.miner ?? null;
    log.warn(`refused ${type}`, { miner, window, code: error.code, reason: error.message, ...error.details });
    this.#emit({ type: 'refused', miner, window, message: type, error: error.toJSON() });
  }

  /** Places an entry and applies it; nobody hears of it before it is durable. */
  #append(entry: LedgerEntry, head?: () => TreeHead): number {
    const index = this.#journal.append(entry, head);
    this.state.apply(entry, { signatureChecked: true });
    return index;
  }

  #durable(batch: LedgerBatch): void {
    for (const { index } of batch.entries) {
      this.#emit({ type: 'entry', index, entry: this.ledger.get(index) });
    }
    this.#advance();
  }

  #troubled(trouble: GrailError | null): void {
    const { log } = this.#parts;
    if (trouble === null) log.info('the storage takes entries again', { entries: this.ledger.size });
    else {
      log.error(`nothing can be stored: ${trouble.message}`, {
        code: trouble.code,
        pending: this.#journal.pending,
      });
      this.#timers.clear();
    }
  }

  #close(window: number, phase: Phase, body: CloserBody): void {
    const entry: LedgerEntry = { window, phase, view: 0, author: this.#attestor.address, body };
    this.#append(entry, () => this.#attestor.head(window, phase));
    for (const key of [`${window} ${phase}`, `${window} ${phase} rejected`]) this.#timers.forget(key);
    this.#parts.log.info(`window ${window}: ${phase} closed by ${body.type}`, {
      entries: this.ledger.stagedSize,
    });
  }

  async head(): Promise<TreeHead> {
    return this.ledger.heads().at(-1) ?? this.#attestor.head(0, 'genesis');
  }

  async receipt(window: number, miner: Hex): Promise<Receipt> {
    return this.#attestor.receipt(window, miner);
  }

  status(): NetworkStatus {
    const run = { finished: this.#finished, evaluation: this.#evaluation };
    return networkStatus(this.state, this.ledger, run, (window) => this.#pending(window).length);
  }

  subscribe(listener: (event: VerifierEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #emit(event: VerifierEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Closes what can be closed, again and again, one round at a time. */
  #advance(): void {
    this.#again = true;
    if (this.#running !== null || this.#stopped || this.#finished) return;
    this.#running = (async () => {
      await Promise.resolve();
      while (this.#again && !this.#stopped && !this.#finished) {
        this.#again = false;
        for (let window = this.state.nextVerdict; window <= this.state.enrolWindow; window++) {
          if (await this.#step(this.state.window(window)!)) this.#again = true;
          if (this.#stopped || this.#finished) return;
        }
      }
    })().then(
      () => {
        this.#running = null;
        if (this.#again) this.#advance();
      },
      (error: Error) => {
        this.#running = null;
        if (!this.#stopped) this.#failure.reject(error);
      },
    );
  }

  #pending(window: WindowState): Hex[] {
    const pending = this.state.pending(window);
    return window.phase === 'enrol' ? pending.filter((miner) => this.#expected.has(miner)) : pending;
  }

  /** Closes the window's phase if it is time. True when it did. */
  async #step(window: WindowState): Promise<boolean> {
    const { phase } = window;
    if (phase === 'done' || !this.#mayClose(window)) return false;
    const key = `${window.window} ${phase}`;
    const pending = this.#pending(window);
    const nobody = phase === 'enrol' && enrolled(window).length === 0 && !this.#someoneMayEnrolLater();
    if (nobody || (pending.length > 0 && !this.#timers.expired(key))) {
      // What nobody can deliver is not late.
      if (this.#journal.trouble === null) this.#timers.start(key, this.#parts.config.phaseTimeoutMs);
      if (nobody || !pending.every((miner) => this.#outcomes.rejected(window.window, miner))) return false;
      // Only miners that cannot be credited any more are missing.
      if (!this.#timers.expired(`${key} rejected`)) {
        this.#timers.start(`${key} rejected`, Math.min(REJECTED_GRACE_MS, this.#parts.config.phaseTimeoutMs));
        return false;
      }
    }
    if (pending.length > 0) {
      this.#parts.log.warn(`window ${window.window}: ${phase} closes without ${pending.length} miners`, {
        pending,
      });
      if (phase === 'enrol') for (const miner of pending) this.#expected.delete(miner);
    }
    if (phase === 'prove') return this.#publish(window);
    const beacon = await this.#draw(window, phase);
    // Nothing may be awaited from the body to its entry: it speaks of every entry before it, and one that came between
    // would stand in the ledger for ever, before a closer that contradicts it.
    this.#close(window.window, phase, this.#body(window, phase, beacon));
    if (phase === 'commit') this.#outcomes.start(windowInput(window));
    return true;
  }

  /** Whether a registered miner is kept out by the window's number alone: then an empty window brings it closer. */
  #someoneMayEnrolLater(): boolean {
    return [...this.state.miners.keys()].some((miner) => {
      const refusal = this.state.enrolRefusal(miner, this.state.enrolWindow);
      return refusal?.code === 'NOT_YET_ELIGIBLE' || refusal?.code === 'COOLING_DOWN';
    });
  }

  /** Whether everything but the miners is ready for the phase to close. */
  #mayClose(window: WindowState): boolean {
    const before = this.state.window(window.window - 1);
    switch (window.phase) {
      case 'enrol': {
        const { windows } = this.#parts.config;
        const version = Math.max(0, window.window - this.state.genesis.lag);
        return version < this.state.versions.length && (windows === null || window.window < windows);
      }
      case 'commit':
        // Beacons are revealed in order.
        return before === undefined || before.challenge !== null;
      case 'opening':
        return true;
      case 'prove':
        return window.window === this.state.nextVerdict;
      case 'done':
        return false;
    }
  }

  /** The beacon's value that closes the phase; null where it takes none. */
  async #draw(window: WindowState, phase: 'enrol' | 'commit' | 'opening'): Promise<Uint8Array | null> {
    if (phase === 'opening') return null;
    return this.#parts.beacon.draw(window.window, phase === 'enrol' ? 0 : 1);
  }

  #body(
    window: WindowState,
    phase: 'enrol' | 'commit' | 'opening',
    beacon: Uint8Array | null,
  ): Exclude<CloserBody, VerdictBody> {
    switch (CLOSERS[phase]) {
      case 'open':
        return this.state.openBody(beacon!);
      case 'challenge':
        return this.state.challengeBody(window.window, beacon!);
      case 'fold':
        return this.state.foldBody(window.window, (rho) =>
          foldDigest(foldPolicy(this.#policyOf(window), rho)),
        );
    }
  }

  #policyOf(window: WindowState): Policy {
    return this.#policies.get(window.open!.policyVersion)!;
  }

  /** Tries until the storage takes it, as the journal does with entries. */
  #stored(action: () => Promise<void>): Promise<void> {
    const onTrouble = (trouble: GrailError | null) => {
      this.#blobTrouble = trouble;
      this.#troubled(trouble);
    };
    return untilStored(action, { signal: this.#stop.signal, onTrouble });
  }

  async #publish(window: WindowState): Promise<boolean> {
    const { blobs, keepTrainerState, log, config, metrics } = this.#parts;
    const { work, evaluation, seconds } = await this.#outcomes.of(window.window);
    const began = performance.now();
    let verdict: VerdictBody;
    let proofs: number;
    do {
      // A second proof may come while the first is checked: the verdict is that of all entries before it.
      proofs = countProofs(window);
      verdict = await assembleVerdict(this.state, window, work, this.#policyOf(window), this.#proofs.check);
      if (this.#stopped) return false;
      // From here to the entry nothing stops but a kill: a stored blob that no entry names would fail an audit.
      await this.#stored(async () => {
        await blobs.put(work.patch);
        if (work.anchor !== null) await blobs.put(work.anchor);
        await keepTrainerState(work.update.version, work.trainerState);
      });
    } while (proofs !== countProofs(window));
    this.#policies.set(work.update.version, work.policy);
    this.#policies.delete(work.update.version - KEPT_POLICIES);
    if (config.windows !== null && window.window === config.windows - 1) this.#finished = true;
    if (config.goal !== null && evaluation !== null && evaluation >= config.goal) this.#finished = true;
    this.#outcomes.forget(window.window);
    this.#proofs.clear();
    this.#close(window.window, 'prove', verdict);
    await this.#journal.durable();
    metrics.work.windowWork('publish', (performance.now() - began) / 1000);
    if (evaluation !== null) {
      const { version } = work.update;
      this.#evaluation = { version, meanReturn: evaluation };
      this.#emit({
        type: 'evaluation',
        version,
        meanReturn: evaluation,
        episodes: config.evaluationEpisodes,
      });
    }
    for (const { miner, rejection } of verdict.results) {
      if (rejection !== null)
        log.warn(`window ${window.window}: rejected ${miner}: ${describeRejection(rejection)}`);
    }
    log.info(`window ${window.window}: verdict`, {
      policy: work.update.version,
      trained: verdict.results.filter(({ trained }) => trained).length,
      meanReturn: work.update.metrics.meanReturn ?? null,
      evaluation,
      seconds: Number(seconds.toFixed(2)),
    });
    return true;
  }
}

function countProofs(window: WindowState): number {
  let count = 0;
  for (const parts of window.proofs.values()) for (const posted of parts) count += posted.length;
  return count;
}
