import { describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { anchorDue, MAX_MANIFESTS_PER_ANCHOR } from '../../src/pulse/chain/cadence.ts';
import { type Manifest, type Published, type Publisher, verifyLog } from '../../src/pulse/chain/index.ts';
import { retentionCut } from '../../src/pulse/chain/retention.ts';
import type { MemoryTensors } from '../../src/pulse/index.ts';
import { codeOf, seededRandom } from '../support/pulse.ts';
import {
  bitsOf,
  FaultyStore,
  identity,
  openPublisher,
  randomState,
  receiverOf,
  SPECS,
  stranger,
  trained,
  trust,
} from '../support/pulse-run.ts';

const kinds = (manifests: readonly Manifest[]) => manifests.map(({ kind, step }) => `${kind} ${step}`);
const offline = () => {
  throw new GrailError('UNREACHABLE', 'the store does not answer');
};

/** States of steps 0 to `last`. */
function states(seed: number, last: number): MemoryTensors[] {
  const random = seededRandom(seed);
  const list = [randomState(random)];
  while (list.length <= last) list.push(trained(list.at(-1)!, random));
  return list;
}

async function publishAll(
  publisher: Publisher,
  list: readonly MemoryTensors[],
  from = 0,
): Promise<Published[]> {
  const out: Published[] = [];
  for (let step = from; step < list.length; step++) out.push(await publisher.publish(step, list[step]!));
  return out;
}

async function expectLatest(store: FaultyStore, state: MemoryTensors): Promise<void> {
  const receiver = receiverOf({ reader: store });
  await receiver.sync();
  expect(bitsOf(receiver.held!.state)).toBe(bitsOf(state));
}

describe('a publisher', () => {
  test('starts with an anchor and goes on with patches, in a log that verifies', async () => {
    const store = new FaultyStore();
    const list = states(1, 3);
    const published = await publishAll(await openPublisher({ store }), list);
    expect(published.map(({ manifests }) => kinds(manifests))).toEqual([
      ['anchor 0'],
      ['patch 1'],
      ['patch 2'],
      ['patch 3'],
    ]);
    expect(verifyLog(store.manifests, trust)).toEqual(store.manifests);
    expect(store.manifests.map(({ history }) => history.gives.steps)).toEqual([0, 1, 2, 3]);
    await expectLatest(store, list[3]!);
  });

  test('keeps its own copy: what the trainer writes afterwards is not in the next patch', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const [state, next] = states(2, 1);
    const changing = state!.clone();
    const publishing = publisher.publish(0, changing);
    changing.arrays[0]!.fill(9);
    await publishing;
    expect(bitsOf(publisher.held!.state)).toBe(bitsOf(state!));
    await publisher.publish(1, next!);
    await expectLatest(store, next!);
  });

  test('publishes steps in the order in which they were asked for', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(3, 4);
    await Promise.all(list.map((state, step) => publisher.publish(step, state)));
    expect(kinds(store.manifests)).toEqual(['anchor 0', 'patch 1', 'patch 2', 'patch 3', 'patch 4']);
    await expectLatest(store, list[4]!);
  });

  test('does nothing when the same step and state come again, and refuses others for it', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(4, 2);
    await publishAll(publisher, list.slice(0, 2));
    expect(await publisher.publish(1, list[1]!)).toEqual({ manifests: [], failures: [] });
    expect(await codeOf(() => publisher.publish(1, list[2]!))).toBe('BAD_REQUEST');
    expect(await codeOf(() => publisher.publish(0, list[0]!))).toBe('BAD_REQUEST');
    expect(store.manifests).toHaveLength(2);
  });

  test('publishes a state that did not change as a patch of no changes', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const [state, next] = states(5, 1);
    await publishAll(publisher, [state!, state!, state!, next!]);
    expect(store.manifests[2]!.targetId).toBe(store.manifests[0]!.targetId);
    await expectLatest(store, next!);
  });

  test('publishes an anchor when names or shapes change', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const random = seededRandom(6);
    const wider = randomState(random, [...SPECS, { name: 'head', dtype: 'bf16', shape: [5] }]);
    await publisher.publish(0, randomState(random));
    expect(kinds((await publisher.publish(1, wider)).manifests)).toEqual(['anchor 1']);
    const next = trained(wider, random);
    expect(kinds((await publisher.publish(2, next)).manifests)).toEqual(['patch 2']);
    await expectLatest(store, next);
  });

  test('publishes without a history when it is told to', async () => {
    const store = new FaultyStore();
    const list = states(7, 5);
    await publishAll(await openPublisher({ store, cadence: { history: false } }), list);
    expect(store.manifests.every(({ history }) => history.needs === null && history.gives.steps === 0)).toBe(
      true,
    );
    await expectLatest(store, list[5]!);
  });

  test('refuses an unknown option', async () => {
    const cadence = { resetEvry: 3 } as never;
    await expect(openPublisher({ store: new FaultyStore(), cadence })).rejects.toThrow();
  });
});

