import { canonicalText } from '../src/protocol/canonical.ts';
import { GrailError } from '../src/protocol/errors.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { type Message, signMessage } from '../src/protocol/messages.ts';
import type { Acknowledgement } from '../src/protocol/wire.ts';
import type { VerifierClient } from './client.ts';
import type { Conduct } from './conduct.ts';
import type { RolloutEngine, RolloutInput } from './engine/index.ts';
import { type MinerEvent, verdictRejection } from './events.ts';
import type { Step } from './plan.ts';
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

  constructor(parts: DelivererParts) {
    this.#parts = parts;
  }

  /**
   * Carries out one step; doing it again is harmless.
   * @throws GrailError what making something threw: UNREACHABLE, PATCH_CHAIN_BROKEN, WITNESS_FAILED, PROVER_FAILED, …
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
        const openings = await this.#work(window).openings();
        return this.#post(openings, ({ index }) => log({ event: 'opened', window, index }));
      }
      case 'prove': {
        const { window, part } = step;
        const before = now();
        const proofs = await this.#work(window).proofs(part);
        const seconds = (now() - before) / 1000;
        const parts = client.genesis.challengesPerMiner / client.genesis.stepsPerProof;
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

  /** Reports every few seconds how far the rollouts of a window are: those that take less are not worth a line. */
  #progress(window: number): (done: number, total: number) => void {
    const { log, now } = this.#parts;
    let last = now();
    return (done, total) => {
      if (now() - last < PROGRESS_MS) return;
      last = now();
      log({ event: 'playing', window, done, total });
    };
  }

  /** Posts messages at once, and reports the first acknowledgement unless one was refused. */
  async #post(
    messages: readonly Message[],
    report: (acknowledgement: Acknowledgement) => void,
  ): Promise<Outcome> {
    const { client, signal } = this.#parts;
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

  /** Fetches and checks the receipt of a verdict, and reports it. */
  async #settle(window: number): Promise<Outcome> {
    const { client, identity, view, log, signal } = this.#parts;
    const result = view.windows.get(window)!.result!;
    const receipt = await client.receipt(window, identity.address, { signal });
    if (canonicalText(receipt.result) !== canonicalText(result)) {
      throw new GrailError(
        'LEDGER_DIVERGED',
        `the receipt of window ${window} is not what the verdict says`,
        { window },
      );
    }
    const { credit, trained, rejection } = result;
    if (rejection !== null) log(verdictRejection(window, rejection));
    const { index, insecureDev } = receipt;
    log({ event: 'verdict', window, credit, total: String(view.credit), trained, insecureDev, index });
    return { kind: 'settled', rejected: rejection !== null };
  }
}
