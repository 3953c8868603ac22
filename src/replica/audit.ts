import type { Backend } from '../backends/backend.ts';
import { checkHead, type TreeHead } from '../ledger/head.ts';
import type { Ledger } from '../ledger/log.ts';
import type { Genesis } from '../params/genesis.ts';
import { foldDigest, foldPolicy } from '../proofs/fold.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { canonicalText, type Json } from '../protocol/canonical.ts';
import type { Code } from '../protocol/codes.ts';
import { type Details, GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { CLOSERS } from '../protocol/phases.ts';
import { encodePolicyAnchor } from '../pulse/index.ts';
import type { BlobStore } from '../storage/blobs.ts';
import type { Trainer } from '../training/index.ts';
import type { FoldBody, VerdictBody } from './bodies.ts';
import { Judge } from './judge.ts';
import { genesisStart } from './load-judge.ts';
import { NetworkState } from './state.ts';
import { assembleVerdict, type CheckProofs } from './verdict.ts';
import { windowInput } from './window-input.ts';

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
  #signatures = 0;
  #steps = 0;
  #proofs = 0;
  #rejections = 0;
  #blobs = 0;

  constructor(parts: AuditParts) {
    this.#parts = parts;
    const { genesis, trainer, backend } = parts;
    this.#state = new NetworkState(genesis);
    this.#judge = new Judge(genesis, { trainer, backend }, genesisStart(genesis, trainer));
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
      if (entry.body.type === 'fold') this.#checkFold(index, entry.window, entry.body as unknown as FoldBody);
      if (entry.body.type === 'verdict') {
        this.#parts.onProgress?.({ window: entry.window, index, entries: ledger.size });
        await this.#checkVerdict(index, entry.window, entry.body as unknown as VerdictBody);
      }
      this.#state.apply(entry);
      if ('miner' in entry.body) this.#signatures++;
    }
    this.#checkHeads();
    await this.#checkStore();
  }

  /** The rest of a fold entry is checked by the state; the digest needs the policy. */
  #checkFold(index: number, number: number, body: FoldBody): void {
    const window = this.#state.window(number);
    if (window?.open == null || window.phase !== 'opening') return; // the state refuses the entry
    const version = window.open.policyVersion;
    const expected = this.#state.foldBody(number, (rho) =>
      foldDigest(foldPolicy(this.#judge.policy(version), rho)),
    );
    if (body.foldDigest !== expected.foldDigest) {
      throw diverged(index, number, 'foldDigest', expected.foldDigest, body.foldDigest);
    }
  }

  async #checkVerdict(index: number, number: number, body: VerdictBody): Promise<void> {
    const window = this.#state.window(number);
    if (window?.fold == null || number !== this.#state.nextVerdict) return; // the state refuses the entry
    const input = windowInput(window);
    const policy = this.#judge.policy(input.policyVersion);
    const work = this.#judge.process(input);
    for (const { slots } of input.commits) this.#steps += slots * this.#parts.genesis.stepsPerSlot;
    const checkProofs: CheckProofs = (proofs) => {
      this.#proofs += proofs.length;
      return this.#parts.checkProofs(proofs);
    };
    const expected = await assembleVerdict(this.#state, window, work, policy, checkProofs);
    const difference = firstDifference(expected as unknown as Json, body as unknown as Json, '');
    if (difference !== null) {
      throw diverged(index, number, difference.path, difference.expected, difference.got);
    }
    this.#rejections += body.results.filter(({ rejection }) => rejection !== null).length;
    await this.#blob(body.update.patch.hash, `the patch of policy ${body.update.version}`);
    if (body.update.anchor !== null) {
      await this.#blob(body.update.anchor.hash, `the anchor of policy ${body.update.version}`);
    }
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
    const { genesis } = this.#parts;
    try {
      checkHead(this.#state.domain, head);
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      throw new GrailError(error.code, `tree head ${position}: ${error.message}`, {
        ...error.details,
        head: position,
      });
    }
    if (genesis.verifiers.some(({ address }) => address === head.author)) return;
    throw new GrailError('LEDGER_INVALID', `tree head ${position} is signed by no verifier of this network`, {
      head: position,
      got: head.author,
    });
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
    const newest = this.#state.versions.at(-1)!;
    const { genesis, ledger } = this.#parts;
    return {
      genesisHash: toHex(this.#state.genesisHash),
      insecureDev: genesis.insecureDev,
      entries: ledger.size,
      windows: this.#state.nextVerdict,
      signatures: this.#signatures,
      steps: this.#steps,
      proofs: this.#proofs,
      rejections: this.#rejections,
      updates: newest.version,
      blobs: this.#blobs,
      policyVersion: newest.version,
      policyRoot: newest.policyRoot,
      trainerStateRoot: newest.trainerStateRoot,
      divergence,
      unseen: unseen(genesis),
    };
  }
}

function unseen(genesis: Genesis): string[] {
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

function diverged(index: number, window: number, path: string, expected: Json, got: Json): GrailError {
  return new GrailError(
    'LEDGER_DIVERGED',
    `entry ${index} (window ${window}): ${path || 'body'} differs from what a replay gives`,
    { index, window, path, expected, got },
  );
}

/** The first place, in canonical order of keys, in which two JSON values differ. */
export function firstDifference(
  expected: Json,
  got: Json,
  path: string,
): { path: string; expected: Json; got: Json } | null {
  if (canonicalText(expected) === canonicalText(got)) return null;
  if (isObject(expected) && isObject(got) && Array.isArray(expected) === Array.isArray(got)) {
    for (const key of [...new Set([...Object.keys(expected), ...Object.keys(got)])].sort()) {
      // A member that is null is not one that is absent.
      const [a, b] = [expected, got].map((object) => (Object.hasOwn(object, key) ? object[key]! : undefined));
      const at = path === '' ? key : `${path}.${key}`;
      if (a === undefined && b === undefined) continue;
      if (a === undefined || b === undefined) return { path: at, expected: a ?? null, got: b ?? null };
      const difference = firstDifference(a, b, at);
      if (difference !== null) return difference;
    }
  }
  return { path, expected, got };
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null;
}
