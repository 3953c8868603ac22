import type { Policy } from '../policy/architecture.ts';
import { foldPolicy, type PolicyFolds } from '../proofs/fold.ts';
import { digestHex, type Opening } from '../proofs/opening.ts';
import { circuitSpec } from '../proofs/spec.ts';
import { publicInputs, publicSignals } from '../proofs/witness-input.ts';
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError, type Rejection } from '../protocol/errors.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { MinerResult, VerdictBody } from './bodies.ts';
import type { CommitJudgement, WindowWork } from './judge.ts';
import { type NetworkState, proofHash } from './state.ts';
import type { Posted, WindowState } from './window.ts';

/** Checks one proof. @throws GrailError PROOF_ENCODING or PROOF_INVALID */
export type CheckProof = (publicSignals: readonly bigint[], proof: Uint8Array) => Promise<void>;

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
  checkProof: CheckProof,
): Promise<VerdictBody> {
  const judgements = new Map(work.judgements.map((judgement) => [judgement.miner, judgement]));
  const folds = foldPolicy(policy, window.fold!.rho);
  const results: MinerResult[] = [];
  for (const miner of window.enrolments.miners()) {
    const judgement = judgements.get(miner);
    let proofs = 0;
    const rejection =
      rejectedCommit(window, miner, judgement) ??
      rejectedOpening(state, window, miner, judgement!.opening!) ??
      (await firstBadProof(state, window, miner, judgement!.opening!, folds, checkProof, () => proofs++));
    results.push({
      miner,
      slots: window.slots(miner),
      trained: judgement !== undefined && judgement.rejection === null,
      credit: rejection === null ? state.creditOf(window, miner) : 0,
      rejection,
      meanReturn: judgement?.meanReturn ?? null,
      proofs,
    });
  }
  return {
    type: 'verdict',
    window: window.window,
    results,
    rewardRoot: toHex(state.rewardRootAfter(results)),
    update: work.update,
  };
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

async function firstBadProof(
  state: NetworkState,
  window: WindowState,
  miner: Hex,
  expected: Opening,
  folds: PolicyFolds,
  checkProof: CheckProof,
  onValid: () => void,
): Promise<Rejection | null> {
  for (const [part, statement] of expected.parts.entries()) {
    const posted = window.proofs.get(miner)?.[part] ?? [];
    const { slot, step } = expected.challenges[part * state.genesis.stepsPerProof]!;
    if (posted.length === 0) return { code: 'PROOF_MISSING', slot, step, part };
    const failures: Rejection[] = [];
    const signals = publicSignals(
      publicInputs({ spec: circuitSpec(state.genesis), rho: window.fold!.rho, folds, ...statement }),
    );
    for (const proof of posted) {
      const failure = await proofFailure(state, proof, signals, checkProof);
      if (failure === null) break;
      failures.push({ ...failure, slot, step, part });
    }
    if (failures.length === posted.length) return failures[0]!;
    onValid();
  }
  return null;
}

/** A valid proof counts whoever posted its bytes before; an invalid one that stood in the ledger already was copied. */
async function proofFailure(
  state: NetworkState,
  proof: Posted<MessageOf<'proof'>>,
  publicSignals: readonly bigint[],
  checkProof: CheckProof,
): Promise<Rejection | null> {
  try {
    await checkProof(publicSignals, fromHex(proof.message.proof));
    return null;
  } catch (error) {
    if (
      !(error instanceof GrailError) ||
      !(error.code === 'PROOF_INVALID' || error.code === 'PROOF_ENCODING')
    )
      throw error;
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
}
