import type { LedgerEntry } from '../ledger/entry.ts';
import { type Genesis, genesisHash } from '../params/genesis.ts';
import { tensorByteLength } from '../policy/snapshot.ts';
import { rhoFrom } from '../proofs/fold.ts';
import { checkBeacon } from '../protocol/beacon.ts';
import { bigToBytes, bytesToBig, fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { canonicalText } from '../protocol/canonical.ts';
import { challengeSeed } from '../protocol/challenges.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { checkSignature, type Message, messageDigest, type SigningDomain } from '../protocol/messages.ts';
import { phaseRoot } from '../protocol/phases.ts';
import { windowSeed } from '../protocol/seeds.ts';
import { type Admission, notRegistered, place, precheck } from './admission.ts';
import {
  bodySchema,
  type ChallengeBody,
  type CloserBody,
  type FoldBody,
  type OpenBody,
  type PolicyUpdate,
  type VerdictBody,
} from './bodies.ts';
import { credit, rewardRoot } from './credit.ts';
import { type Posted, WindowState } from './window.ts';

/** A policy version as the ledger publishes it. Version 0 is genesis's and has no patch. */
export interface PolicyVersion {
  readonly version: number;
  readonly policyRoot: Hex;
  readonly trainerStateRoot: Hex;
  readonly patch: PolicyUpdate['patch'] | null;
  readonly anchor: PolicyUpdate['anchor'];
}

/** The version that a verdict publishes. */
export function publishedBy({ update }: VerdictBody): PolicyVersion {
  const { version, policyRoot, trainerStateRoot, patch, anchor } = update;
  return { version, policyRoot, trainerStateRoot, patch, anchor };
}

interface MinerRecord {
  /** Entry that registered it; 0 for those of genesis. */
  readonly entry: number;
  /** First window it may enrol in. */
  readonly eligibleFrom: number;
  /** Last window it may not enrol in after losing its bond; −1 when free. */
  coolingUntil: number;
  credit: bigint;
}

/**
 * The network as the ledger tells it: a pure function of the entries in their order. The verifier asks it what it may
 * append, the audit asks it whether what was appended is right; there is one set of rules.
 *
 * It checks everything that costs little: signatures, phases, shapes, roots, beacons, ρ, credits. What costs much —
 * replays, proofs, training — is the judge's (judge.ts).
 */
export class NetworkState {
  readonly genesis: Genesis;
  readonly genesisHash: Uint8Array;
  readonly domain: SigningDomain;
  readonly miners = new Map<Hex, MinerRecord>();
  readonly versions: PolicyVersion[];
  /** Windows that are not done, and the last few that are, by number. */
  readonly windows = new Map<number, WindowState>();
  /** The window whose enrol phase is open. */
  enrolWindow = 0;
  /** The window whose verdict comes next. */
  nextVerdict = 0;
  /** Entries applied. */
  size = 0;
  /** SHA-256 of every proof that was posted in a window that is kept, with its first entry. */
  readonly proofIndex = new Map<Hex, number>();
  #beacons: [Uint8Array | null, Uint8Array | null] = [null, null];

  constructor(genesis: Genesis) {
    this.genesis = genesis;
    this.genesisHash = genesisHash(genesis);
    this.domain = { chainId: genesis.chainId, genesisHash: this.genesisHash };
    this.versions = [
      {
        version: 0,
        policyRoot: genesis.initialPolicyRoot,
        trainerStateRoot: genesis.initialTrainerStateRoot,
        patch: null,
        anchor: { hash: genesis.initialAnchor, bytes: tensorByteLength(genesis.architecture) },
      },
    ];
    for (const miner of genesis.miners) this.#register(miner, 0);
    this.windows.set(0, new WindowState(0));
  }

  /** Entry 0 of every ledger. */
  static genesisEntry(genesis: Genesis): LedgerEntry {
    return { window: 0, phase: 'genesis', view: 0, author: null, body: { type: 'genesis', genesis } };
  }

  /**
   * The network as window `window` begins, where the entries before it are not at hand. Miners' records, policy versions
   * and `size` are the caller's to fill in as the ledger has them.
   * @param beacons the values of the window before; null for window 0
   */
  static before(
    genesis: Genesis,
    window: number,
    beacons: readonly [Uint8Array | null, Uint8Array | null],
  ): NetworkState {
    const state = new NetworkState(genesis);
    state.windows.clear();
    state.windows.set(window, new WindowState(window));
    state.enrolWindow = window;
    state.nextVerdict = window;
    state.#beacons = [...beacons];
    return state;
  }

  #register(miner: Hex, eligibleFrom: number): void {
    this.miners.set(miner, { entry: this.size, eligibleFrom, coolingUntil: -1, credit: 0n });
  }

  /** Parts of a miner's proof: one for each B challenges. */
  get parts(): number {
    return this.genesis.challengesPerMiner / this.genesis.stepsPerProof;
  }

  window(window: number): WindowState | undefined {
    return this.windows.get(window);
  }

  /** Whether a miner may enrol in a window now, or the code that says why not. */
  enrolRefusal(miner: Hex, window: number): GrailError | null {
    const record = this.miners.get(miner);
    if (record === undefined) {
      return notRegistered(miner);
    }
    if (window < record.eligibleFrom) {
      return new GrailError('NOT_YET_ELIGIBLE', `this key may enrol from window ${record.eligibleFrom}`, {
        eligibleFrom: record.eligibleFrom,
        window,
      });
    }
    if (window <= record.coolingUntil) {
      return new GrailError(
        'COOLING_DOWN',
        `this key lost its bond and may enrol after window ${record.coolingUntil}`,
        {
          until: record.coolingUntil,
          window,
        },
      );
    }
    return null;
  }

  /** Bars a miner that was rejected in a window from enrolling for a while. */
  coolDown(miner: Hex, window: number): void {
    const record = this.miners.get(miner);
    if (record !== undefined) record.coolingUntil = window + this.genesis.lag + 1 + this.genesis.coolDown;
  }

  /** Miners that may enrol in the open enrol phase, sorted. */
  eligible(): Hex[] {
    return [...this.miners.keys()]
      .filter((miner) => this.enrolRefusal(miner, this.enrolWindow) === null)
      .sort();
  }

  /** Miners whose message the window's present phase still waits for, sorted; for `enrol`, of those eligible. */
  pending(window: WindowState): Hex[] {
    switch (window.phase) {
      case 'enrol':
        return this.eligible().filter((miner) => window.enrolments.get(miner) === undefined);
      case 'commit':
        return enrolled(window).filter((miner) => window.commits.get(miner) === undefined);
      case 'opening':
        return committed(window).filter((miner) => window.openings.get(miner) === undefined);
      case 'prove':
        return opened(window).filter((miner) => {
          const parts = window.proofs.get(miner);
          for (let part = 0; part < this.parts; part++) if ((parts?.[part]?.length ?? 0) === 0) return true;
          return false;
        });
      case 'done':
        return [];
    }
  }

  /**
   * Decides what becomes of a message now, without changing anything.
   * @throws GrailError with the code of the first rule that it breaks
   */
  admit(message: Message, knownDigest?: Uint8Array): Admission {
    precheck(this, message);
    const digest = knownDigest ?? messageDigest(this.domain, message);
    checkSignature(message, digest);
    return place(this, message, digest);
  }

  /** The body that closes the enrol phase of the open window. @throws WRONG_PHASE until its policy is published */
  openBody(beacon0: Uint8Array): OpenBody {
    const window = this.enrolWindow;
    const policyVersion = Math.max(0, window - this.genesis.lag);
    const version = this.versions[policyVersion];
    if (version === undefined) {
      throw new GrailError('WRONG_PHASE', `window ${window} waits for policy ${policyVersion}`, {
        window,
        policyVersion,
      });
    }
    return {
      type: 'open',
      window,
      beacon0: toHex(beacon0),
      enrolRoot: toHex(phaseRoot(this.genesisHash, this.windows.get(window)!.enrolments.counted())),
      policyVersion,
      policyRoot: version.policyRoot,
    };
  }

  /** The body that closes a window's commit phase. */
  challengeBody(window: number, beacon1: Uint8Array): ChallengeBody {
    const state = this.windows.get(window)!;
    return {
      type: 'challenge',
      window,
      beacon1: toHex(beacon1),
      commitRoot: toHex(phaseRoot(this.genesisHash, state.commits.counted())),
    };
  }

  /** ρ and the openings' root once the opening phase closes now; foldDigest is the caller's (it needs the policy). */
  foldBody(window: number, foldDigest: (rho: bigint) => bigint): FoldBody {
    const state = this.windows.get(window)!;
    const openingsRoot = phaseRoot(this.genesisHash, state.openings.counted());
    const rho = rhoFrom({
      genesisHash: this.genesisHash,
      window,
      policyRoot: state.open!.policyRoot,
      challengeSeed: state.challenge!.seed,
      openingsRoot,
    });
    return {
      type: 'fold',
      window,
      openingsRoot: toHex(openingsRoot),
      rho: toHex(bigToBytes(rho, 32)),
      foldDigest: toHex(bigToBytes(foldDigest(rho), 32)),
    };
  }

  /** The totals after a verdict's credits, and their root. */
  rewardRootAfter(results: VerdictBody['results']): Uint8Array {
    const totals = new Map([...this.miners].map(([miner, record]) => [miner, record.credit]));
    for (const { miner, credit: earned } of results)
      totals.set(miner, (totals.get(miner) ?? 0n) + BigInt(earned));
    return rewardRoot(this.genesisHash, totals);
  }

  /** What each enrolled miner is credited that delivers everything. */
  credits(window: WindowState): (miner: Hex) => number {
    const all = enrolledSlots(window);
    return (miner) => credit(this.genesis, window.slots(miner), all);
  }

  /**
   * Applies the next entry.
   * @throws GrailError LEDGER_INVALID when it breaks a rule; the state is then unchanged
   */
  apply(entry: LedgerEntry, options: { signatureChecked?: boolean } = {}): void {
    const index = this.size;
    try {
      if (index === 0) this.#applyGenesis(entry);
      else this.#applyEntry(entry, options.signatureChecked ?? false);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      throw new GrailError('LEDGER_INVALID', `entry ${index}: ${error.message}`, {
        ...error.details,
        index,
        rule: error.code,
      });
    }
    this.size++;
  }

  #applyGenesis(entry: LedgerEntry): void {
    const expected = NetworkState.genesisEntry(this.genesis);
    if (canonicalText(entry) !== canonicalText(expected)) throw invalid('it is not the genesis entry');
  }

  #applyEntry(entry: LedgerEntry, signatureChecked: boolean): void {
    const parsed = bodySchema.safeParse(entry.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw invalid(`its body is malformed: ${issue.path.join('.') || 'body'}: ${issue.message}`);
    }
    const body = parsed.data;
    if (entry.view !== 0) throw invalid('view is not 0 on a network with one verifier');
    if (body.type === 'genesis') throw invalid('genesis stands at index 0 only');
    if ('miner' in body) {
      const digest = messageDigest(this.domain, body);
      if (!signatureChecked) checkSignature(body, digest);
      const admission = place(this, body, digest);
      if (admission.kind === 'duplicate') throw invalid('it repeats an earlier entry');
      if (canonicalText(admission.entry) !== canonicalText(entry))
        throw invalid('it is filed under another phase or author');
      this.#record(body, digest);
      return;
    }
    // A parser may pass over a member (`__proto__`): then the entry says more than what the rules look at.
    if (canonicalText(body) !== canonicalText(entry.body))
      throw invalid('its body has members that no rule reads');
    if (!this.genesis.verifiers.some(({ address }) => address === entry.author)) {
      throw invalid('its author is not a verifier of this network');
    }
    this.#close(entry, body);
  }

  #record(message: Message, digest: Uint8Array): void {
    const posted = <M extends Message>(m: M): Posted<M> => ({
      message: m,
      miner: m.miner,
      digest,
      index: this.size,
    });
    switch (message.type) {
      case 'register':
        this.#register(message.miner, this.enrolWindow + 2);
        break;
      case 'enrol':
        this.windows.get(message.window)!.enrolments.add(posted(message));
        break;
      case 'commit':
        this.windows.get(message.window)!.commits.add(posted(message));
        break;
      case 'opening':
        this.windows.get(message.window)!.openings.add(posted(message));
        break;
      case 'proof': {
        const { proofs } = this.windows.get(message.window)!;
        const parts = proofs.get(message.miner) ?? Array.from({ length: this.parts }, () => []);
        parts[message.part]!.push(posted(message));
        proofs.set(message.miner, parts);
        const hash = proofHash(message.proof);
        if (!this.proofIndex.has(hash)) this.proofIndex.set(hash, this.size);
        break;
      }
    }
  }

  #close(entry: LedgerEntry, body: CloserBody): void {
    const phase = ({ open: 'enrol', challenge: 'commit', fold: 'opening', verdict: 'prove' } as const)[
      body.type
    ];
    const state = this.windows.get(body.window);
    if (entry.phase !== phase || entry.window !== body.window)
      throw invalid('it is filed under another phase or window');
    if (state === undefined || state.phase !== phase) {
      throw invalid(`window ${body.window} is not in its ${phase} phase`);
    }
    if (body.type === 'open') this.#applyOpen(state, body);
    else if (body.type === 'challenge') this.#applyChallenge(state, body);
    else if (body.type === 'fold') this.#applyFold(state, body);
    else this.#applyVerdict(state, body);
  }

  #applyOpen(state: WindowState, body: OpenBody): void {
    const beacon0 = fromHex(body.beacon0);
    this.#drawn(0, beacon0);
    this.#same(body, this.openBody(beacon0));
    const policyRoot = fromHex(body.policyRoot);
    state.open = {
      beacon0,
      policyVersion: body.policyVersion,
      policyRoot,
      seed: windowSeed({ genesisHash: this.genesisHash, window: body.window, policyRoot, beacon0 }),
    };
    state.phase = 'commit';
    this.#beacons[0] = beacon0;
    this.enrolWindow++;
    this.windows.set(this.enrolWindow, new WindowState(this.enrolWindow));
  }

  #applyChallenge(state: WindowState, body: ChallengeBody): void {
    const beacon1 = fromHex(body.beacon1);
    this.#drawn(1, beacon1);
    this.#same(body, this.challengeBody(body.window, beacon1));
    const commitPhaseRoot = fromHex(body.commitRoot);
    state.challenge = {
      beacon1,
      commitRoot: commitPhaseRoot,
      seed: challengeSeed({ genesisHash: this.genesisHash, window: body.window, beacon1, commitPhaseRoot }),
    };
    state.phase = 'opening';
    this.#beacons[1] = beacon1;
  }

  #applyFold(state: WindowState, body: FoldBody): void {
    this.#same(
      body,
      this.foldBody(body.window, () => bytesToBig(fromHex(body.foldDigest))),
    );
    state.fold = { openingsRoot: fromHex(body.openingsRoot), rho: bytesToBig(fromHex(body.rho)) };
    state.phase = 'prove';
  }

  #applyVerdict(state: WindowState, body: VerdictBody): void {
    if (body.window !== this.nextVerdict)
      throw invalid(`the next verdict is that of window ${this.nextVerdict}`);
    const enrolments = state.enrolments.miners();
    if (canonicalText(body.results.map(({ miner }) => miner)) !== canonicalText(enrolments)) {
      throw invalid('its results are not those of the enrolled miners in order of address');
    }
    const creditOf = this.credits(state);
    for (const result of body.results) {
      const expected = result.rejection === null ? creditOf(result.miner) : 0;
      if (result.credit !== expected || result.slots !== state.slots(result.miner)) {
        throw invalid(`miner ${result.miner} is credited ${result.credit} where the rules give ${expected}`);
      }
    }
    if (toHex(this.rewardRootAfter(body.results)) !== body.rewardRoot)
      throw invalid('rewardRoot is not that of the credits');
    const { update } = body;
    if (update.version !== this.versions.length)
      throw invalid(`the next policy is version ${this.versions.length}`);
    for (const { miner, credit: earned, rejection } of body.results) {
      const record = this.miners.get(miner)!;
      record.credit += BigInt(earned);
      if (rejection !== null) this.coolDown(miner, body.window);
    }
    this.versions.push(publishedBy(body));
    state.verdict = body;
    state.phase = 'done';
    this.nextVerdict++;
    this.#forget(body.window - KEPT_WINDOWS);
  }

  /** Forgets a window and its proofs: memory does not grow with the ledger. */
  #forget(window: number): void {
    const forgotten = this.windows.get(window);
    if (forgotten === undefined) return;
    this.windows.delete(window);
    for (const parts of forgotten.proofs.values()) {
      for (const { message, index } of parts.flat()) {
        const hash = proofHash(message.proof);
        if (this.proofIndex.get(hash) === index) this.proofIndex.delete(hash);
      }
    }
  }

  /** @throws BEACON_INVALID unless the value is the chain's next */
  #drawn(which: 0 | 1, value: Uint8Array): void {
    if (!checkBeacon(this.genesis.beacon, which, value, this.#beacons[which])) {
      throw new GrailError('BEACON_INVALID', `beacon ${which} is not the next value of its chain`, {
        got: toHex(value),
      });
    }
  }

  #same(got: CloserBody, expected: CloserBody): void {
    const wanted: Record<string, unknown> = { ...expected };
    for (const [name, value] of Object.entries(got)) {
      if (canonicalText(value) !== canonicalText(wanted[name])) {
        throw invalid(
          `${name} is ${canonicalText(value)} where the rules give ${canonicalText(wanted[name])}`,
        );
      }
    }
  }
}

/** Windows kept after their verdict, for receipts and explanations. */
const KEPT_WINDOWS = 16;

/** Enrolled miners whose enrolment counts, sorted. */
export function enrolled(window: WindowState): Hex[] {
  return window.enrolments.counted().map(({ miner }) => miner);
}

/** Slots of all enrolled miners. */
export function enrolledSlots(window: WindowState): number {
  return enrolled(window).reduce((sum, miner) => sum + window.slots(miner), 0);
}

/** Miners whose commitment counts, sorted. */
export function committed(window: WindowState): Hex[] {
  return window.commits.counted().map(({ miner }) => miner);
}

/** Miners whose opening counts, sorted. */
export function opened(window: WindowState): Hex[] {
  return window.openings.counted().map(({ miner }) => miner);
}

/** The name under which a proof's bytes are remembered. */
export function proofHash(proof: Hex): Hex {
  return toHex(sha256(fromHex(proof)));
}

function invalid(message: string): GrailError {
  return new GrailError('LEDGER_INVALID', message);
}
