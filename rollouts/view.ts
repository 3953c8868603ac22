import type { LedgerEntry } from '../src/ledger/entry.ts';
import { type Genesis, genesisHash } from '../src/params/genesis.ts';
import { rhoFrom } from '../src/proofs/fold.ts';
import { checkBeacon } from '../src/protocol/beacon.ts';
import { bytesToBig, fromHex, type Hex } from '../src/protocol/bytes.ts';
import { canonicalText } from '../src/protocol/canonical.ts';
import { challengeSeed } from '../src/protocol/challenges.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { recover } from '../src/protocol/identity.ts';
import { type Message, type MessageOf, type MessageType, messageDigest } from '../src/protocol/messages.ts';
import { CLOSERS, type Phase } from '../src/protocol/phases.ts';
import { windowSeed } from '../src/protocol/seeds.ts';
import type { PublishedVersion } from '../src/pulse/index.ts';
import {
  bodySchema,
  type ChallengeBody,
  type CloserBody,
  type FoldBody,
  type MinerResult,
  type OpenBody,
  type VerdictBody,
} from '../src/replica/bodies.ts';

/** Windows kept after their verdict. */
const KEPT_WINDOWS = 16;

/** One window as a miner sees it: what the verifier closed, and what the ledger holds of the miner itself. */
export interface WindowView {
  readonly window: number;
  phase: Phase | 'done';
  open: { readonly policyVersion: number; readonly policyRoot: Hex; readonly seed: Uint8Array } | null;
  challenge: { readonly seed: Uint8Array } | null;
  fold: { readonly rho: bigint } | null;
  /** What the verdict said of this miner; null before it, or when it was not enrolled. */
  result: MinerResult | null;
  /** This miner's own messages that stand in the ledger; more than one commit or opening is equivocation. */
  readonly enrols: MessageOf<'enrol'>[];
  readonly commits: MessageOf<'commit'>[];
  readonly openings: MessageOf<'opening'>[];
  readonly proofs: MessageOf<'proof'>[];
}

/**
 * The network as one miner needs it, from the verifier's entries and its own. It recomputes all that follows from them
 * — seeds, ρ, which policy a window uses, the beacon's chain — and takes on trust only what other miners' entries
 * decide: the roots of closed phases.
 */
export class NetworkView {
  readonly genesis: Genesis;
  readonly genesisHash: Uint8Array;
  readonly miner: Hex;
  readonly windows = new Map<number, WindowView>();
  /** Policies that verdicts published, for planCatchUp. Version 0 is genesis's own and needs no blob. */
  readonly versions: PublishedVersion[];
  /** The window whose enrol phase is open. */
  enrolWindow = 0;
  /** First entry that was not seen. */
  next = 0;
  /** First window that this miner may enrol in; null while it is not registered. */
  eligibleFrom: number | null;
  /** Last window that it may not enrol in after losing its bond; −1 when free. */
  coolingUntil = -1;
  /** Everything that verdicts credited to it, in base units. */
  credit = 0n;
  #nextVerdict = 0;
  #beacons: [Uint8Array | null, Uint8Array | null] = [null, null];

  constructor(genesis: Genesis, miner: Hex) {
    this.genesis = genesis;
    this.genesisHash = genesisHash(genesis);
    this.miner = miner;
    this.versions = [{ version: 0, policyRoot: genesis.initialPolicyRoot }];
    this.eligibleFrom = genesis.miners.includes(miner) ? 0 : null;
    this.windows.set(0, emptyWindow(0));
  }

  /** Slots that the miner enrolled in a window; 0 when it is not enrolled, or its enrolment does not count. */
  slots(window: WindowView): number {
    return window.enrols.length === 1 ? window.enrols[0]!.slots : 0;
  }

  /**
   * Takes the next entry. Entries before `next` were seen and are ignored, so that a feed may repeat itself.
   * @returns the message, when the entry is one of this miner's that was not seen before
   * @throws GrailError GENESIS_MISMATCH, BEACON_INVALID or LEDGER_INVALID: the verifier broke a rule
   */
  apply(index: number, entry: LedgerEntry): Message | null {
    if (index < this.next) return null;
    const parsed = bodySchema.safeParse(entry.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw invalid(index, `its body is malformed: ${issue.path.join('.')}: ${issue.message}`);
    }
    const body = parsed.data;
    if (body.type === 'genesis') {
      if (canonicalText(body.genesis) !== canonicalText(this.genesis)) {
        throw new GrailError('GENESIS_MISMATCH', 'the ledger starts with the genesis of another network');
      }
    } else if (!('miner' in body)) {
      this.#close(index, entry, body);
    } else if (body.miner === this.miner) {
      this.#own(index, body);
    }
    this.next = index + 1;
    return 'miner' in body && body.miner === this.miner ? body : null;
  }

  /** This miner's messages of a type that stand in the ledger of a window. */
  own(type: Exclude<MessageType, 'register'>, window: number): readonly Message[] {
    const state = this.windows.get(window);
    if (state === undefined) return [];
    return { enrol: state.enrols, commit: state.commits, opening: state.openings, proof: state.proofs }[type];
  }

