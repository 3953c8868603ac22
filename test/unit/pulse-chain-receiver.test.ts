import { beforeAll, describe, expect, test } from 'vitest';
import type { Hex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { anchorBlob, patchBlob } from '../../src/pulse/chain/blob.ts';
import {
  CachedReader,
  type Chunks,
  chunksHash,
  MemoryPulseStore,
  type Receiver,
  signManifest,
} from '../../src/pulse/chain/index.ts';
import { MemoryMarks, type MemoryTensors } from '../../src/pulse/index.ts';
import { codeOf, seededRandom } from '../support/pulse.ts';
import {
  bitsOf,
  brokenLinks,
  FaultyStore,
  openPublisher,
  randomState,
  receiverOf,
  stranger,
  trained,
} from '../support/pulse-run.ts';

/** Steps 0 to 6: an anchor, then patches. Nothing else leads to step 6. */
const run = new FaultyStore();
const states: MemoryTensors[] = [];
const hashAt = (sequence: number): Hex => run.manifests[sequence]!.blob.hash;

beforeAll(async () => {
  const random = seededRandom(50);
  const publisher = await openPublisher({ store: run });
  for (let step = 0; step <= 6; step++) {
    states.push(step === 0 ? randomState(random) : trained(states.at(-1)!, random));
    await publisher.publish(step, states[step]!);
  }
});

/** A store that holds the log's first manifests only. */
function until(step: number): FaultyStore {
  const store = run.copy();
  store.manifests.splice(step + 1);
  return store;
}

/** A receiver that has synced with step `step`, and then reads from `reader`. */
async function receiverAt(step: number, reader: FaultyStore): Promise<Receiver> {
  let present = until(step);
  const receiver = receiverOf({
    reader: {
      listManifests: (from) => present.listManifests(from),
      getBlob: (hash) => present.getBlob(hash),
    },
  });
  await receiver.sync();
  present = reader;
  return receiver;
}

const kindsOf = (manifests: readonly { kind: string; step: number }[]) =>
  manifests.map(({ kind, step }) => `${kind} ${step}`);

describe('a receiver', () => {
  test('starts with the anchor and ends with the publisher’s bits', async () => {
    const receiver = receiverOf({ reader: run });
    const synced = await receiver.sync();
    expect(kindsOf(synced.applied)).toEqual([
      'anchor 0',
      ...[1, 2, 3, 4, 5, 6].map((step) => `patch ${step}`),
    ]);
    expect(synced).toMatchObject({ from: null, step: 6, avoided: [] });
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });

  test('that missed updates applies those alone', async () => {
    const receiver = await receiverAt(2, run);
    const synced = await receiver.sync();
    expect(kindsOf(synced.applied)).toEqual(['patch 3', 'patch 4', 'patch 5', 'patch 6']);
    expect(synced).toMatchObject({ from: 2, step: 6 });
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });

  test('fetches nothing when there is nothing new', async () => {
    const store = run.copy();
    const receiver = await receiverAt(6, store);
    expect(await receiver.sync()).toMatchObject({ from: 6, step: 6, applied: [] });
    expect(store.fetched).toEqual([]);
  });

  test('that starts again goes on with state, marks and head', async () => {
    const before = await receiverAt(3, run);
    const { head, marks } = before.history;
    const held = { state: before.held!.state, step: 3, head, marks };
    const receiver = receiverOf({ reader: run, held, seen: before.seen! });
    expect(kindsOf((await receiver.sync()).applied)).toEqual(['patch 4', 'patch 5', 'patch 6']);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
    expect(bitsOf(held.state)).toBe(bitsOf(states[3]!));
  });

  test('that has lost its history starts from the anchor', async () => {
    const receiver = receiverOf({ reader: run, held: { state: states[3]!, step: 3 } });
    expect(kindsOf((await receiver.sync()).applied)[0]).toBe('anchor 0');
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });

  test('never writes into the state that it was given', async () => {
    const given = states[0]!.clone();
    const receiver = receiverOf({ reader: run, held: { state: given, step: 0 } });
    expect(kindsOf((await receiver.sync()).applied)[0]).toBe('patch 1');
    expect(bitsOf(given)).toBe(bitsOf(states[0]!));
  });

  test('tells after each step what it holds, and waits for the answer', async () => {
    const told: string[] = [];
    const receiver = receiverOf({
      reader: run,
      async onStep({ state, step }, { links, bytes }) {
        expect(bitsOf(state)).toBe(bitsOf(states[step]!));
        await new Promise((resolve) => setTimeout(resolve, 1));
        told.push(`${step} ${links.join('/')} ${bytes[0] <= bytes[1]}`);
      },
    });
    await receiver.sync();
    expect(told).toEqual([0, 1, 2, 3, 4, 5, 6].map((step) => `${step} ${step + 1}/7 true`));
  });

  test('that is asked twice at once does the work once', async () => {
    const store = run.copy();
    const receiver = receiverOf({ reader: store });
    await Promise.all([receiver.sync(), receiver.sync()]);
    expect(store.fetched).toHaveLength(7);
  });

  test('stops when it is told to, with a published state', async () => {
    const stop = new AbortController();
    const receiver = receiverOf({
      reader: run,
      onStep: ({ step }) => (step === 2 ? stop.abort() : undefined),
    });
    await expect(receiver.sync({ signal: stop.signal })).rejects.toThrow(/abort/i);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[2]!));
    await receiver.sync();
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });

  test('takes an anchor that unpacks to more than it allows for a broken link', async () => {
    const receiver = receiverOf({ reader: run, maxStateBytes: 1000 });
    expect(await brokenLinks(() => receiver.sync())).toEqual(['TOO_LARGE']);
    expect(receiver.held).toBe(null);
  });

  test('of a log without manifests has nothing to hold yet', async () => {
    expect(await codeOf(() => receiverOf({ reader: new MemoryPulseStore() }).sync())).toBe(
      'PATCH_CHAIN_BROKEN',
    );
  });
});

