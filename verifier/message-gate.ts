import { createHash } from 'node:crypto';
import type { Code } from '../src/protocol/codes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import type { Message } from '../src/protocol/messages.ts';
import type { Acknowledgement } from '../src/protocol/wire.ts';
import { tooMany } from './failures.ts';
import { FairShare } from './fair-share.ts';
import type { GatewayLimits } from './limits.ts';
import { TokenBuckets } from './rates.ts';
import type { SequencerView } from './types.ts';

/** Refusals that come after the signature was found to be the miner's. */
const SIGNED: readonly Code[] = [
  'NOT_YET_ELIGIBLE',
  'COOLING_DOWN',
  'SLOTS_INVALID',
  'POLICY_ROOT_MISMATCH',
  'CHALLENGE_MISMATCH',
  'INT8_RANGE',
  'EQUIVOCATION',
];

interface GateParts {
  readonly sequencer: Pick<SequencerView, 'state' | 'submit'>;
  readonly limits: GatewayLimits;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Messages by address. */
  readonly messages: TokenBuckets;
}

/**
 * Who may make the sequencer work. Anyone can write a miner's name into a message, and anyone can repeat what a miner
 * posted, since the ledger is public: neither may cost that miner anything. So a signature that is not the miner's is
 * charged to the address that sent it, a repetition is answered from memory, and only what the miner did sign and is in no
 * ledger is charged to its key.
 */
export class MessageGate {
  readonly #parts: GateParts;
  readonly #registrations: TokenBuckets;
  readonly #refused: TokenBuckets;
  readonly #inFlight: FairShare;
  /** Acknowledgements given, and those that are awaited, by what they acknowledge; the newest last. */
  readonly #known = new Map<string, Promise<Acknowledgement>>();

  constructor(parts: GateParts) {
    this.#parts = parts;
    const { limits, now } = parts;
    this.#registrations = new TokenBuckets(
      { perSecond: limits.registrationsPerSecond, burst: limits.registrationsBurst },
      1,
      now,
    );
    this.#refused = new TokenBuckets(
      { perSecond: limits.refusedPerSecond, burst: limits.refusedBurst },
      limits.rememberedKeys,
      now,
    );
    this.#inFlight = new FairShare(Number.MAX_SAFE_INTEGER, limits.messagesInFlightPerKey);
  }

  /** Takes a message that an address sent to the sequencer. @throws GrailError TOO_MANY_REQUESTS, or the sequencer's */
  async submit(address: string, message: Message): Promise<Acknowledgement> {
    const identity = createHash('sha256').update(JSON.stringify(message)).digest('hex');
    const known = this.#known.get(identity);
    if (known !== undefined) return known;
    const registered = this.#parts.sequencer.state.miners.has(message.miner);
    if (registered) {
      const waitMs = this.#refused.wait(message.miner);
      if (waitMs > 0) throw tooMany('refusedPerSecond', 'too many messages of this key were refused', waitMs);
    } else if (message.type === 'register') {
      this.#parts.messages.charge(address, this.#parts.limits.strangerCost);
      const waitMs = this.#registrations.take('');
      if (waitMs > 0) throw tooMany('registrationsPerSecond', 'too many keys are registering', waitMs);
    }
    const place = this.#inFlight.enter(`${address} ${message.miner}`, 1);
    if (place === null) {
      throw tooMany('messagesInFlightPerKey', 'wait for the answers to the messages that you sent', 1_000);
    }
    const answer = this.#ask(address, message);
    this.#remember(identity, answer);
    try {
      return await answer;
    } catch (error) {
      this.#known.delete(identity);
      throw error;
    } finally {
      place.leave();
    }
  }

  async #ask(address: string, message: Message): Promise<Acknowledgement> {
    const { sequencer, messages, limits } = this.#parts;
    try {
      return await sequencer.submit(message);
    } catch (error) {
      const code = error instanceof GrailError ? error.code : null;
      if (code === 'BAD_SIGNATURE') messages.charge(address, limits.strangerCost);
      else if (code !== null && SIGNED.includes(code)) this.#refused.charge(message.miner, 1);
      throw error;
    }
  }

  #remember(identity: string, answer: Promise<Acknowledgement>): void {
    this.#known.set(identity, answer);
    const { rememberedAcknowledgements: most } = this.#parts.limits;
    if (this.#known.size > most) this.#known.delete(this.#known.keys().next().value!);
  }
}
