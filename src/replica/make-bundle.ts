import type { Ledger } from '../ledger/log.ts';
import type { Genesis } from '../params/genesis.ts';
import type { VerificationKey } from '../proofs/verification-key.ts';
import type { Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import type { BlobStore } from '../storage/blobs.ts';
import type { Bundle } from './bundle.ts';
import { neededBefore } from './bundled-window.ts';
import { NetworkState, proofHash } from './state.ts';

export interface BundleParts {
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly verificationKey: () => Promise<VerificationKey>;
  readonly window: number;
  /** The encoded trainer state that has this root: that of the window's version. */
  readonly trainerState: (root: Hex) => Promise<Uint8Array>;
}

/**
 * What a stranger needs to judge a window of this network again. The same ledger and heads give the same bundle.
 * @throws GrailError NOT_FOUND before the window's verdict; WRONG_PHASE until a head is signed over it; and what reading
 *   the ledger and blobs throws
 */
export async function makeBundle(parts: BundleParts): Promise<Bundle> {
  const { genesis, ledger, window } = parts;
  const { state, indices } = before(parts);
  const head = ledger.heads().at(-1);
  if (head === undefined || head.treeSize <= indices.at(-1)!) {
    throw new GrailError(
      'WRONG_PHASE',
      `no head is signed over the verdict of window ${window} yet: try again when the verifier has closed another phase`,
      { window },
    );
  }
  const blobs: Uint8Array[] = [];
  for (const hash of neededBefore(genesis, window, state.versions).blobs) {
    blobs.push(await parts.blobs.get(hash));
  }
  const totals = [...state.miners].map(([miner, { credit }]) => [miner, credit] as const);
  return {
    window,
    head,
    verificationKey: await parts.verificationKey(),
    entries: indices.map((index) => ({
      index,
      bytes: ledger.read(index).bytes,
      proof: ledger.inclusionProof(index, head.treeSize),
    })),
    totals: new Map(totals.filter(([, credit]) => credit > 0n)),
    trainerState: await parts.trainerState(state.versions[window]!.trainerStateRoot),
    blobs,
  };
}

/** The network just before the window's verdict, and the entries that the verdict follows from, it included, in order. */
function before({ genesis, ledger, window }: BundleParts): { state: NetworkState; indices: number[] } {
  const state = new NetworkState(genesis);
  const verdicts: number[] = [];
  const indices = new Set([0]);
  for (const { index, entry } of ledger.range()) {
    const { type } = entry.body;
    const isBeacon = entry.window === window - 1 && (type === 'open' || type === 'challenge');
    const isOfWindow = entry.window === window && type !== 'register' && type !== 'genesis';
    if (isBeacon || isOfWindow) indices.add(index);
    if (type === 'verdict') {
      if (entry.window === window) {
        for (const known of recordsOf(state, window)) indices.add(known);
        const { firstVerdict } = neededBefore(genesis, window, state.versions);
        for (const verdict of verdicts.slice(firstVerdict)) indices.add(verdict);
        return { state, indices: [...indices].sort((a, b) => a - b) };
      }
      verdicts[entry.window] = index;
    }
    state.apply(entry, { signatureChecked: true });
  }
  throw new GrailError('NOT_FOUND', `window ${window} has no verdict here: there are ${state.nextVerdict}`, {
    window,
    verdicts: state.nextVerdict,
  });
}

/** Entries that registered the enrolled miners, and the first ones with the bytes of a proof that was posted. */
function* recordsOf(state: NetworkState, number: number): Generator<number> {
  const window = state.window(number)!;
  for (const miner of window.enrolments.miners()) yield state.miners.get(miner)!.entry;
  for (const parts of window.proofs.values()) {
    for (const { message, index } of parts.flat()) {
      yield state.proofIndex.get(proofHash(message.proof)) ?? index;
    }
  }
}
