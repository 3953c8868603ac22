import { toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256 } from '../src/protocol/hash.ts';
import type { CheckProofs } from '../src/replica/verdict.ts';
import type { WorkMetrics } from './metrics/work.ts';

/** Checks a proof once, however often a verdict is assembled. */
export class CheckedProofs {
  readonly #check: CheckProofs;
  readonly #metrics: WorkMetrics;
  readonly #known = new Map<string, GrailError | null>();

  readonly #signal: AbortSignal;

  /** @param signal aborted when no further proofs shall be checked */
  constructor(check: CheckProofs, metrics: WorkMetrics, signal: AbortSignal) {
    this.#check = check;
    this.#metrics = metrics;
    this.#signal = signal;
  }

  /** @throws GrailError STOPPED */
  readonly check: CheckProofs = async (proofs) => {
    if (this.#signal.aborted) throw new GrailError('STOPPED', 'this verifier is stopping');
    const keyed = proofs.map((item) => ({
      item,
      key: `${toHex(sha256(item.proof))} ${item.publicSignals[0]} ${item.publicSignals[1]}`,
    }));
    const unchecked = keyed.filter(({ key }) => !this.#known.has(key));
    const began = performance.now();
    const errors = await this.#check(unchecked.map(({ item }) => item));
    this.#metrics.windowWork('proofs', (performance.now() - began) / 1000);
    const invalid = errors.filter((error) => error !== null).length;
    this.#metrics.proofsChecked(errors.length - invalid, invalid);
    for (const [i, { key }] of unchecked.entries()) this.#known.set(key, errors[i]!);
    return keyed.map(({ key }) => this.#known.get(key)!);
  };

  /** Forgets the proofs of a window that is done. */
  clear(): void {
    this.#known.clear();
  }
}
