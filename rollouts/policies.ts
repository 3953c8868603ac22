import type { Genesis } from '../src/params/genesis.ts';
import { type Policy, policyRoot } from '../src/policy/index.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { type FetchBlob, type PublishedVersion, reachVersion } from '../src/pulse/index.ts';
import { initialise } from '../src/training/initialise.ts';

/** Policies kept beside those of the windows in flight: cheap, and what a late proof needs. */
const SPARE = 4;

/** What catching up to a policy took. */
export interface CatchUp {
  readonly policy: Policy;
  /** Blobs fetched, and their bytes; 0 when the policy was at hand. */
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * The last few policies of a network, kept up with by PULSE. Policy 0 is recomputed from genesis; later ones come by
 * whatever sequence of patches and anchors is fewest bytes, each checked against the root that the ledger promises.
 */
export class PolicyStore {
  readonly #genesis: Genesis;
  readonly #fetch: FetchBlob;
  readonly #policies = new Map<number, Policy>();
  /** One catch-up at a time: each starts from what the one before it gave. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(genesis: Genesis, fetch: FetchBlob) {
    this.#genesis = genesis;
    this.#fetch = fetch;
  }

  /**
   * The policy of a version.
   * @throws GrailError PATCH_CHAIN_BROKEN, or what fetching throws (UNREACHABLE): both may pass
   */
  reach(versions: readonly PublishedVersion[], version: number): Promise<CatchUp> {
    const result = this.#queue.then(() => this.#reach(versions, version));
    this.#queue = result.catch(() => {});
    return result;
  }

  async #reach(versions: readonly PublishedVersion[], version: number): Promise<CatchUp> {
    const held = this.#policies.get(version);
    if (held !== undefined) return { policy: held, blobs: 0, bytes: 0 };
    const start = this.#nearest(version);
    const { policy, plan } = await reachVersion({
      versions,
      want: version,
      fetch: this.#fetch,
      held: { policy: start, policyRoot: toHex(policyRoot(start)) },
      architecture: this.#genesis.architecture,
    });
    this.#keep(version, policy);
    return { policy, blobs: plan.steps.length, bytes: plan.bytes };
  }

  /** The newest policy held that is not newer than `version`. */
  #nearest(version: number): Policy {
    const older = [...this.#policies.keys()].filter((held) => held < version);
    return older.length > 0 ? this.#policies.get(Math.max(...older))! : initialPolicy(this.#genesis);
  }

  #keep(version: number, policy: Policy): void {
    this.#policies.set(version, policy);
    const keep = this.#genesis.lag + 1 + SPARE;
    for (const old of [...this.#policies.keys()].sort((a, b) => b - a).slice(keep)) {
      this.#policies.delete(old);
    }
  }
}

/**
 * Policy 0, recomputed from genesis.
 * @throws GrailError GENESIS_INVALID when genesis promises another one
 */
export function initialPolicy(genesis: Genesis): Policy {
  const { policy } = initialise(genesis);
  const root: Hex = toHex(policyRoot(policy));
  if (root !== genesis.initialPolicyRoot) {
    throw new GrailError(
      'GENESIS_INVALID',
      'initialSeed does not give the initial policy that genesis names',
      {
        expected: genesis.initialPolicyRoot,
        got: root,
      },
    );
  }
  return policy;
}
