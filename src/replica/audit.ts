import type { Backend } from '../backends/backend.ts';
import type { TreeHead } from '../ledger/head.ts';
import type { Ledger } from '../ledger/log.ts';
import type { Genesis } from '../params/genesis.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import type { Code } from '../protocol/codes.ts';
import { type Details, GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { CLOSERS } from '../protocol/phases.ts';
import { encodePolicyAnchor } from '../pulse/index.ts';
import type { BlobStore } from '../storage/blobs.ts';
import type { Trainer } from '../training/index.ts';
import { Judge } from './judge.ts';
import { genesisStart } from './load-judge.ts';
import { Recheck } from './recheck.ts';
import { NetworkState, type PolicyVersion } from './state.ts';
import type { CheckProofs } from './verdict.ts';
import { checkVerifierHead } from './verifier-head.ts';

/** What an audit counted, and the first thing that does not fit. */
export interface AuditReport {
  readonly genesisHash: Hex;
  readonly insecureDev: boolean;
  readonly entries: number;
  /** Windows with a verdict. */
  readonly windows: number;
  readonly signatures: number;
  /** Environment steps replayed, each action checked. */
  readonly steps: number;
  readonly proofs: number;
  readonly rejections: number;
  readonly updates: number;
  readonly blobs: number;
  readonly policyVersion: number;
  readonly policyRoot: Hex;
  readonly trainerStateRoot: Hex;
  readonly divergence: { readonly code: Code; readonly message: string; readonly details: Details } | null;
  /** What no replay can see. */
  readonly unseen: readonly string[];
}

export interface AuditParts {
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  readonly blobs: BlobStore;
  readonly trainer: Trainer;
  readonly backend: Backend;
  readonly checkProofs: CheckProofs;
  /** Only the newest head is at hand: those of earlier phases are not missed. */
  readonly newestHeadOnly?: boolean;
  readonly onProgress?: (progress: { window: number; index: number; entries: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Replays a network from genesis: every signature, phase, beacon, environment step, action, opening, proof, credit,
 * update and patch, and every stored blob. Stops at the first divergence.
 */
export async function audit(parts: AuditParts): Promise<AuditReport> {
  const run = new Audit(parts);
  let divergence: AuditReport['divergence'] = null;
  try {
    await run.everything();
  } catch (error) {
    if (!(error instanceof GrailError) || parts.signal?.aborted) throw error;
    divergence = error.toJSON();
  }
  return run.report(divergence);
}

class Audit {
  readonly #parts: AuditParts;
  readonly #state: NetworkState;
  readonly #judge: Judge;
  readonly #referenced = new Set<Hex>();
  readonly #recheck: Recheck;
  #signatures = 0;
  #blobs = 0;

  constructor(parts: AuditParts) {
    this.#parts = parts;
    const { genesis, trainer, backend } = parts;
    this.#state = new NetworkState(genesis);
    this.#judge = new Judge(genesis, { trainer, backend }, genesisStart(genesis, trainer));
    this.#recheck = new Recheck(this.#state, this.#judge, parts.checkProofs);
  }

  async everything(): Promise<void> {
    const { genesis, ledger } = this.#parts;
    ledger.checkStorage();
    const anchor = toHex(sha256(encodePolicyAnchor(this.#judge.policy(0))));
    if (anchor !== genesis.initialAnchor) {
      throw new GrailError('GENESIS_INVALID', 'initialAnchor is not the anchor of policy 0', {
        expected: anchor,
        got: genesis.initialAnchor,
      });
    }
    await this.#blob(genesis.initialAnchor, 'the anchor of genesis');
    for (const { index, entry } of ledger.range()) {
      this.#parts.signal?.throwIfAborted();
      const isVerdict = entry.body.type === 'verdict';
      if (isVerdict) this.#parts.onProgress?.({ window: entry.window, index, entries: ledger.size });
      await this.#recheck.check(index, entry);
      this.#state.apply(entry);
      if (isVerdict) await this.#checkBlobs(this.#state.versions.at(-1)!);
      if ('miner' in entry.body) this.#signatures++;
    }
    this.#checkHeads();
    await this.#checkStore();
  }

  async #checkBlobs({ version, patch, anchor }: PolicyVersion): Promise<void> {
    await this.#blob(patch!.hash, `the patch of policy ${version}`);
    if (anchor !== null) await this.#blob(anchor.hash, `the anchor of policy ${version}`);
  }

  async #blob(hash: Hex, what: string): Promise<void> {
    try {
      await this.#parts.blobs.get(hash);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      throw new GrailError(error.code, `${what}: ${error.message}`, {
        ...error.details,
        blob: hash.slice(2),
      });
    }
    if (!this.#referenced.has(hash)) this.#blobs++;
    this.#referenced.add(hash);
  }

  /** Every entry that closes a phase is followed by a verifier's signature over the tree it ends. */
  #checkHeads(): void {
    const { ledger } = this.#parts;
    const signed = new Set<number>();
    let before = 0;
    for (const [position, head] of ledger.heads().entries()) {
      this.#checkSigner(position, head);
      this.#signatures++;
      if (head.treeSize <= before || head.view !== 0) {
        throw new GrailError(
          'LEDGER_INVALID',
          `tree head ${position} is of view ${head.view} and size ${head.treeSize}: heads grow, in view 0`,
          { head: position, index: head.treeSize - 1 },
        );
      }
      before = head.treeSize;
      const { window, phase, body } = ledger.get(head.treeSize - 1);
      if (
        window !== head.window ||
        phase !== head.phase ||
        body.type !== CLOSERS[phase as keyof typeof CLOSERS]
      ) {
        throw new GrailError(
          'LEDGER_INVALID',
          `tree head ${position} is not that of the entry that closes its phase`,
          { head: position, index: head.treeSize - 1 },
        );
      }
      signed.add(head.treeSize - 1);
    }
    if (this.#parts.newestHeadOnly === true) return;
    for (const { index, entry } of ledger.range()) {
      const closes = entry.phase !== 'genesis' && entry.body.type === CLOSERS[entry.phase];
      // A verifier that was killed signs its last entry when it starts again.
      if (closes && !signed.has(index) && index !== ledger.size - 1) {
        throw new GrailError(
          'LEDGER_INVALID',
          `entry ${index} closes a phase but no head is signed over it`,
          { index },
        );
      }
    }
  }

  #checkSigner(position: number, head: TreeHead): void {
    try {
      checkVerifierHead(this.#state, head);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      throw new GrailError(error.code, `tree head ${position}: ${error.message}`, {
        ...error.details,
        head: position,
      });
    }
  }

  async #checkStore(): Promise<void> {
    for await (const { name, hash } of this.#parts.blobs.list()) {
      if (hash !== null && this.#referenced.has(hash)) continue;
      throw new GrailError('BLOB_UNREFERENCED', `${name} is in the blob store, but no entry names it`, {
        blob: name,
      });
    }
  }

  report(divergence: AuditReport['divergence']): AuditReport {
    const { ledger } = this.#parts;
    return reportOf({
      state: this.#state,
      recheck: this.#recheck,
      entries: ledger.size,
      signatures: this.#signatures,
      blobs: this.#blobs,
      divergence,
      unseen: this.#parts.newestHeadOnly === true ? [EARLIER_HEADS] : [],
    });
  }
}

const EARLIER_HEADS = 'heads signed before the newest: a verifier serves that one alone';

/** What was counted, with the roots at which it ended. @param parts.unseen what this kind of audit cannot see besides */
export function reportOf(
  parts: Pick<AuditReport, 'entries' | 'signatures' | 'blobs' | 'divergence' | 'unseen'> & {
    readonly state: NetworkState;
    readonly recheck: Recheck;
    /** Windows with a verdict; all of the state's without it. */
    readonly windows?: number;
  },
): AuditReport {
  const { state, recheck, divergence, unseen } = parts;
  const newest = state.versions.at(-1)!;
  const windows = parts.windows ?? state.nextVerdict;
  return {
    genesisHash: toHex(state.genesisHash),
    insecureDev: state.genesis.insecureDev,
    entries: parts.entries,
    windows,
    signatures: parts.signatures,
    steps: recheck.steps,
    proofs: recheck.proofs,
    rejections: recheck.rejections,
    updates: windows,
    blobs: parts.blobs,
    policyVersion: newest.version,
    policyRoot: newest.policyRoot,
    trainerStateRoot: newest.trainerStateRoot,
    divergence,
    unseen: [...unseenOf(state.genesis), ...unseen],
  };
}

function unseenOf(genesis: Genesis): string[] {
  const lines = [
    'when messages arrived: on a network without a chain the operator closes the phases',
    'connections and messages that were refused before they became entries',
    'entries cut off at the end, or another order of a phase’s messages: hold acknowledgements and signed heads against it',
  ];
  if (genesis.beacon.kind === 'local') {
    lines.push('who knew the local beacon: its operator knew every challenge in advance');
  }
  if (genesis.insecureDev) {
    lines.push(
      'who can forge proofs: an insecure-dev network takes development keys, which are made from public numbers',
    );
  } else {
    lines.push('who knows the secrets of the proving keys: look at how they were made');
  }
  return lines;
}
