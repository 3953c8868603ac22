import type { Policy } from '../policy/architecture.ts';
import { MAX_BATCH, type ProvenStatement } from '../proofs/batch.ts';
import { foldPolicy, type PolicyFolds } from '../proofs/fold.ts';
import { digestHex, type Opening } from '../proofs/opening.ts';
import { circuitSpec } from '../proofs/spec.ts';
import { publicInputs, publicSignals } from '../proofs/witness-input.ts';
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import type { GrailError, Rejection } from '../protocol/errors.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { MinerResult, VerdictBody } from './bodies.ts';
import type { CommitJudgement } from './check.ts';
import type { WindowWork } from './judge.ts';
import { type NetworkState, proofHash } from './state.ts';
import type { Posted, WindowState } from './window.ts';

/** Checks proofs together. Gives, in order, null where one holds, else PROOF_ENCODING or PROOF_INVALID. */
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
  const folds = foldPolicy(policy, window.fold!.rho);
  const earlier = new Map<Hex, Rejection>();
  const parts = new Map<Hex, Part[]>();
  for (const miner of window.enrolments.miners()) {
    const judgement = judgements.get(miner);
    const rejection =
      rejectedCommit(window, miner, judgement) ?? rejectedOpening(state, window, miner, judgement!.opening!);
    if (rejection !== null) earlier.set(miner, rejection);
    else parts.set(miner, statedParts(state, window, miner, judgement!.opening!, folds));
  }
  await checkParts(state, [...parts.values()].flat(), checkProofs);

  const creditOf = state.credits(window);
  const results: MinerResult[] = [];
  for (const miner of window.enrolments.miners()) {
    const judgement = judgements.get(miner);
    const stated = parts.get(miner) ?? [];
    const bad = stated.findIndex(({ valid }) => !valid);
    const proofs = bad === -1 ? stated.length : bad;
    const rejection = earlier.get(miner) ?? (bad === -1 ? null : stated[bad]!.rejections[0]!);
    results.push({
      miner,
      slots: window.slots(miner),
      trained: judgement !== undefined && judgement.rejection === null,
      credit: rejection === null ? creditOf(miner) : 0,
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

/** What a miner has to prove, and what it posted for that. */
interface Part {
  readonly where: { readonly slot: number; readonly step: number; readonly part: number };
  readonly signals: readonly bigint[];
  /** In the order of the ledger: the first valid one counts. */
  readonly posted: readonly Posted<MessageOf<'proof'>>[];
  /** Why each looked at so far does not count, or that there is none. */
  readonly rejections: Rejection[];
  valid: boolean;
}

/** A miner's parts, up to the first for which it posted nothing. */
function statedParts(
  state: NetworkState,
  window: WindowState,
  miner: Hex,
  expected: Opening,
  folds: PolicyFolds,
): Part[] {
  const spec = circuitSpec(state.genesis);
  const parts: Part[] = [];
  for (const [part, statement] of expected.parts.entries()) {
    const posted = window.proofs.get(miner)?.[part] ?? [];
    const { slot, step } = expected.challenges[part * spec.stepsPerProof]!;
    const where = { slot, step, part };
    const signals = publicSignals(publicInputs({ spec, rho: window.fold!.rho, folds, ...statement }));
    parts.push({ where, signals, posted, rejections: [], valid: false });
    if (posted.length > 0) continue;
    parts.at(-1)!.rejections.push({ code: 'PROOF_MISSING', ...where });
    break;
  }
  return parts;
}

/** Checks the parts' first proofs together, then the second ones of those whose first does not hold, and so on. */
async function checkParts(
  state: NetworkState,
  parts: readonly Part[],
  checkProofs: CheckProofs,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const open = parts.filter(({ valid, posted }) => !valid && posted.length > attempt);
    if (open.length === 0) return;
    for (let from = 0; from < open.length; from += MAX_BATCH) {
      const batch = open.slice(from, from + MAX_BATCH);
      const errors = await checkProofs(
        batch.map(({ signals, posted }) => ({
          publicSignals: signals,
          proof: fromHex(posted[attempt]!.message.proof),
        })),
      );
      for (const [i, part] of batch.entries()) {
        const error = errors[i]!;
        if (error === null) part.valid = true;
        else part.rejections.push({ ...refused(state, part.posted[attempt]!, error), ...part.where });
      }
    }
  }
}

/** A valid proof counts whoever posted its bytes before; an invalid one that stood in the ledger already was copied. */
function refused(state: NetworkState, proof: Posted<MessageOf<'proof'>>, error: GrailError): Rejection {
  if (error.code !== 'PROOF_INVALID' && error.code !== 'PROOF_ENCODING') throw error;
  const first = state.proofIndex.get(proofHash(proof.message.proof));
  // Forgotten with its window, or its own entry: nothing that is remembered was copied.
  if (first === undefined || first === proof.index) return { code: error.code };
  return {
    code: 'PROOF_REPLAYED',
    expected: 'a proof of this statement',
    got: `the proof of entry ${first}`,
  };
}