describe('cadence', () => {
  test('an anchor comes when the patches since the last one are as many bytes', async () => {
    const store = new FaultyStore();
    await publishAll(await openPublisher({ store, cadence: { heldResets: 0 } }), states(8, 60));
    const anchors = store.manifests.filter(({ kind }) => kind === 'anchor');
    expect(anchors.length).toBeGreaterThan(1);
    const [from, to] = anchors.slice(-2) as [Manifest, Manifest];
    const between = store.manifests.filter(
      ({ sequence, kind }) => sequence > from.sequence && sequence < to.sequence && kind === 'patch',
    );
    const sum = (manifests: readonly Manifest[]) =>
      manifests.reduce((total, { blob }) => total + blob.bytes, 0);
    expect(sum(between)).toBeGreaterThanOrEqual(from.blob.bytes);
    expect(sum(between.slice(0, -1))).toBeLessThan(from.blob.bytes);
  });

  test('a newcomer never fetches more than twice an anchor', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    for (const [step, state] of states(9, 60).entries()) {
      await publisher.publish(step, state);
      if (step % 4 !== 0 && step < 40) continue;
      const { applied } = await receiverOf({ reader: store }).sync();
      const bytes = applied.reduce((sum, { blob }) => sum + blob.bytes, 0);
      expect(bytes).toBeLessThanOrEqual(2 * applied[0]!.blob.bytes);
    }
  });

  test('an anchor comes after so many manifests, however small the patches are', () => {
    const of = (kind: Manifest['kind'], bytes: number) => ({ kind, blob: { bytes } }) as Manifest;
    const patches = new Array<Manifest>(MAX_MANIFESTS_PER_ANCHOR).fill(of('patch', 1));
    expect(anchorDue([of('anchor', 1e9), ...patches.slice(1)], 1)).toBe(false);
    expect(anchorDue([of('anchor', 1e9), ...patches], 1)).toBe(true);
  });

  test('an anchor can be asked for', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(10, 2);
    await publishAll(publisher, list.slice(0, 2));
    const { manifests } = await publisher.publish(2, list[2]!, { anchor: true });
    expect(kinds(manifests)).toEqual(['patch 2', 'anchor 2', 'merged 2']);
    expect(manifests.map(({ history }) => history.gives.steps)).toEqual([0, 0, 0]);
  });

  test('the history starts anew every so many patches, with merged patches from one and two reset points before', async () => {
    const store = new FaultyStore();
    await publishAll(await openPublisher({ store, cadence: { resetEvery: 4 } }), states(11, 12));
    const gives = store.manifests
      .filter(({ kind }) => kind === 'patch')
      .map(({ history }) => history.gives.steps);
    expect(gives).toEqual([1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0]);
    const merged = store.manifests.filter(({ kind }) => kind === 'merged');
    expect(merged.map(({ baseStep, step }) => [baseStep, step])).toEqual([
      [0, 4],
      [4, 8],
      [0, 8],
      [8, 12],
      [4, 12],
    ]);
  });

  test('no more states of reset points are held than allowed', async () => {
    for (const heldResets of [0, 1, 4]) {
      const store = new FaultyStore();
      await publishAll(await openPublisher({ store, cadence: { resetEvery: 1, heldResets } }), states(12, 9));
      const reach = store.manifests
        .filter(({ kind }) => kind === 'merged')
        .map(({ step, baseStep }) => step - baseStep!);
      expect(Math.max(0, ...reach)).toBeLessThanOrEqual(heldResets);
      if (heldResets === 4) expect(reach).toContain(4);
    }
  });
});

