import { entryLeaf, type LedgerEntry, parseEntry } from '../ledger/entry.ts';
import type { Genesis } from '../params/genesis.ts';
import { checkVerificationKey } from '../proofs/verification-key.ts';
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { verifyInclusion } from '../protocol/merkle.ts';
import { checkSignature, type MessageOf, messageDigest } from '../protocol/messages.ts';
import { trainerStateRootOfBytes } from '../training/index.ts';
import { anchorDebt } from './anchor-debt.ts';
import { type Body, bodySchema, type VerdictBody } from './bodies.ts';
import type { Bundle } from './bundle.ts';
import { EARLIER_POLICIES } from './check.ts';
import { rewardRoot } from './credit.ts';
import { genesisOfEntry } from './genesis-of.ts';
import { KEPT_POLICIES } from './judge.ts';
import { type JudgeStart, storedPolicies } from './load-judge.ts';
import { NetworkState, type PolicyVersion, proofHash, publishedBy } from './state.ts';
import { checkVerifierHead } from './verifier-head.ts';

/** Entries that draw a beacon. */
const BEACONS: ReadonlySet<string> = new Set(['open', 'challenge']);

/** The first version whose policy judging a window may take: of those before the one that acted, stale ones are told. */
function firstPolicy({ lag }: Genesis, window: number): number {
  return Math.max(0, window - lag - EARLIER_POLICIES, window - KEPT_POLICIES + 1);
}

/**
 * What judging a window takes of the versions before it.
 * @param versions by number, up to the window's; where the ledger is not at hand, from some version on
 * @returns the first window whose verdict is needed, for policies, or because who failed there may not enrol yet; the blobs
 *   that lead to the policies
 * @throws GrailError LEDGER_INVALID when the versions begin too late
 */
export function neededBefore(
  genesis: Genesis,
  window: number,
  versions: readonly (PolicyVersion | undefined)[],
): { readonly firstVerdict: number; readonly blobs: ReadonlySet<Hex> } {
  let at = firstPolicy(genesis, window);
  while (versions[at]?.anchor === null) at--;
  const anchor = versions[at]?.anchor;
  if (anchor == null) throw lacks(`the verdict of window ${at - 1}`);
  const blobs = new Set([anchor.hash]);
  for (let version = at + 1; version <= window; version++) {
    const patch = versions[version]?.patch;
    if (patch == null) throw lacks(`the verdict of window ${version - 1}`);
    blobs.add(patch.hash);
  }
  const cooling = window - genesis.lag - 1 - genesis.coolDown;
  return { firstVerdict: Math.max(0, Math.min(at - 1, cooling)), blobs };
}

/**
 * A bundle as something that can be replayed. Opening it checks that its entries are the ledger's, under the head, and that
 * none is missing that its window follows from. What it believes of earlier windows: that their entries, being in the ledger,
 * follow the rules.
 */
export class BundledWindow {
  readonly bundle: Bundle;
  readonly genesis: Genesis;
  readonly state: NetworkState;
  readonly #entries: readonly { readonly index: number; readonly entry: LedgerEntry }[];
  /** Up to the window's version. */
  readonly #versions: PolicyVersion[];
  readonly #blobs: ReadonlyMap<Hex, Uint8Array>;

