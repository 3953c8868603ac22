import { describe, expect, test } from 'vitest';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import {
  catchUp,
  encodePolicyAnchor,
  encodePolicyPatch,
  type FetchBlob,
  mergePolicyPatches,
  type PublishedVersion,
  planCatchUp,
  reachVersion,
} from '../../src/pulse/index.ts';
import { codeOf, denseArchitecture, randomPolicy, randomUpdate, seededRandom } from '../support/pulse.ts';

/** Thirteen real versions: an anchor at 0, 5 and 10, a patch to each from the one before. */
function publish() {
  const random = seededRandom(11);
  const blobs = new Map<Hex, Uint8Array>();
  const store = (bytes: Uint8Array) => {
    const hash = toHex(sha256(bytes));
    blobs.set(hash, bytes);
    return { hash, bytes: bytes.length };
  };
  const policies: Policy[] = [randomPolicy(denseArchitecture([8, 24, 4]), random)];
  for (let i = 1; i <= 12; i++) policies.push(randomUpdate(policies[i - 1]!, random, 20));
  const roots = policies.map(policyRoot);
  const versions = policies.map((policy, version): PublishedVersion => {
    const baseRoot = roots[version - 1]!;
    const patch = () =>
      store(
        encodePolicyPatch({
          base: policies[version - 1]!,
          target: policy,
          baseRoot,
          targetRoot: roots[version]!,
        }),
      );
    return {
      version,
      policyRoot: toHex(roots[version]!),
      ...(version > 0 ? { patch: { ...patch(), baseRoot: toHex(baseRoot) } } : {}),
      ...(version % 5 === 0 ? { anchor: store(encodePolicyAnchor(policy)) } : {}),
    };
  });
  const fetch: FetchBlob = async (hash) => {
    const bytes = blobs.get(hash);
    if (bytes === undefined) throw new GrailError('BLOB_MISSING', 'gone', { hash });
    return bytes;
  };
  return { policies, versions, blobs, fetch };
}

const { policies, versions, blobs, fetch } = publish();
const rootOf = (version: number) => versions[version]!.policyRoot;
const kinds = (plan: { steps: readonly { kind: string; version: number }[] }) =>
  plan.steps.map(({ kind, version }) => `${kind} ${version}`);
const patchHash = (version: number) => versions[version]!.patch!.hash;
const anchorHash = (version: number) => versions[version]!.anchor!.hash;

/** Versions with sizes alone, for plans. `root` names policies by a letter. */
function sized(
  entries: readonly [root: string, patch: [from: string, bytes: number] | null, anchor: number | null][],
) {
  const hex = (text: string) => toHex(sha256(new TextEncoder().encode(text)));
  return entries.map(
    ([root, patch, anchor], version): PublishedVersion => ({
      version,
      policyRoot: hex(root),
      ...(patch ? { patch: { hash: hex(`p${version}`), bytes: patch[1], baseRoot: hex(patch[0]) } } : {}),
      ...(anchor ? { anchor: { hash: hex(`a${version}`), bytes: anchor } } : {}),
    }),
  );
}