/** What happens to the one link from step 5 to step 6, and the code of that link. */
const LINK_FAULTS: [string, string, (store: FaultyStore) => void | Promise<void>][] = [
  ['a deleted blob', 'BLOB_MISSING', (store) => void store.blobs.delete(hashAt(6))],
  ['a truncated blob', 'BLOB_CORRUPT', (store) => store.damage(hashAt(6), (bytes) => bytes.slice(0, -1))],
  [
    'half a blob under its name',
    'BLOB_CORRUPT',
    (store) => store.damage(hashAt(6), (bytes) => bytes.slice(0, bytes.length / 2)),
  ],
  ['an empty blob', 'BLOB_CORRUPT', (store) => store.damage(hashAt(6), () => new Uint8Array(0))],
  [
    'a blob with bytes added',
    'BLOB_CORRUPT',
    (store) => store.damage(hashAt(6), (bytes) => Uint8Array.of(...bytes, 0)),
  ],
  [
    'another blob of the chain',
    'BLOB_CORRUPT',
    (store) => void store.blobs.set(hashAt(6), run.blobs.get(hashAt(5))!),
  ],
  [
    'a patch from another base',
    'PATCH_BASE_MISMATCH',
    (store) =>
      forged(store, patchBlob({ base: states[4]!, baseId: run.manifests[4]!.targetId, target: states[6]! })),
  ],
  [
    'a patch that leads elsewhere',
    'PATCH_TARGET_MISMATCH',
    (store) =>
      forged(store, patchBlob({ base: states[5]!, baseId: run.manifests[5]!.targetId, target: states[4]! })),
  ],
  [
    'a patch that was coded with another history',
    'PATCH_HISTORY_MISMATCH',
    (store) => {
      const marks = new MemoryMarks(states[4]!.specs);
      const first = patchBlob({
        base: states[4]!,
        baseId: run.manifests[4]!.targetId,
        target: states[5]!,
        history: { marks, head: FRESH_HEAD },
      });
      const blob = patchBlob({
        base: states[5]!,
        baseId: first.targetId,
        target: states[6]!,
        history: { marks, head: first.head },
      });
      return forged(store, blob);
    },
  ],
  [
    'a patch without the history that its manifest gives',
    'PATCH_HISTORY_MISMATCH',
    (store) =>
      forged(store, patchBlob({ base: states[5]!, baseId: run.manifests[5]!.targetId, target: states[6]! })),
  ],
  ['an anchor under a patch’s manifest', 'PATCH_FORMAT', (store) => forged(store, anchorBlob(states[6]!))],
  [
    'bytes that are no patch',
    'PATCH_FORMAT',
    (store) =>
      forged(store, {
        chunks: [Uint8Array.of(1)],
        hash: '0x4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a',
        bytes: 1,
      }),
  ],
];
const FRESH_HEAD = { steps: 0, tag: new Uint8Array(8), models: new Uint8Array(0) };

