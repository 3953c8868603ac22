import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { canonicalText } from '../src/protocol/canonical.ts';
import { type Details, GrailError } from '../src/protocol/errors.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { type Message, messageDigest, signMessage } from '../src/protocol/messages.ts';
import type { Acknowledgement, Receipt } from '../src/protocol/wire.ts';
import type { VerifierClient } from './client.ts';
import type { Conduct } from './conduct.ts';
import type { RolloutEngine, RolloutInput } from './engine/index.ts';
import { type MinerEvent, type Progress, verdictRejection } from './events.ts';
import { Pace } from './pace.ts';
import { partsOf, type Step } from './plan.ts';
import type { PolicyStore } from './policies.ts';
import type { NetworkView } from './view.ts';
import { type Prover, WindowWork } from './work.ts';

export interface DelivererParts {
  readonly client: VerifierClient;
  readonly identity: Identity;
  /** Slots to enrol. */
  readonly slots: number;
  readonly conduct: Conduct;
  readonly engine: RolloutEngine;
  readonly prover: Prover;
  readonly policies: PolicyStore;
  readonly view: NetworkView;
  readonly log: (event: MinerEvent) => void;
  readonly onProgress: (progress: Progress) => void;
  /** Gets every receipt that was checked. */
  readonly onReceipt: (receipt: Receipt) => void;
  readonly signal: AbortSignal;
  /** Milliseconds of a clock that only moves forward, for reports. */
  readonly now: () => number;
}

/** What became of a step. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'settled'; readonly rejected: boolean }
  | { readonly kind: 'refused'; readonly message: Message; readonly error: unknown };

const DONE: Outcome = { kind: 'done' };

/** Milliseconds between two reports on rollouts that are being made. */
const PROGRESS_MS = 5000;

/** Carries out the steps of one miner: makes what is wanted, posts it, and reports what the verifier promised. */
export class Deliverer {
  readonly #parts: DelivererParts;
  readonly #works = new Map<number, WindowWork>();
  /** Digests of what this process has posted, by window. */
  readonly #sent = new Map<number, Set<Hex>>();

  constructor(parts: DelivererParts) {
    this.#parts = parts;
  }