describe('a plan', () => {
  test('is empty for a receiver that holds the version', () => {
    expect(planCatchUp(versions, rootOf(7), 7)).toEqual({ targetRoot: rootOf(7), steps: [], bytes: 0 });
  });

  test('takes patches when they are fewer bytes than an anchor', () => {
    const plan = planCatchUp(versions, rootOf(3), 6);
    expect(kinds(plan)).toEqual(['patch 4', 'patch 5', 'patch 6']);
    expect(plan.bytes).toBe([4, 5, 6].reduce((sum, i) => sum + versions[i]!.patch!.bytes, 0));
  });

  test('starts a receiver with nothing at the nearest anchor', () => {
    expect(kinds(planCatchUp(versions, null, 12))).toEqual(['anchor 10', 'patch 11', 'patch 12']);
  });

  test('goes through an anchor when the patches missed are more bytes', () => {
    const made = sized([
      ['a', null, 500],
      ['b', ['a', 90], null],
      ['c', ['b', 90], 150],
      ['d', ['c', 20], null],
    ]);
    expect(kinds(planCatchUp(made, made[0]!.policyRoot, 3))).toEqual(['anchor 2', 'patch 3']);
    expect(kinds(planCatchUp(made, made[1]!.policyRoot, 3))).toEqual(['patch 2', 'patch 3']);
  });

  test('takes a merged patch when it is the cheapest', () => {
    const made = sized([
      ['a', null, 500],
      ['b', ['a', 90], null],
      ['c', ['b', 90], null],
    ]);
    const merged = { version: 2, policyRoot: made[2]!.policyRoot, patch: { ...made[2]!.patch!, bytes: 130 } };
    const patch = { ...merged.patch, hash: made[0]!.anchor!.hash, baseRoot: made[0]!.policyRoot };
    const plan = planCatchUp([...made, { ...merged, patch }], made[0]!.policyRoot, 2);
    expect(plan.steps.map(({ hash }) => hash)).toEqual([patch.hash]);
  });

  test('prefers fewer steps among equally cheap ones', () => {
    const made = sized([
      ['a', null, 100],
      ['b', ['a', 50], 150],
    ]);
    expect(kinds(planCatchUp(made, null, 1))).toEqual(['anchor 1']);
  });

  test('does not depend on the order in which versions are given', () => {
    for (const have of [null, rootOf(0), rootOf(4), rootOf(12)]) {
      for (let want = 0; want < versions.length; want++) {
        expect(planCatchUp(versions.toReversed(), have, want)).toEqual(planCatchUp(versions, have, want));
      }
    }
  });

  test('finds the way through a policy that was published again later', () => {
    const made = sized([
      ['a', null, null],
      ['b', ['a', 10], null],
      ['c', ['b', 10], null],
      ['a', ['c', 10], null],
      ['d', ['a', 10], null],
    ]);
    expect(kinds(planCatchUp(made, made[2]!.policyRoot, 1))).toEqual(['patch 3', 'patch 1']);
    expect(kinds(planCatchUp(made, made[0]!.policyRoot, 4))).toEqual(['patch 4']);
  });

  test('goes back to an older version through its anchor', () => {
    expect(kinds(planCatchUp(versions, rootOf(12), 6))).toEqual(['anchor 5', 'patch 6']);
  });

  test('goes round a link that is gone', () => {
    expect(kinds(planCatchUp(versions, rootOf(3), 6, new Set([patchHash(4)])))).toEqual([
      'anchor 5',
      'patch 6',
    ]);
    expect(kinds(planCatchUp(versions, null, 12, new Set([anchorHash(10)])))).toEqual([
      'anchor 5',
      ...[6, 7, 8, 9, 10, 11, 12].map((i) => `patch ${i}`),
    ]);
  });

  test('does not exist when links are gone on every way', async () => {
    const gone = new Set([patchHash(12)]);
    expect(await codeOf(() => planCatchUp(versions, rootOf(11), 12, gone))).toBe('PATCH_CHAIN_BROKEN');
  });

  test('does not exist for a version that was not published', async () => {
    expect(await codeOf(() => planCatchUp(versions, rootOf(12), 13))).toBe('PATCH_CHAIN_BROKEN');
  });
});