describe('a failure while publishing', () => {
  test.each(['the same', 'another'])(
    'an upload that fails leaves the base, and %s target works then',
    async (which) => {
      const store = new FaultyStore();
      const publisher = await openPublisher({ store });
      const list = states(20, 3);
      await publishAll(publisher, list.slice(0, 2));
      const before = {
        log: store.manifests.length,
        held: bitsOf(publisher.held!.state),
        head: publisher.held!.head,
      };
      store.beforePut = offline;
      expect(await codeOf(() => publisher.publish(2, list[2]!))).toBe('UNREACHABLE');
      expect(store.manifests.length).toBe(before.log);
      expect(bitsOf(publisher.held!.state)).toBe(before.held);
      expect(publisher.held!.head).toEqual(before.head);
      store.beforePut = null;
      const target = which === 'the same' ? list[2]! : list[3]!;
      await publisher.publish(2, target);
      await expectLatest(store, target);
    },
  );

  test('a manifest that cannot be appended leaves the base, and a retry works', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(21, 3);
    await publishAll(publisher, list.slice(0, 2));
    store.beforeAppend = offline;
    expect(await codeOf(() => publisher.publish(2, list[2]!))).toBe('UNREACHABLE');
    expect(publisher.held!.step).toBe(1);
    store.beforeAppend = null;
    await publishAll(publisher, list, 2);
    expect(kinds(store.manifests)).toEqual(['anchor 0', 'patch 1', 'patch 2', 'patch 3']);
    await expectLatest(store, list[3]!);
  });

  test('a manifest that was appended although the store failed counts', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(22, 3);
    await publishAll(publisher, list.slice(0, 2));
    store.afterAppend = offline;
    expect(kinds((await publisher.publish(2, list[2]!)).manifests)).toEqual(['patch 2']);
    store.afterAppend = null;
    await publisher.publish(3, list[3]!);
    expect(store.manifests.at(-1)!.history.gives.steps).toBe(3);
    await expectLatest(store, list[3]!);
  });

  test('a manifest of which nobody knows is found before the next publication', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(23, 3);
    await publishAll(publisher, list.slice(0, 2));
    const listManifests = store.listManifests.bind(store);
    store.listManifests = offline;
    store.afterAppend = offline;
    expect(await codeOf(() => publisher.publish(2, list[2]!))).toBe('UNREACHABLE');
    store.listManifests = listManifests;
    store.afterAppend = null;
    expect(await publisher.publish(2, list[2]!)).toEqual({ manifests: [], failures: [] });
    await publisher.publish(3, list[3]!);
    expect(kinds(store.manifests)).toEqual(['anchor 0', 'patch 1', 'patch 2', 'patch 3']);
    await expectLatest(store, list[3]!);
  });

  test('an aborted publication leaves the base', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store });
    const list = states(24, 2);
    await publishAll(publisher, list.slice(0, 2));
    const stop = new AbortController();
    store.beforePut = () => stop.abort();
    await expect(publisher.publish(2, list[2]!, { signal: stop.signal })).rejects.toThrow(/abort/i);
    expect(publisher.held!.step).toBe(1);
    store.beforePut = null;
    await publisher.publish(2, list[2]!);
    await expectLatest(store, list[2]!);
  });

  test('an anchor that cannot be stored is reported, and comes with the next step', async () => {
    const store = new FaultyStore();
    const publisher = await openPublisher({ store, cadence: { heldResets: 0 } });
    const list = states(25, 60);
    let step = 0;
    let puts = 0;
    let failed: Published | undefined;
    store.beforePut = () => {
      puts += 1;
      if (puts > 1 && step > 0) offline();
    };
    for (; failed === undefined; step++) {
      puts = 0;
      const published = await publisher.publish(step, list[step]!);
      if (published.failures.length > 0) failed = published;
    }
    expect(failed.failures.map(({ part }) => part)).toEqual(['anchor']);
    expect(failed.manifests.map(({ kind }) => kind)).toEqual(['patch']);
    store.beforePut = null;
    expect(kinds((await publisher.publish(step, list[step]!)).manifests)).toEqual([
      `patch ${step}`,
      `anchor ${step}`,
    ]);
    await expectLatest(store, list[step]!);
  });

  test('a second publisher of the same log is refused, and the first goes on with an anchor when it was overtaken', async () => {
    const store = new FaultyStore();
    const list = states(26, 4);
    const publisher = await openPublisher({ store });
    await publishAll(publisher, list.slice(0, 2));
    const other = await openPublisher({ store, held: publisher.held! });
    await other.publish(2, list[2]!);
    expect(await codeOf(() => publisher.publish(3, list[3]!))).toBe('ALREADY_RUNNING');
    expect(kinds((await publisher.publish(3, list[3]!)).manifests)).toEqual(['anchor 3']);
    await expectLatest(store, list[3]!);
  });

  test('a log of another key is not written to', async () => {
    const store = new FaultyStore();
    await publishAll(await openPublisher({ store }), states(27, 1));
    expect(await codeOf(() => openPublisher({ store, signer: stranger }))).toBe('MANIFEST_INVALID');
    expect(identity.address).not.toBe(stranger.address);
  });
});

