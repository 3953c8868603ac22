import type { LedgerEntry } from '../ledger/entry.ts';
import { foldDigest, foldPolicy } from '../proofs/fold.ts';
import type { Json } from '../protocol/canonical.ts';
import { canonicalText } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import type { FoldBody, VerdictBody } from './bodies.ts';
import type { Judge } from './judge.ts';
import type { NetworkState } from './state.ts';
import { assembleVerdict, type CheckProofs } from './verdict.ts';
import { windowInput } from './window-input.ts';

/** Holds folds and verdicts against what judging gives, and counts what it looked at. The rest is the state's to check. */
export class Recheck {
  readonly #state: NetworkState;
  readonly #judge: Judge;
  readonly #checkProofs: CheckProofs;
  /** Environment steps replayed, each action checked. */
  steps = 0;
  proofs = 0;
  rejections = 0;

  constructor(state: NetworkState, judge: Judge, checkProofs: CheckProofs) {
    this.#state = state;
    this.#judge = judge;
    this.#checkProofs = (proofs) => {
      this.proofs += proofs.length;
      return checkProofs(proofs);
    };
  }

  /** Looks at an entry before it is applied. @throws GrailError LEDGER_DIVERGED, and what judging throws */
  async check(index: number, { window, body }: LedgerEntry): Promise<void> {
    if (body.type === 'fold') this.#checkFold(index, window, body as unknown as FoldBody);
    if (body.type === 'verdict') await this.#checkVerdict(index, window, body as unknown as VerdictBody);
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
    for (const { slots } of input.commits) this.steps += slots * this.#state.genesis.stepsPerSlot;
    const expected = await assembleVerdict(this.#state, window, work, policy, this.#checkProofs);
    const difference = firstDifference(expected as unknown as Json, body as unknown as Json, '');
    if (difference !== null) {
      throw diverged(index, number, difference.path, difference.expected, difference.got);
    }
    this.rejections += body.results.filter(({ rejection }) => rejection !== null).length;
  }
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
