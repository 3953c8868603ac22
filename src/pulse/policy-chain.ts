import type { Architecture, Policy } from '../policy/architecture.ts';
import { fromHex, type Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { cheapestRoute } from './chain/planner.ts';
import { requireBlob } from './chain/prefetch.ts';
import { applyPolicyPatch, decodePolicyAnchor } from './policy.ts';

/** A blob that leads to a policy; `hash` is SHA-256 of its bytes, `bytes` its length. */
export interface BlobReference {
  readonly hash: Hex;
  readonly bytes: number;
}

/** A published policy, as the ledger's verdicts name it. */
export interface PublishedVersion {
  readonly version: number;
  readonly policyRoot: Hex;
  /** The patch that leads here from `baseRoot`. */
  readonly patch?: BlobReference & { readonly baseRoot: Hex };
  /** The whole policy. */
  readonly anchor?: BlobReference;
}

/** One blob to fetch and apply. */
export interface CatchUpStep extends BlobReference {
  readonly kind: 'patch' | 'anchor';
  readonly version: number;
  /** Root of the policy that a patch starts from; null for an anchor. */
  readonly baseRoot: Hex | null;
  /** Root of the policy that this step gives. */
  readonly policyRoot: Hex;
}

export interface CatchUpPlan {
  readonly targetRoot: Hex;
  /** In order; empty when the receiver holds the policy already. */
  readonly steps: readonly CatchUpStep[];
  /** Sum of the steps' bytes. */
  readonly bytes: number;
}

/** Gives a blob's bytes; it may come from anywhere, since its hash is checked. */
export type FetchBlob = (hash: Hex) => Promise<Uint8Array>;

/**
 * The cheapest way in bytes to the policy of version `want`: patches from what the receiver holds, or an anchor and
 * then patches. Among equally cheap ones the one with fewest steps, then the first in the order of versions.
 * @param versions what was published, in any order
 * @param have policyRoot of what the receiver holds, or null
 * @param unavailable hashes of blobs known to be lost or corrupt
 * @throws GrailError PATCH_CHAIN_BROKEN when nothing leads there.
 */
export function planCatchUp(
  versions: readonly PublishedVersion[],
  have: Hex | null,
  want: number,
  unavailable: ReadonlySet<Hex> = new Set(),
): CatchUpPlan {
  const target = versions.find(({ version }) => version === want);
  if (target === undefined) {
    throw new GrailError('PATCH_CHAIN_BROKEN', `version ${want} was not published`, { version: want });
  }
  const links = versions
    .toSorted((a, b) => a.version - b.version)
    .flatMap(stepsTo)
    .map((step) => ({ ...step, from: step.baseRoot, to: [step.policyRoot] }));
  const route = cheapestRoute(links, have === null ? [] : [have], target.policyRoot, unavailable);
  if (route === null) {
    throw new GrailError(
      'PATCH_CHAIN_BROKEN',
      `no sequence of patches and anchors leads to version ${want}: ask another verifier for an anchor`,
      { version: want, have, unavailable: [...unavailable].sort() },
    );
  }
  const steps = route.links.map(({ from, to, ...step }): CatchUpStep => step);
  return { targetRoot: target.policyRoot, steps, bytes: route.bytes };
}

/**
 * Fetches and applies a plan. Nothing is swapped until the last root was checked: the result is a new policy, and
 * whatever happens `base` is as it was.
 * @param input.base what the receiver holds; a plan that starts with a patch needs it
 * @param input.baseRoot its root, when the caller knows it; else a wrong base shows as PATCH_TARGET_MISMATCH
 * @param input.architecture genesis's; an anchor of another one is refused
 * @throws GrailError BLOB_CORRUPT, PATCH_FORMAT, PATCH_BASE_MISMATCH or PATCH_TARGET_MISMATCH, with the blob's `hash`
 *   in its details; PATCH_CHAIN_BROKEN when the plan has no start; or whatever `fetch` throws.
 */
export async function catchUp(input: {
  plan: CatchUpPlan;
  fetch: FetchBlob;
  base?: Policy | undefined;
  baseRoot?: Hex | undefined;
  architecture?: Architecture | undefined;
}): Promise<Policy> {
  let policy = input.base;
  let root = input.baseRoot ?? input.plan.steps[0]?.baseRoot ?? input.plan.targetRoot;
  for (const step of input.plan.steps) {
    const bytes = await input.fetch(step.hash);
    requireBlob([bytes], step.hash, step.bytes);
    policy = withHash(step.hash, () => {
      if (step.kind === 'anchor')
        return decodePolicyAnchor(bytes, fromHex(step.policyRoot), input.architecture);
      if (policy === undefined)
        throw new GrailError('PATCH_CHAIN_BROKEN', 'a patch needs a policy to start from');
      return applyPolicyPatch(policy, fromHex(root), bytes, fromHex(step.policyRoot));
    });
    root = step.policyRoot;
  }
  if (policy === undefined || root !== input.plan.targetRoot) {
    throw new GrailError('PATCH_CHAIN_BROKEN', 'the plan does not lead to its policy', {
      expected: input.plan.targetRoot,
      got: policy === undefined ? null : root,
    });
  }
  return policy;
}

/** Failures of one blob: another way to the policy may still exist. */
const BLOB_FAILURES: ReadonlySet<string> = new Set([
  'BLOB_MISSING',
  'BLOB_CORRUPT',
  'PATCH_FORMAT',
  'PATCH_BASE_MISMATCH',
  'PATCH_TARGET_MISMATCH',
]);

/**
 * Plans and catches up, and plans again without a blob that is missing or bad, until the policy is reached.
 * @throws GrailError PATCH_CHAIN_BROKEN when no way is left; or what `fetch` throws that is not about one blob.
 */
export async function reachVersion(input: {
  versions: readonly PublishedVersion[];
  want: number;
  fetch: FetchBlob;
  held?: { readonly policy: Policy; readonly policyRoot: Hex } | undefined;
  architecture?: Architecture | undefined;
}): Promise<{ policy: Policy; plan: CatchUpPlan; unavailable: ReadonlySet<Hex> }> {
  const { versions, want, held, architecture } = input;
  const unavailable = new Set<Hex>();
  const fetched = new Map<Hex, Uint8Array>();
  for (;;) {
    const plan = planCatchUp(versions, held?.policyRoot ?? null, want, unavailable);
    let current: Hex | undefined;
    const fetch: FetchBlob = async (hash) => {
      current = hash;
      const bytes = fetched.get(hash) ?? (await input.fetch(hash));
      fetched.set(hash, bytes);
      return bytes;
    };
    try {
      const policy = await catchUp({
        plan,
        fetch,
        base: held?.policy,
        baseRoot: held?.policyRoot,
        architecture,
      });
      return { policy, plan, unavailable };
    } catch (error) {
      if (!(error instanceof GrailError) || !BLOB_FAILURES.has(error.code) || current === undefined)
        throw error;
      unavailable.add(current);
    }
  }
}

function stepsTo({ version, policyRoot, patch, anchor }: PublishedVersion): CatchUpStep[] {
  const steps: CatchUpStep[] = [];
  if (patch !== undefined) {
    const { hash, bytes, baseRoot } = patch;
    steps.push({ kind: 'patch', version, hash, bytes, baseRoot, policyRoot });
  }
  if (anchor !== undefined) {
    const { hash, bytes } = anchor;
    steps.push({ kind: 'anchor', version, hash, bytes, baseRoot: null, policyRoot });
  }
  return steps;
}

function withHash<T>(hash: Hex, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof GrailError)) throw error;
    throw new GrailError(error.code, error.message, { ...error.details, hash }, { cause: error });
  }
}