/** Puts a manifest in the place of the last one that says the same of another blob. */
async function forged(store: FaultyStore, blob: { chunks: Chunks; hash: Hex; bytes: number }): Promise<void> {
  const { signature: _, ...last } = store.manifests.pop()!;
  await store.forge(blob, { ...last, blob: { hash: blob.hash, bytes: blob.bytes } });
}

describe('a link', () => {
  test.each(LINK_FAULTS)('that is %s is %s, and what is held stays', async (_, code, fault) => {
    const store = run.copy();
    await fault(store);
    const receiver = await receiverAt(5, store);
    const { head, marks } = receiver.history;
    const before = { bits: bitsOf(receiver.held!.state), marks: marks!.clone().arrays, head };
    expect(await brokenLinks(() => receiver.sync())).toContain(code);
    expect(receiver.held).toMatchObject({ step: 5, id: run.manifests[5]!.targetId });
    expect(bitsOf(receiver.held!.state)).toBe(before.bits);
    expect(receiver.history.marks!.arrays).toEqual(before.marks);
    expect(receiver.history.head).toEqual(before.head);
    // Whole again, the link is taken.
    const mended = await receiverAt(5, run);
    await mended.sync();
    expect(bitsOf(mended.held!.state)).toBe(bitsOf(states[6]!));
  });

  test('with any one byte changed is BLOB_CORRUPT', async () => {
    const length = run.manifests[6]!.blob.bytes;
    const random = seededRandom(51);
    for (const at of [0, 1, 5, 40, length - 1, ...Array.from({ length: 12 }, () => random(length))]) {
      const store = run.copy();
      store.damage(hashAt(6), (bytes) => bytes.with(at, bytes[at]! ^ (1 << random(8))));
      const receiver = await receiverAt(5, store);
      expect(await brokenLinks(() => receiver.sync())).toContain('BLOB_CORRUPT');
      expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[5]!));
    }
  });

  test('that was signed with any one byte changed leads nowhere, or to the very state', async () => {
    const bytes = Uint8Array.from(run.blobs.get(hashAt(6))!.flatMap((chunk) => [...chunk]));
    for (let at = 0; at < bytes.length; at += 7) {
      const store = run.copy();
      const chunks = [bytes.with(at, bytes[at]! ^ 1)];
      await forged(store, { chunks, hash: chunksHash(chunks), bytes: bytes.length });
      const receiver = await receiverAt(5, store);
      const codes = await brokenLinks(() => receiver.sync());
      expect(codes.every((code) => code.startsWith('PATCH_'))).toBe(true);
      expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[5]!));
    }
  });

  test('that is bad in the middle of the way leaves the state before it, and is gone round when an anchor comes', async () => {
    const store = run.copy();
    store.damage(hashAt(5), (bytes) => bytes.slice(1));
    const receiver = await receiverAt(3, store);
    expect(await brokenLinks(() => receiver.sync())).toContain('BLOB_CORRUPT');
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[4]!));
    const publisher = await openPublisher({ store, held: { state: states[6]! } });
    await publisher.publish(7, states[5]!, { anchor: true });
    const synced = await receiver.sync();
    expect(kindsOf(synced.applied)).toEqual(['anchor 7']);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[5]!));
  });

  test('whose store does not answer passes its code on, and the next sync goes on', async () => {
    const store = run.copy();
    store.beforeGet = (hash) => {
      if (hash === hashAt(5)) throw new GrailError('UNREACHABLE', 'no answer');
    };
    const receiver = await receiverAt(3, store);
    expect(await codeOf(() => receiver.sync())).toBe('UNREACHABLE');
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[4]!));
    store.beforeGet = null;
    await receiver.sync();
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });
});