  /**
   * Carries out one step; doing it again is harmless.
   * @throws GrailError what making something threw: UNREACHABLE, PATCH_CHAIN_BROKEN, WITNESS_FAILED, PROVER_FAILED, …;
   *   ALREADY_RUNNING when the ledger has another message of this key than this miner makes: nothing is posted then
   */
  async perform(step: Step): Promise<Outcome> {
    const { client, identity, slots, log, now } = this.#parts;
    const miner = identity.address;
    switch (step.kind) {
      case 'register': {
        const message = signMessage(client.domain, identity, { type: 'register', miner });
        return this.#post([message], ({ window }) =>
          log({ event: 'registered', miner, enrolsFrom: window + 2 }),
        );
      }
      case 'enrol': {
        const { window } = step;
        const message = signMessage(client.domain, identity, { type: 'enrol', miner, window, slots });
        return this.#post([message], () => log({ event: 'enrolled', window, slots }));
      }
      case 'commit': {
        const { window } = step;
        const commits = await this.#work(window).commits();
        return this.#post(commits, ({ index }) => log({ event: 'committed', window, index }));
      }
      case 'opening': {
        const { window } = step;
        this.#checkOwn(await this.#work(window).commits());
        const openings = await this.#work(window).openings();
        return this.#post(openings, ({ index }) => log({ event: 'opened', window, index }));
      }
      case 'prove': {
        const { window, part } = step;
        const before = now();
        this.#checkOwn(await this.#work(window).openings());
        const proofs = await this.#work(window).proofs(part);
        const seconds = (now() - before) / 1000;
        const parts = partsOf(client.genesis);
        return this.#post(proofs, ({ index }) => {
          log({ event: 'proved', window, part, parts, index, seconds });
        });
      }
      case 'settle':
        return this.#settle(step.window);
    }
  }

  /** Drops what was made for a window. */
  forget(window: number): void {
    this.#works.delete(window);
    this.#sent.delete(window);
  }

  /** Whether this process has posted a message. */
  hasSent(message: Message): boolean {
    return 'window' in message && this.#sent.get(message.window)?.has(this.#digest(message)) === true;
  }

  #digest(message: Message): Hex {
    return toHex(messageDigest(this.#parts.client.domain, message));
  }

  /**
   * Compares what this miner makes in a phase with what the ledger has of its key there. A second, different message would
   * be proof of equivocation, and one that builds on another's could not be right. Proofs of one statement may differ.
   * @throws GrailError ALREADY_RUNNING
   */
  #checkOwn(messages: readonly Message[]): void {
    const [first] = messages;
    if (first === undefined || first.type === 'register' || first.type === 'proof') return;
    const { type, window } = first;
    const made = messages.map((message) => this.#digest(message));
    const other = this.#parts.view.own(type, window).find((message) => !made.includes(this.#digest(message)));
    if (other !== undefined)
      throw alreadyRunning(type, window, { expected: made[0]!, got: this.#digest(other) });
  }

  #work(window: number): WindowWork {
    let work = this.#works.get(window);
    if (work === undefined) {
      const { client, identity, slots, conduct, engine, view, policies, log, signal } = this.#parts;
      const state = view.windows.get(window)!;
      const told = new Set<string>();
      const context = {
        genesis: client.genesis,
        genesisHash: client.genesisHash,
        domain: client.domain,
        identity,
        view,
        window: state,
        slots: view.slots(state) || slots,
        policies,
        play: (input: RolloutInput) => engine.play(input, { signal, onProgress: this.#progress(window) }),
        tell: (what: string) => {
          if (!told.has(what)) log({ event: 'cheating', window, kind: conduct.name, what });
          told.add(what);
        },
      };
      work = new WindowWork(context, this.#parts);
      this.#works.set(window, work);
    }
    return work;
  }

  /** Says how far the rollouts of a window are, to the log every few seconds: those that take less are not worth a line. */
  #progress(window: number): (done: number, total: number) => void {
    const { log, onProgress, now } = this.#parts;
    const pace = new Pace(now);
    let last = now();
    return (done, total) => {
      pace.update(done);
      const { perSecond } = pace;
      const stepsPerSecond = perSecond === null ? null : Math.round(perSecond);
      const progress = { window, done, total, stepsPerSecond, etaSeconds: pace.etaSeconds(total) };
      onProgress({ kind: 'playing', ...progress });
      if (now() - last < PROGRESS_MS) return;
      last = now();
      log({ event: 'playing', ...progress });
    };
  }

  /** Posts messages at once, and reports the first acknowledgement unless one was refused. */
  async #post(
    messages: readonly Message[],
    report: (acknowledgement: Acknowledgement) => void,
  ): Promise<Outcome> {
    const { client, signal } = this.#parts;
    this.#checkOwn(messages);
    for (const message of messages) this.#noteSent(message);
    const posts = messages.map((message) => client.post(message, { signal }));
    const outcomes = await Promise.allSettled(posts);
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected')
        return { kind: 'refused', message: messages[i]!, error: outcome.reason };
    }
    const [first] = outcomes;
    if (first?.status === 'fulfilled') report(first.value);
    return DONE;
  }

  #noteSent(message: Message): void {
    if (message.type === 'register') return;
    const sent = this.#sent.get(message.window) ?? new Set();
    this.#sent.set(message.window, sent.add(this.#digest(message)));
  }

  /** Fetches and checks the receipt of a verdict, and reports it. */
  async #settle(window: number): Promise<Outcome> {
    const { client, identity, view, log, onReceipt, signal } = this.#parts;
    const result = view.windows.get(window)!.result!;
    const receipt = await client.receipt(window, identity.address, { signal });
    if (canonicalText(receipt.result) !== canonicalText(result)) {
      throw new GrailError(
        'LEDGER_DIVERGED',
        `the receipt of window ${window} is not what the verdict says`,
        { window },
      );
    }
    onReceipt(receipt);
    const { slots, credit, trained, rejection } = result;
    if (rejection !== null) log(verdictRejection(window, rejection));
    const { emission, insecureDev } = client.genesis;
    const share = emission === 0 ? 0 : credit / emission;
    const total = String(view.credit);
    log({
      event: 'verdict',
      window,
      slots,
      credit,
      share,
      total,
      trained,
      insecureDev,
      index: receipt.index,
    });
    return { kind: 'settled', rejected: rejection !== null };
  }
}

/** The error of a key that is in use elsewhere. @param details which message was expected of it, and which came */
export function alreadyRunning(type: string, window: number, details: Details): GrailError {
  const message = `another process uses this key: in window ${window} it posted another ${type} than this one makes. Stop one of the two: two different messages of a phase cost the bond`;
  return new GrailError('ALREADY_RUNNING', message, { window, type, ...details });
}
