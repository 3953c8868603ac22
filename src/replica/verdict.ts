import type { Policy } from '../policy/architecture.ts';
import { MAX_BATCH, type ProvenStatement } from '../proofs/batch.ts';
import { foldDigest, foldVectors } from '../proofs/fold.ts';
import { digestHex, type Opening } from '../proofs/opening.ts';
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import type { GrailError, Rejection } from '../protocol/errors.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { MinerResult, VerdictBody } from './bodies.ts';
import type { CommitJudgement, WindowWork } from './judge.ts';
import { type NetworkState, proofHash } from './state.ts';
import type { Posted, WindowState } from './window.ts';

/** Checks proofs: for each, in order, null where it holds, else PROOF_ENCODING or PROOF_INVALID. */
export type CheckProofs = (proofs: readonly ProvenStatement[]) => Promise<readonly (GrailError | null)[]>;

/**
 * The verdict of a window whose prove phase closes now: each enrolled miner's first broken rule or its credit, and the
 * next policy. A pure function of the ledger's entries so far.
 *
 * @param policy the window's policy, whose fold vectors every proof is checked with
 */
export async function assembleVerdict(
  state: NetworkState,
  window: WindowState,
  work: WindowWork,
  policy: Policy,
  checkProofs: CheckProofs,
): Promise<VerdictBody> {
  const judgements = new Map(work.judgements.map((judgement) => [judgement.miner, judgement]));
  const folds = networkFolds(state.genesis.proof.variant, policy, window.fold!.rho);
  const miners = window.enrolments.miners().map((miner) => {
    const judgement = judgements.get(miner);
    const rejection =
      rejectedCommit(window, miner, judgement) ?? rejectedOpening(state, window, miner, judgement!.opening!);
    const claims = rejection === null ? claimsOf(state, window, miner, judgement!.opening!) : [];
    return { miner, judgement, rejection, claims };
  });
  const shared = [window.fold!.rho, ...folds];
  await checkClaims(
    state,
    miners.flatMap(({ claims }) => claims),
    shared,
    checkProofs,
  );
  const results = miners.map(({ miner, judgement, rejection: before, claims }): MinerResult => {
    const bad = claims.findIndex(({ valid }) => !valid);
    const rejection = before ?? claims[bad]?.failure ?? null;
    return {
      miner,
      slots: window.slots(miner),
      trained: judgement !== undefined && judgement.rejection === null,
      credit: rejection === null ? state.creditOf(window, miner) : 0,
      rejection,
      meanReturn: judgement?.meanReturn ?? null,
      proofs: bad < 0 ? claims.length : bad,
    };
  });
  return {
    type: 'verdict',
    window: window.window,
    results,
    rewardRoot: toHex(state.rewardRootAfter(results)),
    update: work.update,
  };
}

/** The public fold inputs of a network's proof variant. */
export function networkFolds(variant: 'folds' | 'digest', policy: Policy, rho: bigint): bigint[] {
  const folds = foldVectors(policy, rho);
  return variant === 'folds' ? folds : [foldDigest(folds)];
}

function rejectedCommit(
  window: WindowState,
  miner: Hex,
  judgement: CommitJudgement | undefined,
): Rejection | null {
  const twice = conflict(window.enrolments.get(miner), window.enrolments.conflict(miner));
  if (twice !== null) return twice;
  const commit = window.commits.get(miner);
  if (commit === undefined) return { code: 'COMMIT_MISSING' };
  return conflict(commit, window.commits.conflict(miner)) ?? judgement!.rejection;
}

function conflict(
  first: { digest: Uint8Array } | undefined,
  second: { digest: Uint8Array } | undefined,
): Rejection | null {
  if (first === undefined || second === undefined) return null;
  return { code: 'EQUIVOCATION', expected: toHex(first.digest), got: toHex(second.digest) };
}

function rejectedOpening(
  state: NetworkState,
  window: WindowState,
  miner: Hex,
  expected: Opening,
): Rejection | null {
  const opening = window.openings.get(miner);
  if (opening === undefined) return { code: 'OPENING_MISSING' };
  const twice = conflict(opening, window.openings.conflict(miner));
  if (twice !== null) return twice;
  const width = state.genesis.architecture.observation;
  const [wanted, got] = [fromHex(expected.observations), fromHex(opening.message.observations)];
  for (const [i, { slot, step }] of expected.challenges.entries()) {
    const [a, b] = [wanted, got].map((all) => toHex(all.subarray(i * width, (i + 1) * width)));
    if (a !== b) return { code: 'OPENING_OBSERVATION', slot, step, expected: a!, got: b! };
  }
  for (const [part, { traceDigest }] of expected.parts.entries()) {
    const digest = digestHex(traceDigest);
    const opened = opening.message.traceDigests[part]!;
    const { slot, step } = expected.challenges[part * state.genesis.stepsPerProof]!;
    if (opened !== digest)
      return { code: 'OPENING_MISMATCH', slot, step, part, expected: digest, got: opened };
  }
  return null;
}

/** A part of a miner's opening and the proofs posted of it. */
interface Claim {
  readonly statementDigest: bigint;
  readonly posted: readonly Posted<MessageOf<'proof'>>[];
  readonly place: { readonly slot: number; readonly step: number; readonly part: number };
  /** Whether a posted proof holds; else the first one's failure stands in the verdict. */
  valid: boolean;
  failure: Rejection;
}

/** The miner's parts up to the first that no proof was posted of. */
function claimsOf(state: NetworkState, window: WindowState, miner: Hex, expected: Opening): Claim[] {
  const claims: Claim[] = [];
  for (const [part, { statementDigest }] of expected.parts.entries()) {
    const posted = window.proofs.get(miner)?.[part] ?? [];
    const { slot, step } = expected.challenges[part * state.genesis.stepsPerProof]!;
    const place = { slot, step, part };
    claims.push({
      statementDigest,
      posted,
      place,
      valid: false,
      failure: { code: 'PROOF_MISSING', ...place },
    });
    if (posted.length === 0) break;
  }
  return claims;
}

/** Checks all first proofs together, then the second ones of the parts whose first failed. */
async function checkClaims(
  state: NetworkState,
  claims: readonly Claim[],
  shared: readonly bigint[],
  checkProofs: CheckProofs,
): Promise<void> {
  for (let chance = 0; ; chance++) {
    const open = claims.filter(({ valid, posted }) => !valid && chance < posted.length);
    if (open.length === 0) return;
    for (let from = 0; from < open.length; from += MAX_BATCH) {
      const batch = open.slice(from, from + MAX_BATCH);
      const errors = await checkProofs(
        batch.map(({ statementDigest, posted }) => ({
          publicSignals: [statementDigest, ...shared],
          proof: fromHex(posted[chance]!.message.proof),
        })),
      );
      for (const [i, claim] of batch.entries()) {
        const error = errors[i]!;
        if (error === null) claim.valid = true;
        else if (chance === 0)
          claim.failure = { ...proofFailure(state, claim.posted[0]!, error), ...claim.place };
      }
    }
  }
}

/** A valid proof counts whoever posted its bytes before; an invalid one that stood in the ledger already was copied. */
function proofFailure(state: NetworkState, proof: Posted<MessageOf<'proof'>>, error: GrailError): Rejection {
  if (error.code !== 'PROOF_INVALID' && error.code !== 'PROOF_ENCODING') throw error;
  const first = state.proofIndex.get(proofHash(proof.message.proof))!;
  if (first < proof.index) {
    return {
      code: 'PROOF_REPLAYED',
      expected: 'a proof of this statement',
      got: `the proof of entry ${first}`,
    };
  }
  return { code: error.code };
}