describe('a log', () => {
  const LOG_FAULTS: [string, string, (store: FaultyStore) => void | Promise<void>][] = [
    ['is empty', 'MANIFEST_ROLLED_BACK', (store) => void store.manifests.splice(0)],
    ['is old', 'MANIFEST_ROLLED_BACK', (store) => void store.manifests.splice(4)],
    [
      'is in another order',
      'MANIFEST_OUT_OF_ORDER',
      (store) => void store.manifests.push(store.manifests.splice(5, 1)[0]!),
    ],
    ['has a gap', 'MANIFEST_OUT_OF_ORDER', (store) => void store.manifests.splice(5, 1)],
    [
      'has a changed manifest',
      'MANIFEST_INVALID',
      (store) =>
        void store.manifests.splice(6, 1, { ...store.manifests[6]!, targetId: `0x${'1'.repeat(64)}` }),
    ],
    [
      'has a manifest of another key',
      'MANIFEST_INVALID',
      async (store) => {
        const { signature: _, ...last } = store.manifests.pop()!;
        store.manifests.push(await signManifest(stranger, last));
      },
    ],
    [
      'has another history behind what was seen',
      'MANIFEST_FORKED',
      async (store) => {
        store.manifests.splice(4);
        await store.forge(
          { chunks: [Uint8Array.of(1)], hash: hashAt(1), bytes: 1 },
          { step: 4, baseStep: 3 },
        );
      },
    ],
  ];

  test.each(LOG_FAULTS)('that %s is %s, and nothing is fetched', async (_, code, fault) => {
    const store = run.copy();
    await fault(store);
    const receiver = await receiverAt(4, store);
    expect(await codeOf(() => receiver.sync())).toBe(code);
    expect(store.fetched).toEqual([]);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[4]!));
    expect(receiver.seen!.sequence).toBe(4);
  });

  test('that ends before the step that is held is MANIFEST_ROLLED_BACK, even to a receiver that remembers no log', async () => {
    const receiver = receiverOf({ reader: until(3), held: { state: states[5]!, step: 5 } });
    expect(await codeOf(() => receiver.sync())).toBe('MANIFEST_ROLLED_BACK');
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[5]!));
  });

  test('that a receiver has seen is held against the next one, though its blobs were missing', async () => {
    const missing = run.copy();
    missing.blobs.clear();
    const receiver = await receiverAt(2, missing);
    expect(await codeOf(() => receiver.sync())).toBe('PATCH_CHAIN_BROKEN');
    expect(receiver.seen!.sequence).toBe(6);
    missing.manifests.splice(5);
    expect(await codeOf(() => receiver.sync())).toBe('MANIFEST_ROLLED_BACK');
  });
});

describe('a way round', () => {
  /** Resets every 4 steps, so that merged patches lead from 0, 4, 8 on. */
  const skipping = new FaultyStore();
  const list: MemoryTensors[] = [];
  beforeAll(async () => {
    const random = seededRandom(60);
    const publisher = await openPublisher({ store: skipping, cadence: { resetEvery: 4 } });
    for (let step = 0; step <= 14; step++) {
      list.push(step === 0 ? randomState(random) : trained(list.at(-1)!, random));
      await publisher.publish(step, list[step]!);
    }
  });
  const hashOf = (kind: string, step: number) =>
    skipping.manifests.find((manifest) => manifest.kind === kind && manifest.step === step)!.blob.hash;

  test('by merged patches is taken by who comes late, for fewer bytes', async () => {
    const receiver = receiverOf({ reader: skipping, held: { state: list[0]!, step: 0 } });
    const { applied } = await receiver.sync();
    const bytes = applied.reduce((sum, { blob }) => sum + blob.bytes, 0);
    const patches = skipping.manifests.filter(({ kind }) => kind === 'patch');
    expect(applied[0]!.kind).toBe('merged');
    expect(kindsOf(applied).slice(-2)).toEqual(['patch 13', 'patch 14']);
    expect(bytes).toBeLessThan(patches.reduce((sum, { blob }) => sum + blob.bytes, 0));
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(list[14]!));
  });

  test('is found when a patch is missing', async () => {
    const store = skipping.copy();
    store.blobs.delete(hashOf('patch', 6));
    const receiver = receiverOf({ reader: store, held: { state: list[4]!, step: 4 } });
    await receiver.sync();
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(list[14]!));
  });

  test('is found when a merged patch is corrupt', async () => {
    const held = { state: list[0]!, step: 0 };
    const store = skipping.copy();
    const [first] = (await receiverOf({ reader: store, held }).sync()).applied;
    store.damage(first!.blob.hash, (bytes) => bytes.slice(1));
    const receiver = receiverOf({ reader: store, held });
    const { avoided } = await receiver.sync();
    expect(avoided).toEqual([{ hash: first!.blob.hash, code: 'BLOB_CORRUPT' }]);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(list[14]!));
  });

  test('is found when retention deletes a blob between plan and fetch', async () => {
    const store = skipping.copy();
    const receiver = receiverOf({
      reader: store,
      held: { state: list[0]!, step: 0 },
      prefetch: { blobs: 0, bytes: 0 },
    });
    let raced = false;
    const target = trained(list[14]!, seededRandom(61));
    store.beforeGet = async () => {
      if (raced) return;
      raced = true;
      const publisher = await openPublisher({
        store,
        held: { state: list[14]! },
        cadence: { graceManifests: 0 },
      });
      await publisher.publish(15, target, { anchor: true });
      await publisher.publish(16, target, { anchor: true });
      await publisher.publish(17, target, { anchor: true });
    };
    const { avoided, step } = await receiver.sync();
    expect(avoided[0]!.code).toBe('BLOB_MISSING');
    expect(step).toBe(17);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(target));
  });
});