  /**
   * @throws GrailError GENESIS_INVALID, BAD_SIGNATURE, LEDGER_CORRUPT, LEDGER_INVALID, LEDGER_DIVERGED, KEY_MISMATCH,
   *   KEY_INSECURE, TRAINER_STATE_INVALID, BLOB_MISSING or BLOB_UNREFERENCED: the part that was altered
   */
  constructor(bundle: Bundle) {
    const { window, entries, verificationKey } = bundle;
    this.bundle = bundle;
    this.#entries = entries.map(({ index, bytes }) => ({ index, entry: parseEntry(bytes) }));
    const first = this.#entries[0];
    if (first?.index !== 0) throw lacks('the genesis entry');
    this.genesis = genesisOfEntry(first.entry);
    const { proof, insecureDev } = this.genesis;
    checkVerificationKey(verificationKey, proof.verificationKeys[proof.variant]!, insecureDev);
    const beacons = [this.#valueBefore('open'), this.#valueBefore('challenge')] as const;
    this.state = NetworkState.before(this.genesis, window, beacons);
    this.#checkInclusion();
    this.#versions = this.#publishedBefore();
    this.#blobs = new Map(bundle.blobs.map((blob) => [toHex(sha256(blob)), blob]));
    this.#checkBlobs();
    this.#checkTrainerState();
    this.#takeTotals();
  }

  get size(): number {
    return this.#entries.length;
  }

  entries() {
    return this.#entries;
  }

  /** @throws GrailError LEDGER_INVALID when the entry breaks a rule, or is none that belongs into the bundle */
  apply(index: number, entry: LedgerEntry): void {
    const { window } = this.bundle;
    this.state.size = index;
    const { body } = entry;
    if (body.type === 'genesis' || (entry.window === window && body.type !== 'register')) {
      this.state.apply(entry);
      return;
    }
    const fact = bodyOf(index, entry);
    if (fact.type === 'register') this.#register(index, entry, fact);
    else if (fact.type === 'verdict' && fact.window < window) this.#passVerdict(fact);
    else if (fact.type === 'proof') this.#passProof(index, fact);
    else if (fact.type === 'genesis' || fact.window !== window - 1 || !BEACONS.has(fact.type)) {
      throw new GrailError('LEDGER_INVALID', `entry ${index} does not belong to window ${window}`, { index });
    }
  }

  /** @throws GrailError LEDGER_INVALID unless the window's verdict was applied */
  requireVerdict(): void {
    const { window } = this.bundle;
    if (this.state.nextVerdict !== window + 1) throw lacks(`the verdict of window ${window}`);
  }

  /** Where judging the window starts. @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH, PATCH_TARGET_MISMATCH */
  async judgeStart(): Promise<JudgeStart> {
    const { window, trainerState } = this.bundle;
    const range = { first: firstPolicy(this.genesis, window), last: window };
    const blobs = { get: async (hash: Hex) => this.#blobs.get(hash)! };
    return {
      version: window,
      policies: await storedPolicies(this.#versions, blobs, this.genesis, range),
      trainerState,
      debt: anchorDebt(this.#versions),
    };
  }

  /** A beacon's value in the window before; null for window 0. */
  #valueBefore(type: 'open' | 'challenge'): Uint8Array | null {
    const { window } = this.bundle;
    if (window === 0) return null;
    for (const { index, entry } of this.#entries) {
      if (entry.body.type !== type || entry.window !== window - 1) continue;
      const body = bodyOf(index, entry);
      if (body.type === 'open') return fromHex(body.beacon0);
      if (body.type === 'challenge') return fromHex(body.beacon1);
    }
    throw lacks(`the ${type} entry of window ${window - 1}`);
  }

  #checkInclusion(): void {
    const { head, entries } = this.bundle;
    checkVerifierHead(this.state, head);
    const root = fromHex(head.treeRoot);
    for (const { index, bytes, proof } of entries) {
      const leaf = entryLeaf(this.state.genesisHash, bytes);
      if (verifyInclusion({ leaf, index, size: head.treeSize, proof, root })) continue;
      throw new GrailError(
        'LEDGER_CORRUPT',
        `entry ${index} is not in the ledger of ${head.treeSize} entries that the head signs`,
        { index, treeSize: head.treeSize },
      );
    }
  }

  #publishedBefore(): PolicyVersion[] {
    const { window } = this.bundle;
    const verdicts = new Map<number, VerdictBody>();
    for (const { index, entry } of this.#entries) {
      if (entry.body.type !== 'verdict' || entry.window === window) continue;
      verdicts.set(entry.window, bodyOf(index, entry) as VerdictBody);
    }
    const versions: PolicyVersion[] = [...this.state.versions];
    let first = window;
    for (const number of verdicts.keys()) first = Math.min(first, number);
    for (let number = first; number < window; number++) {
      const verdict = verdicts.get(number);
      if (verdict === undefined) throw lacks(`the verdict of window ${number}`);
      versions[number + 1] = publishedBy(verdict);
    }
    const { firstVerdict } = neededBefore(this.genesis, window, versions);
    if (window > 0 && first > firstVerdict) throw lacks(`the verdict of window ${firstVerdict}`);
    return versions;
  }

  #checkBlobs(): void {
    const { blobs } = neededBefore(this.genesis, this.bundle.window, this.#versions);
    for (const hash of blobs) {
      if (!this.#blobs.has(hash)) {
        throw new GrailError(
          'BLOB_MISSING',
          'a blob that leads to the window’s policies is not in the bundle',
          {
            blob: hash.slice(2),
          },
        );
      }
    }
    for (const hash of this.#blobs.keys()) {
      if (blobs.has(hash)) continue;
      throw new GrailError('BLOB_UNREFERENCED', 'a blob of the bundle leads to no policy of its window', {
        blob: hash.slice(2),
      });
    }
  }

  #checkTrainerState(): void {
    const { window, trainerState } = this.bundle;
    const expected = this.#versions[window]!.trainerStateRoot;
    const got = toHex(trainerStateRootOfBytes(trainerState));
    if (got === expected) return;
    throw new GrailError('TRAINER_STATE_INVALID', 'the trainer state is not the one that the ledger names', {
      expected,
      got,
    });
  }

