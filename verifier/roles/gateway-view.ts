import { z } from 'zod';
import type { TreeHead } from '../../src/ledger/head.ts';
import { headSchema } from '../../src/ledger/head.ts';
import type { Ledger } from '../../src/ledger/log.ts';
import { type Hex, utf8 } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { checkSignature, type Message, messageDigest, parseMessage } from '../../src/protocol/messages.ts';
import {
  type Acknowledgement,
  acknowledgementSchema,
  type Receipt,
  receiptSchema,
} from '../../src/protocol/wire.ts';
import { place, precheck } from '../../src/replica/admission.ts';
import type { NetworkState } from '../../src/replica/state.ts';
import type { Bus } from '../bus/bus.ts';
import { networkStatus } from '../network-status.ts';
import type { NetworkStatus, SequencerView, VerifierEvent } from '../types.ts';
import type { LedgerFollower } from './follower.ts';
import { EVENTS_SUBJECT, HEAD_SUBJECT, RECEIPT_SUBJECT, SUBMIT_SUBJECT } from './subjects.ts';

/** How long a message waits for the sequencer. Its sender tries again, and nothing is taken twice. */
const SUBMIT_MS = 10_000;
const ASK_MS = 5_000;
/** When to ask again that nobody answered: another sequencer may take over. */
const AGAIN_SECONDS = 2;

/** Refusals that may only mean that this copy of the ledger is behind. */
const BEHIND = [
  'NOT_REGISTERED',
  'PHASE_NOT_OPEN',
  'NOT_ENROLLED',
  'COMMIT_MISSING',
  'OPENING_MISSING',
  'NOT_YET_ELIGIBLE',
];

const eventSchema = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('evaluation'),
    version: z.int(),
    meanReturn: z.number(),
    episodes: z.int(),
  }),
  z.looseObject({ type: z.literal('refused') }),
  z.looseObject({ type: z.literal('finished') }),
]);

export interface GatewayViewParts {
  readonly state: NetworkState;
  readonly ledger: Ledger;
  readonly bus: Bus;
}

/**
 * The network as a gateway shows it: entries and proofs from its own copy of the ledger; messages are checked as far as that
 * goes, signature included, and passed on to the sequencer.
 */
export class GatewayView implements SequencerView {
  readonly state: NetworkState;
  readonly ledger: Ledger;
  readonly #bus: Bus;
  readonly #listeners = new Set<(event: VerifierEvent) => void>();
  #follower: LedgerFollower | null = null;
  #unsubscribe: (() => void) | null = null;
  #evaluation: NetworkStatus['evaluation'] = null;
  #finished = false;

  constructor({ state, ledger, bus }: GatewayViewParts) {
    this.state = state;
    this.ledger = ledger;
    this.#bus = bus;
  }

  start(follower: LedgerFollower): void {
    this.#follower = follower;
    this.#unsubscribe = this.#bus.subscribe(EVENTS_SUBJECT, (bytes) => this.#hear(bytes));
  }

  stop(): void {
    this.#unsubscribe?.();
  }

  /** Tells listeners of an entry that is applied. */
  applied(index: number): void {
    if (this.#listeners.size === 0) return;
    this.#emit({ type: 'entry', index, entry: this.ledger.get(index) });
  }

  async submit(value: unknown): Promise<Acknowledgement> {
    const message = parseMessage(value);
    try {
      await this.#check(message);
      const answer = await this.#ask(SUBMIT_SUBJECT, utf8(JSON.stringify(message)), SUBMIT_MS);
      return parsed(acknowledgementSchema, answer);
    } catch (error) {
      if (error instanceof GrailError) this.#refused(message, error);
      throw error;
    }
  }

  async receipt(window: number, miner: Hex): Promise<Receipt> {
    const question = utf8(JSON.stringify({ window, miner }));
    return parsed(receiptSchema, await this.#ask(RECEIPT_SUBJECT, question, ASK_MS));
  }

  async head(): Promise<TreeHead> {
    const newest = this.ledger.heads().at(-1);
    if (newest !== undefined) return newest;
    return parsed(headSchema, await this.#ask(HEAD_SUBJECT, new Uint8Array(), ASK_MS));
  }

  status(): NetworkStatus {
    return networkStatus(this.state, this.ledger, { finished: this.#finished, evaluation: this.#evaluation });
  }

  subscribe(listener: (event: VerifierEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The sequencer's answer. @throws GrailError UNREACHABLE, which says when to ask again; what the sequencer throws */
  async #ask(subject: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    try {
      return await this.#bus.request(subject, bytes, { timeoutMs });
    } catch (error) {
      if (!(error instanceof GrailError) || error.code !== 'UNREACHABLE') throw error;
      const retryAfterSeconds = AGAIN_SECONDS;
      throw new GrailError(
        'UNREACHABLE',
        'no sequencer answers now: try again soon',
        { retryAfterSeconds },
        { cause: error },
      );
    }
  }

  /** Everything that is checked before the sequencer is bothered. */
  async #check(message: Message): Promise<void> {
    try {
      precheck(this.state, message);
    } catch (error) {
      if (!(error instanceof GrailError) || !BEHIND.includes(error.code)) throw error;
      await this.#follower?.look();
      precheck(this.state, message);
    }
    const digest = messageDigest(this.state.domain, message);
    checkSignature(message, digest);
    // A copy that is behind refuses too little here, or what the sequencer would refuse as well.
    if (message.type !== 'register' && message.type !== 'enrol') place(this.state, message, digest);
  }

  #refused(message: Message, error: GrailError): void {
    this.#emit({
      type: 'refused',
      miner: message.miner,
      window: 'window' in message ? message.window : null,
      message: message.type,
      error: error.toJSON(),
    });
  }

  #hear(bytes: Uint8Array): void {
    let event: z.infer<typeof eventSchema>;
    try {
      event = parsed(eventSchema, bytes);
    } catch {
      return;
    }
    if (event.type === 'finished') this.#finished = true;
    else if (event.type === 'evaluation') {
      const { version, meanReturn, episodes } = event;
      this.#evaluation = { version, meanReturn };
      this.#emit({ type: 'evaluation', version, meanReturn, episodes });
    }
  }

  #emit(event: VerifierEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** What another process of the verifier sent. @throws GrailError INTERNAL when it is not what it should be */
function parsed<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.infer<S> {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw new GrailError(
      'INTERNAL',
      'another process of this verifier answered something else',
      {},
      { cause: error },
    );
  }
}
