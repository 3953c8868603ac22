import type { LedgerEntry } from '../src/ledger/entry.ts';
import type { TreeHead } from '../src/ledger/head.ts';
import type { Ledger } from '../src/ledger/log.ts';
import type { Hex } from '../src/protocol/bytes.ts';
import type { Code } from '../src/protocol/codes.ts';
import type { Details } from '../src/protocol/errors.ts';
import type { Acknowledgement, Receipt } from '../src/protocol/wire.ts';
import type { NetworkState } from '../src/replica/state.ts';

/** What happens in a verifier, for its socket and its log. */
export type VerifierEvent =
  | { readonly type: 'entry'; readonly index: number; readonly entry: LedgerEntry }
  /** A report of this verifier; nothing in the protocol reads it. */
  | {
      readonly type: 'evaluation';
      readonly version: number;
      readonly meanReturn: number;
      readonly episodes: number;
    }
  | {
      readonly type: 'refused';
      readonly miner: Hex | null;
      readonly window: number | null;
      readonly message: string;
      readonly error: { readonly code: Code; readonly message: string; readonly details: Details };
    };

export interface WindowStatus {
  readonly window: number;
  readonly phase: string;
  readonly policyVersion: number | null;
  readonly enrolled: number;
  readonly slots: number;
  /** Miners whose message the phase waits for. */
  readonly pending: number;
}

export interface NetworkStatus {
  readonly genesisHash: Hex;
  readonly insecureDev: boolean;
  readonly size: number;
  readonly policyVersion: number;
  readonly policyRoot: Hex;
  readonly trainerStateRoot: Hex;
  readonly verdicts: number;
  /** True when the run that it was started for is over: nothing more is accepted. */
  readonly finished: boolean;
  /** The last evaluation of this process, if any. */
  readonly evaluation: { readonly version: number; readonly meanReturn: number } | null;
  readonly windows: readonly WindowStatus[];
}

/** The one writer of a ledger, as the gateway sees it. */
export interface SequencerView {
  readonly state: NetworkState;
  readonly ledger: Ledger;
  /**
   * Admits a parsed-or-not message, and resolves when its entry is durable.
   * @throws GrailError with the code of the refusal
   */
  submit(message: unknown): Promise<Acknowledgement>;
  /** The newest signed tree head. */
  head(): Promise<TreeHead>;
  /** @throws GrailError NOT_FOUND */
  receipt(window: number, miner: Hex): Promise<Receipt>;
  status(): NetworkStatus;
  /** Calls `listener` on every event until the returned function is called. */
  subscribe(listener: (event: VerifierEvent) => void): () => void;
}