describe('catching up', () => {
  test.each([1, 2, 3, 4, 7, 12])(
    'brings a receiver that was away for %i windows to the policy',
    async (away) => {
      const from = 12 - away;
      const plan = planCatchUp(versions, rootOf(from), 12);
      const policy = await catchUp({ plan, fetch, base: policies[from]!, baseRoot: rootOf(from) });
      expect(tensorBytes(policy)).toEqual(tensorBytes(policies[12]!));
    },
  );

  test('brings a receiver with nothing to every version', async () => {
    for (const { version } of versions) {
      const policy = await catchUp({ plan: planCatchUp(versions, null, version), fetch });
      expect(tensorBytes(policy)).toEqual(tensorBytes(policies[version]!));
    }
  });

  test('fetches exactly the bytes that the plan names', async () => {
    const plan = planCatchUp(versions, rootOf(3), 6);
    let bytes = 0;
    const counting: FetchBlob = async (hash) => {
      const blob = await fetch(hash);
      bytes += blob.length;
      return blob;
    };
    await catchUp({ plan, fetch: counting, base: policies[3]! });
    expect(bytes).toBe(plan.bytes);
  });

  test('stops at a blob whose bytes are not those of its hash, and leaves the old policy in place', async () => {
    const before = tensorBytes(policies[3]!);
    const corrupting: FetchBlob = async (hash) => {
      const bytes = (await fetch(hash)).slice();
      if (hash === patchHash(5)) bytes[bytes.length - 1]! ^= 1;
      return bytes;
    };
    const run = () =>
      catchUp({ plan: planCatchUp(versions, rootOf(3), 6), fetch: corrupting, base: policies[3]! });
    await expect(run).rejects.toMatchObject({ code: 'BLOB_CORRUPT', details: { hash: patchHash(5) } });
    expect(tensorBytes(policies[3]!)).toEqual(before);
  });

  test('passes on what fetch throws', async () => {
    const plan = planCatchUp(versions, rootOf(3), 4);
    const failing: FetchBlob = () => Promise.reject(new Error('offline'));
    await expect(catchUp({ plan, fetch: failing, base: policies[3]! })).rejects.toThrow('offline');
  });

  test('refuses a receiver whose policy is not where the plan starts', async () => {
    const plan = planCatchUp(versions, rootOf(3), 4);
    expect(await codeOf(() => catchUp({ plan, fetch, base: policies[2]!, baseRoot: rootOf(2) }))).toBe(
      'PATCH_BASE_MISMATCH',
    );
    expect(await codeOf(() => catchUp({ plan, fetch, base: policies[2]! }))).toBe('PATCH_TARGET_MISMATCH');
    expect(await codeOf(() => catchUp({ plan, fetch }))).toBe('PATCH_CHAIN_BROKEN');
  });

  test('refuses a ledger’s patch that leads to another policy than it says', async () => {
    const plan = planCatchUp(versions, rootOf(3), 4);
    const lying = { ...plan, steps: plan.steps.map((step) => ({ ...step, policyRoot: rootOf(9) })) };
    await expect(catchUp({ plan: lying, fetch, base: policies[3]! })).rejects.toMatchObject({
      code: 'PATCH_TARGET_MISMATCH',
      details: { hash: patchHash(4) },
    });
  });
});

describe('reaching a version', () => {
  const held = { policy: policies[3]!, policyRoot: rootOf(3) };
  const without =
    (...hashes: Hex[]): FetchBlob =>
    async (hash) => {
      if (hashes.includes(hash)) throw new GrailError('BLOB_MISSING', 'gone', { hash });
      return fetch(hash);
    };

  test('takes another way when a blob is missing', async () => {
    const reached = await reachVersion({ versions, want: 6, held, fetch: without(patchHash(5)) });
    expect(kinds(reached.plan)).toEqual(['anchor 5', 'patch 6']);
    expect(tensorBytes(reached.policy)).toEqual(tensorBytes(policies[6]!));
    expect([...reached.unavailable]).toEqual([patchHash(5)]);
  });

  test('takes another way when a blob is corrupt, and never takes the same blob twice', async () => {
    const asked: Hex[] = [];
    const corrupting: FetchBlob = async (hash) => {
      asked.push(hash);
      return hash === patchHash(5) ? new Uint8Array(blobs.get(hash)!.length) : fetch(hash);
    };
    const reached = await reachVersion({ versions, want: 6, held, fetch: corrupting });
    expect(kinds(reached.plan)).toEqual(['anchor 5', 'patch 6']);
    expect(new Set(asked).size).toBe(asked.length);
  });

  test('fetches a good blob once, however many plans need it', async () => {
    const merged = mergePolicyPatches(policies[1]!, policyRoot(policies[1]!), [
      blobs.get(patchHash(2))!,
      blobs.get(patchHash(3))!,
    ]);
    const lost = { hash: toHex(sha256(merged)), bytes: merged.length, baseRoot: rootOf(1) };
    const asked: Hex[] = [];
    const reached = await reachVersion({
      versions: [...versions, { version: 3, policyRoot: rootOf(3), patch: lost }],
      want: 3,
      fetch: (hash) => {
        asked.push(hash);
        return fetch(hash);
      },
    });
    expect(asked).toEqual([anchorHash(0), patchHash(1), lost.hash, patchHash(2), patchHash(3)]);
    expect(tensorBytes(reached.policy)).toEqual(tensorBytes(policies[3]!));
  });

  test('says that the chain is broken when no way is left', async () => {
    const run = () => reachVersion({ versions, want: 6, held, fetch: without(patchHash(6)) });
    expect(await codeOf(run)).toBe('PATCH_CHAIN_BROKEN');
  });

  test('does not take a network failure for a missing blob', async () => {
    const failing: FetchBlob = () => Promise.reject(new Error('offline'));
    await expect(reachVersion({ versions, want: 6, held, fetch: failing })).rejects.toThrow('offline');
  });
});
