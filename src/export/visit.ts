import type { LedgerEntry } from '../ledger/entry.ts';
import type { Ledger } from '../ledger/log.ts';
import type { Genesis } from '../params/genesis.ts';
import type { CloserBody, VerdictBody } from '../replica/bodies.ts';
import { NetworkState } from '../replica/state.ts';
import type { WindowState } from '../replica/window.ts';

/** Entries that can be applied one after the other: a ledger, or what a bundle has of one. */
export interface Replayable {
  readonly genesis: Genesis;
  readonly state: NetworkState;
  /** Entries of it. */
  readonly size: number;
  entries(): Iterable<{ readonly index: number; readonly entry: LedgerEntry }>;
  /** @throws GrailError LEDGER_INVALID when it breaks a rule */
  apply(index: number, entry: LedgerEntry): void;
}

/** A window at its verdict. */
export interface JudgedWindow {
  readonly state: NetworkState;
  readonly window: WindowState;
  readonly verdict: VerdictBody;
  /** Indices of the entries that closed its phases. */
  readonly closers: Readonly<Record<CloserBody['type'], number>>;
  /** Entries of miners that were filed in it. */
  readonly messages: number;
  /** Entries that were applied so far. */
  readonly applied: number;
}

/** A whole ledger. Signatures are not checked: an audit does that. */
export function replayLedger(ledger: Ledger, genesis: Genesis): Replayable {
  const state = new NetworkState(genesis);
  return {
    genesis,
    state,
    size: ledger.size,
    entries: () => ledger.range(),
    apply: (_, entry) => state.apply(entry, { signatureChecked: true }),
  };
}

/** Applies every entry, and gives each window when its verdict was applied. @throws GrailError LEDGER_INVALID */
export function* judgedWindows(replay: Replayable): Generator<JudgedWindow> {
  const tallies = new Map<number, { closers: Record<string, number>; messages: number }>();
  let applied = 0;
  for (const { index, entry } of replay.entries()) {
    const { window: number, body } = entry;
    const tally = tallies.get(number) ?? { closers: {}, messages: 0 };
    tallies.set(number, tally);
    if ('miner' in body) tally.messages++;
    else tally.closers[body.type] = index;
    replay.apply(index, entry);
    applied++;
    if (body.type !== 'verdict') continue;
    tallies.delete(number);
    const window = replay.state.window(number);
    // A bundle has verdicts of earlier windows, without the windows.
    if (window?.verdict == null) continue;
    yield {
      state: replay.state,
      window,
      verdict: window.verdict,
      closers: tally.closers as JudgedWindow['closers'],
      messages: tally.messages,
      applied,
    };
  }
}