describe('a publisher that starts again', () => {
  test('goes on with a patch, history and all, when it holds what was published last', async () => {
    const store = new FaultyStore();
    const list = states(30, 6);
    const first = await openPublisher({ store });
    await publishAll(first, list.slice(0, 4));
    const { state, marks, head } = first.held!;
    const again = await openPublisher({ store, held: { state, head, marks: marks!.clone() } });
    await publishAll(again, list, 4);
    expect(store.manifests.map(({ history }) => history.gives.steps)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    await expectLatest(store, list[6]!);
  });

  test('goes on with a fresh history when its marks are gone, and receivers drop theirs', async () => {
    const store = new FaultyStore();
    const list = states(31, 6);
    await publishAll(await openPublisher({ store }), list.slice(0, 4));
    const receiver = receiverOf({ reader: store });
    await receiver.sync();
    await publishAll(await openPublisher({ store, held: { state: list[3]! } }), list, 4);
    expect(store.manifests.map(({ history }) => history.gives.steps)).toEqual([0, 1, 2, 3, 1, 2, 3]);
    expect((await receiver.sync()).applied.map(({ kind }) => kind)).toEqual(['patch', 'patch', 'patch']);
    expect(bitsOf(receiver.held!.state)).toBe(bitsOf(list[6]!));
  });

  test.each(['another state', 'nothing'])('publishes an anchor when it holds %s', async (which) => {
    const store = new FaultyStore();
    const list = states(32, 4);
    await publishAll(await openPublisher({ store }), list.slice(0, 4));
    const again = await openPublisher({
      store,
      ...(which === 'nothing' ? {} : { held: { state: list[2]! } }),
    });
    expect(kinds((await again.publish(4, list[4]!)).manifests)).toEqual(['anchor 4']);
    await expectLatest(store, list[4]!);
  });

  test('after a crash between blob and manifest, publishes the step and clears the orphan away', async () => {
    const store = new FaultyStore();
    const list = states(33, 5);
    const first = await openPublisher({ store });
    await publishAll(first, list.slice(0, 3));
    store.beforeAppend = offline;
    await codeOf(() => first.publish(3, list[4]!));
    store.beforeAppend = null;
    const orphans = () =>
      [...store.blobs.keys()].filter((hash) => !store.manifests.some(({ blob }) => blob.hash === hash));
    expect(orphans()).toHaveLength(1);
    const again = await openPublisher({ store, held: first.held!, cadence: { graceManifests: 2 } });
    await again.publish(3, list[3]!);
    expect(orphans()).toHaveLength(1);
    await again.publish(4, list[4]!);
    expect(orphans()).toHaveLength(0);
    await expectLatest(store, list[4]!);
  });
});

describe('retention', () => {
  test('keeps the log from the last anchor but one, and every blob that it names', async () => {
    const store = new FaultyStore();
    const list = states(40, 150);
    const publisher = await openPublisher({ store, cadence: { graceManifests: 5, resetEvery: 8 } });
    for (const [step, state] of list.entries()) {
      await publisher.publish(step, state);
      for (const { blob } of store.manifests) expect(store.blobs.has(blob.hash)).toBe(true);
      if (step % 25 === 0) await expectLatest(store, state);
    }
    const anchors = store.manifests.filter(({ kind }) => kind === 'anchor');
    expect(anchors).toHaveLength(2);
    expect(store.manifests[0]).toEqual(anchors[0]);
    expect(anchors[0]!.sequence).toBeGreaterThan(0);
    const unnamed = store.blobs.size - store.manifests.length;
    expect(unnamed).toBeGreaterThanOrEqual(0);
    expect(unnamed).toBeLessThanOrEqual(store.manifests.length + 5);
  });

  test('deletes a dropped blob when its grace is over, and not before', async () => {
    const store = new FaultyStore();
    const list = states(41, 8);
    const publisher = await openPublisher({ store, cadence: { graceManifests: 2, heldResets: 0 } });
    const [first] = await publishAll(publisher, list.slice(0, 1));
    const { hash } = first!.manifests[0]!.blob;
    await publisher.publish(1, list[1]!, { anchor: true });
    expect(store.manifests[0]!.sequence).toBe(0);
    await publisher.publish(2, list[2]!, { anchor: true });
    expect(store.manifests[0]!.kind).toBe('anchor');
    expect(store.manifests[0]!.sequence).toBe(2);
    expect(store.blobs.has(hash)).toBe(true);
    await publisher.publish(3, list[3]!);
    expect(store.blobs.has(hash)).toBe(true);
    await publisher.publish(4, list[4]!);
    expect(store.blobs.has(hash)).toBe(false);
  });

  test('that fails is reported and made up for', async () => {
    const store = new FaultyStore();
    const list = states(42, 4);
    const publisher = await openPublisher({ store, cadence: { heldResets: 0 } });
    await publishAll(publisher, list.slice(0, 1));
    await publisher.publish(1, list[1]!, { anchor: true });
    const dropManifests = store.dropManifests.bind(store);
    store.dropManifests = offline;
    const published = await publisher.publish(2, list[2]!, { anchor: true });
    expect(published.failures.map(({ part }) => part)).toEqual(['retention']);
    store.dropManifests = dropManifests;
    await publisher.publish(3, list[3]!);
    expect(store.manifests[0]!.sequence).toBe(2);
  });

  test('never cuts before the link that a kept patch starts from', () => {
    const link = (sequence: number, kind: Manifest['kind'], from: string | null, to: string) =>
      ({
        sequence,
        kind,
        baseId: from,
        targetId: to,
        history: { needs: null, gives: { steps: 0, tag: '0x0000000000000000' } },
        blob: { hash: '0x', bytes: 1 },
      }) as unknown as Manifest;
    const log = [
      link(0, 'anchor', null, 'a'),
      link(1, 'patch', 'a', 'b'),
      link(2, 'anchor', null, 'x'),
      link(3, 'patch', 'b', 'c'),
      link(4, 'anchor', null, 'c'),
    ];
    expect(retentionCut(log)).toBe(0);
    expect(retentionCut(log.filter(({ sequence }) => sequence !== 3))).toBe(2);
    expect(retentionCut(log.slice(0, 2))).toBe(0);
  });
});