  /** Credits before the window, whose root the verdict before it names. */
  #takeTotals(): void {
    const { window, totals } = this.bundle;
    const before = this.#entries.find(
      ({ entry }) => entry.body.type === 'verdict' && entry.window === window - 1,
    );
    const expected = before?.entry.body.rewardRoot ?? toHex(rewardRoot(this.state.genesisHash, new Map()));
    const got = toHex(rewardRoot(this.state.genesisHash, totals));
    if (got !== expected) {
      throw new GrailError(
        'LEDGER_DIVERGED',
        `the credits before window ${window} are not those whose root the ledger names`,
        { window, path: 'totals', expected: String(expected), got },
      );
    }
    for (const [miner, credit] of totals) {
      const record = this.state.miners.get(miner);
      if (record !== undefined) record.credit = credit;
      // Until the entry comes that registers it, it may not enrol.
      else
        this.state.miners.set(miner, {
          entry: 0,
          eligibleFrom: Number.POSITIVE_INFINITY,
          coolingUntil: -1,
          credit,
        });
    }
  }

  #register(index: number, entry: LedgerEntry, message: MessageOf<'register'>): void {
    checkSignature(message, messageDigest(this.state.domain, message));
    const { miner } = message;
    const credit = this.bundle.totals.get(miner) ?? 0n;
    this.state.miners.set(miner, { entry: index, eligibleFrom: entry.window + 2, coolingUntil: -1, credit });
  }

  #passProof(index: number, { proof }: MessageOf<'proof'>): void {
    const hash = proofHash(proof);
    if (!this.state.proofIndex.has(hash)) this.state.proofIndex.set(hash, index);
  }

  #passVerdict(verdict: VerdictBody): void {
    for (const { miner, rejection } of verdict.results) {
      if (rejection !== null) this.state.coolDown(miner, verdict.window);
    }
    this.state.versions[verdict.window + 1] = publishedBy(verdict);
  }
}

/** @throws GrailError LEDGER_INVALID */
function bodyOf(index: number, { window, body }: LedgerEntry): Body {
  const result = bodySchema.safeParse(body);
  const isHere = result.success && (!('window' in result.data) || result.data.window === window);
  if (isHere) return result.data;
  throw new GrailError('LEDGER_INVALID', `entry ${index}: its body is malformed, or of another window`, {
    index,
  });
}

function lacks(what: string): GrailError {
  return new GrailError('LEDGER_INVALID', `the bundle lacks ${what}`, { missing: what });
}
