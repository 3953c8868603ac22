import type { Hex } from '../protocol/bytes.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { Phase } from '../protocol/phases.ts';
import type { VerdictBody } from './bodies.ts';

/** A message that stands in the ledger. */
export interface Posted<M> {
  readonly message: M;
  readonly miner: Hex;
  /** EIP-712 digest, 32 bytes. */
  readonly digest: Uint8Array;
  /** Index of its entry. */
  readonly index: number;
}

/** The messages of one phase: at most one a miner counts; two different ones count as none. */
export class PhaseMessages<M extends { miner: Hex }> {
  readonly #first = new Map<Hex, Posted<M>>();
  readonly #second = new Map<Hex, Posted<M>>();
  /** What `miners` and `counted` gave last, until something is added: they are asked for with every batch of entries. */
  #miners: readonly Hex[] | null = null;
  #counted: readonly Posted<M>[] | null = null;

  get(miner: Hex): Posted<M> | undefined {
    return this.#first.get(miner);
  }

  /** The second, different message of a miner, if it sent one. */
  conflict(miner: Hex): Posted<M> | undefined {
    return this.#second.get(miner);
  }

  /** Records a message: the first of a miner, or the evidence that it signed another. */
  add(posted: Posted<M>): void {
    (this.#first.has(posted.miner) ? this.#second : this.#first).set(posted.miner, posted);
    this.#miners = null;
    this.#counted = null;
  }

  /** Miners that posted. */
  get size(): number {
    return this.#first.size;
  }

  /** All miners that posted, equivocators included, sorted by address. */
  miners(): readonly Hex[] {
    this.#miners ??= [...this.#first.keys()].sort();
    return this.#miners;
  }

  /** The messages that count, sorted by address. */
  counted(): readonly Posted<M>[] {
    this.#counted ??= this.miners()
      .filter((miner) => !this.#second.has(miner))
      .map((miner) => this.#first.get(miner)!);
    return this.#counted;
  }

  /** The miner's message if it counts. */
  countedOf(miner: Hex): Posted<M> | undefined {
    return this.#second.has(miner) ? undefined : this.#first.get(miner);
  }
}

/** Everything that the ledger says of one window so far. */
export class WindowState {
  readonly window: number;
  /** The phase whose messages are accepted now; `done` after the verdict. */
  phase: Phase | 'done' = 'enrol';
  readonly enrolments = new PhaseMessages<MessageOf<'enrol'>>();
  readonly commits = new PhaseMessages<MessageOf<'commit'>>();
  readonly openings = new PhaseMessages<MessageOf<'opening'>>();
  /** Proofs by miner and part, in ledger order. */
  readonly proofs = new Map<Hex, Posted<MessageOf<'proof'>>[][]>();
  open: { beacon0: Uint8Array; policyVersion: number; policyRoot: Uint8Array; seed: Uint8Array } | null =
    null;
  challenge: { beacon1: Uint8Array; commitRoot: Uint8Array; seed: Uint8Array } | null = null;
  fold: { openingsRoot: Uint8Array; rho: bigint } | null = null;
  verdict: VerdictBody | null = null;

  constructor(window: number) {
    this.window = window;
  }

  /** Slots that a miner enrolled; 0 without a counted enrolment. */
  slots(miner: Hex): number {
    return this.enrolments.countedOf(miner)?.message.slots ?? 0;
  }

  /** Messages of the phases that hold at most one a miner. */
  messages(phase: 'enrol' | 'commit' | 'opening') {
    return { enrol: this.enrolments, commit: this.commits, opening: this.openings }[phase];
  }
}