describe('prefetching', () => {
  test.each([0, 1, 3])('a slow consumer never has more than %i blobs waiting', async (blobs) => {
    const store = run.copy();
    let applied = 0;
    let most = 0;
    store.beforeGet = () => {
      most = Math.max(most, store.fetched.length - applied);
    };
    const receiver = receiverOf({
      reader: store,
      prefetch: { blobs, bytes: 1_000_000 },
      async onStep() {
        await new Promise((resolve) => setTimeout(resolve, 3));
        applied += 1;
      },
    });
    await receiver.sync();
    expect(most).toBe(blobs + 1);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });

  test('fetches the next blobs while one is applied', async () => {
    const store = run.copy();
    const seen: number[] = [];
    const receiver = receiverOf({
      reader: store,
      prefetch: { blobs: 2, bytes: 1_000_000 },
      onStep: () => void seen.push(store.fetched.length),
    });
    await receiver.sync();
    expect(seen).toEqual([3, 4, 5, 6, 7, 7, 7]);
  });

  test('keeps within its bytes', async () => {
    const store = run.copy();
    const seen: number[] = [];
    const bytes = run.manifests[1]!.blob.bytes;
    const receiver = receiverOf({
      reader: store,
      prefetch: { blobs: 5, bytes },
      onStep: () => void seen.push(store.fetched.length),
    });
    await receiver.sync();
    expect(seen[0]).toBe(2);
  });

  test('ends what is under way when a link is bad', async () => {
    const store = run.copy();
    store.damage(hashAt(4), (bytes) => bytes.slice(1));
    const signals: AbortSignal[] = [];
    const receiver = receiverOf({
      reader: {
        listManifests: (from) => store.listManifests(from),
        getBlob: (hash, _, signal) => {
          signals.push(signal!);
          return store.getBlob(hash);
        },
      },
    });
    await brokenLinks(() => receiver.sync());
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });
});

describe('a cache', () => {
  test('is asked before the store, and only sound blobs are put there', async () => {
    const store = run.copy();
    const cache = new MemoryPulseStore();
    await receiverOf({ reader: new CachedReader(store, cache) }).sync();
    await receiverOf({ reader: new CachedReader(store, cache) }).sync();
    expect(store.fetched).toHaveLength(7);
    const bad = run.copy();
    bad.damage(hashAt(0), (bytes) => bytes.slice(1));
    const empty = new MemoryPulseStore();
    expect(await brokenLinks(() => receiverOf({ reader: new CachedReader(bad, empty) }).sync())).toEqual([
      'BLOB_CORRUPT',
    ]);
    expect(empty.blobs.has(hashAt(0))).toBe(false);
  });

  test('with a torn blob is mended from the store', async () => {
    const store = run.copy();
    const cache = run.copy();
    cache.damage(hashAt(3), (bytes) => bytes.slice(0, 10));
    const receiver = receiverOf({ reader: new CachedReader(store, cache) });
    expect((await receiver.sync()).avoided).toEqual([]);
    expect(store.fetched).toEqual([hashAt(3)]);
    expect(cache.blobs.get(hashAt(3))).toEqual(run.blobs.get(hashAt(3)));
  });

  test('that cannot be written does no harm', async () => {
    const cache = new FaultyStore();
    cache.beforePut = () => {
      throw new Error('disk full');
    };
    const receiver = receiverOf({ reader: new CachedReader(run, cache) });
    await receiver.sync();
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(states[6]!));
  });
});