  #own(index: number, message: Message): void {
    // What it did is what it signed: a verifier must not talk it into slots that it never enrolled.
    const domain = { chainId: this.genesis.chainId, genesisHash: this.genesisHash };
    const signer = recover(messageDigest(domain, message), message.signature);
    if (signer !== this.miner) throw invalid(index, 'it is in the name of this miner, which did not sign it');
    if (message.type === 'register') {
      this.eligibleFrom ??= this.enrolWindow + 2;
      return;
    }
    const window = this.windows.get(message.window);
    if (window === undefined) return;
    if (message.type === 'enrol') window.enrols.push(message);
    else if (message.type === 'commit') window.commits.push(message);
    else if (message.type === 'opening') window.openings.push(message);
    else window.proofs.push(message);
  }

  #close(index: number, entry: LedgerEntry, body: CloserBody): void {
    if (!this.genesis.verifiers.some(({ address }) => address === entry.author)) {
      throw invalid(index, 'its author is not a verifier of this network');
    }
    const window = this.windows.get(body.window);
    if (window === undefined || window.phase === 'done' || CLOSERS[window.phase] !== body.type) {
      throw invalid(index, `window ${body.window} is not in the phase that ${body.type} closes`);
    }
    if (body.type === 'open') this.#opened(index, window, body);
    else if (body.type === 'challenge') this.#challenged(window, body);
    else if (body.type === 'fold') this.#folded(index, window, body);
    else this.#judged(index, window, body);
  }

  #opened(index: number, window: WindowView, body: OpenBody): void {
    const beacon0 = this.#drawn(0, body.beacon0);
    const policyVersion = Math.max(0, body.window - this.genesis.lag);
    const expected = this.versions[policyVersion]?.policyRoot;
    if (body.policyVersion !== policyVersion || body.policyRoot !== expected) {
      throw invalid(
        index,
        `window ${body.window} must use policy ${policyVersion} with root ${expected ?? '(not published yet)'}`,
      );
    }
    const policyRoot = fromHex(body.policyRoot);
    const seed = windowSeed({ genesisHash: this.genesisHash, window: body.window, policyRoot, beacon0 });
    window.open = { policyVersion, policyRoot: body.policyRoot, seed };
    window.phase = 'commit';
    this.enrolWindow = body.window + 1;
    this.windows.set(this.enrolWindow, emptyWindow(this.enrolWindow));
  }

  #challenged(window: WindowView, body: ChallengeBody): void {
    const beacon1 = this.#drawn(1, body.beacon1);
    const commitPhaseRoot = fromHex(body.commitRoot);
    const { genesisHash } = this;
    window.challenge = {
      seed: challengeSeed({ genesisHash, window: body.window, beacon1, commitPhaseRoot }),
    };
    window.phase = 'opening';
  }

  #folded(index: number, window: WindowView, body: FoldBody): void {
    const rho = rhoFrom({
      genesisHash: this.genesisHash,
      window: body.window,
      policyRoot: fromHex(window.open!.policyRoot),
      challengeSeed: window.challenge!.seed,
      openingsRoot: fromHex(body.openingsRoot),
    });
    if (bytesToBig(fromHex(body.rho)) !== rho)
      throw invalid(index, 'rho is not the one that the openings give');
    window.fold = { rho };
    window.phase = 'prove';
  }

  #judged(index: number, window: WindowView, body: VerdictBody): void {
    const { update } = body;
    if (body.window !== this.#nextVerdict || update.version !== body.window + 1) {
      throw invalid(index, `the next verdict is that of window ${this.#nextVerdict}`);
    }
    this.#nextVerdict++;
    const { hash, bytes } = update.patch;
    const baseRoot = this.versions[body.window]!.policyRoot;
    this.versions.push({
      version: update.version,
      policyRoot: update.policyRoot,
      patch: { hash, bytes, baseRoot },
      ...(update.anchor === null ? {} : { anchor: update.anchor }),
    });
    window.result = body.results.find(({ miner }) => miner === this.miner) ?? null;
    window.phase = 'done';
    if (window.result !== null) {
      this.credit += BigInt(window.result.credit);
      if (window.result.rejection !== null) {
        this.coolingUntil = body.window + this.genesis.lag + 1 + this.genesis.coolDown;
      }
    }
    this.windows.delete(body.window - KEPT_WINDOWS);
  }

  #drawn(which: 0 | 1, text: Hex): Uint8Array {
    const value = fromHex(text);
    if (!checkBeacon(this.genesis.beacon, which, value, this.#beacons[which])) {
      throw new GrailError(
        'BEACON_INVALID',
        `beacon ${which} is not the next value of its chain: do not trust this verifier`,
        {
          got: text,
        },
      );
    }
    this.#beacons[which] = value;
    return value;
  }
}

function emptyWindow(window: number): WindowView {
  return {
    window,
    phase: 'enrol',
    open: null,
    challenge: null,
    fold: null,
    result: null,
    enrols: [],
    commits: [],
    openings: [],
    proofs: [],
  };
}

function invalid(index: number, message: string): GrailError {
  return new GrailError('LEDGER_INVALID', `entry ${index}: ${message}: do not trust this verifier`, {
    index,
  });
}
