import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Hex } from '../../src/protocol/bytes.ts';
import { type Chunks, chunksHash, type Manifest } from '../../src/pulse/chain/index.ts';
import { FolderBlobCache, FolderPulseStore } from '../../src/storage/pulse-store.ts';
import { codeOf, seededRandom } from '../support/pulse.ts';
import {
  bitsOf,
  FaultyStore,
  openPublisher,
  randomState,
  receiverOf,
  trained,
} from '../support/pulse-run.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'grail-pulse-store-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const chunks: Chunks = [Uint8Array.of(1, 2), Uint8Array.of(3)];
const hash = chunksHash(chunks);
const joined = (parts: Chunks) => parts.flatMap((part) => [...part]);

describe('a folder of blobs', () => {
  let blobs: FolderBlobCache;
  beforeEach(() => {
    blobs = new FolderBlobCache(join(home, 'blobs'));
  });

  test('gives back what was put, to another reader of the folder too', async () => {
    await blobs.putBlob(hash, chunks);
    expect(joined(await new FolderBlobCache(join(home, 'blobs')).getBlob(hash, 3))).toEqual([1, 2, 3]);
    expect(await blobs.listBlobs()).toEqual([hash]);
    expect(await blobs.sizeOf(hash)).toBe(3);
  });

  test('says that a blob is missing', async () => {
    expect(await codeOf(() => blobs.getBlob(hash, 3))).toBe('BLOB_MISSING');
    expect(await blobs.sizeOf(hash)).toBe(null);
    expect(await blobs.listBlobs()).toEqual([]);
    await blobs.deleteBlob(hash);
  });

  test('does not read a file that is larger than its blob to the end', async () => {
    await mkdir(join(home, 'blobs'));
    await writeFile(join(home, 'blobs', hash.slice(2)), new Uint8Array(1000));
    expect(joined(await blobs.getBlob(hash, 3))).toHaveLength(4);
  });

  test('mends a torn file when the blob is put again', async () => {
    await mkdir(join(home, 'blobs'));
    await writeFile(join(home, 'blobs', hash.slice(2)), Uint8Array.of(1));
    await blobs.putBlob(hash, chunks);
    expect(joined(await blobs.getBlob(hash, 3))).toEqual([1, 2, 3]);
    expect(await readdir(join(home, 'blobs.tmp'))).toEqual([]);
  });

  test('follows no link, and takes no folder for a blob', async () => {
    await mkdir(join(home, 'blobs'));
    await writeFile(join(home, 'secret'), Uint8Array.of(1, 2, 3));
    await symlink(join(home, 'secret'), join(home, 'blobs', hash.slice(2)));
    expect(await codeOf(() => blobs.getBlob(hash, 3))).toBe('BLOB_MISSING');
    const folder = `0x${'1'.repeat(64)}` as const;
    await mkdir(join(home, 'blobs', folder.slice(2)));
    expect(await codeOf(() => blobs.getBlob(folder, 3))).toBe('BLOB_MISSING');
  });

  test.each(['../secret', '0x../secret', 'a'.repeat(64), `0x${'A'.repeat(64)}`, ''])(
    'refuses the name %j',
    async (name) => {
      expect(await codeOf(() => blobs.getBlob(name as Hex, 3))).toBe('BAD_REQUEST');
      expect(await codeOf(() => blobs.putBlob(name as Hex, chunks))).toBe('BAD_REQUEST');
      expect(await codeOf(() => blobs.deleteBlob(name as Hex))).toBe('BAD_REQUEST');
    },
  );

  test('with a limit lets the oldest go, never the one just put', async () => {
    const small = new FolderBlobCache(join(home, 'blobs'), 7);
    const list = [1, 2, 3, 4].map((byte) => [new Uint8Array(3).fill(byte)]);
    for (const [index, blob] of list.entries()) {
      await small.putBlob(chunksHash(blob), blob);
      await utimes(join(home, 'blobs', chunksHash(blob).slice(2)), index, index);
    }
    expect(new Set(await small.listBlobs())).toEqual(new Set(list.slice(2).map(chunksHash)));
    const large = [new Uint8Array(9)];
    await small.putBlob(chunksHash(large), large);
    expect(await small.listBlobs()).toEqual([chunksHash(large)]);
  });
});

describe('a store in a folder', () => {
  test('serves a publisher and a receiver, also after both start again', async () => {
    const random = seededRandom(70);
    let state = randomState(random);
    const publisher = await openPublisher({ store: new FolderPulseStore(home) });
    await publisher.publish(0, state);
    const receiver = receiverOf({ reader: new FolderPulseStore(home) });
    for (let step = 1; step <= 40; step++) {
      state = trained(state, random);
      await publisher.publish(step, state);
      if (step % 7 === 0) await receiver.sync();
    }
    const again = await openPublisher({ store: new FolderPulseStore(home), held: publisher.held! });
    state = trained(state, random);
    await again.publish(41, state);
    for (const follower of [receiver, receiverOf({ reader: new FolderPulseStore(home) })]) {
      await follower.sync();
      expect(bitsOf(follower.held!.state)).toBe(bitsOf(state));
    }
    expect(await readdir(join(home, 'blobs.tmp'))).toEqual([]);
    expect(await readdir(join(home, 'manifests.tmp'))).toEqual([]);
  });

  async function twoManifests(): Promise<{ store: FolderPulseStore; manifests: Manifest[] }> {
    const memory = new FaultyStore();
    const random = seededRandom(71);
    const publisher = await openPublisher({ store: memory });
    const state = randomState(random);
    await publisher.publish(0, state);
    await publisher.publish(1, trained(state, random));
    const store = new FolderPulseStore(home);
    for (const [name, blob] of memory.blobs) await store.putBlob(name, blob);
    return { store, manifests: memory.manifests };
  }

  test('takes a sequence once, and leaves what was there', async () => {
    const { store, manifests } = await twoManifests();
    await store.appendManifest(manifests[0]!);
    expect(await codeOf(() => store.appendManifest({ ...manifests[1]!, sequence: 0 }))).toBe(
      'ALREADY_RUNNING',
    );
    expect(await store.listManifests(0)).toEqual([manifests[0]]);
  });

  test('takes one of two manifests that come at once', async () => {
    const { store, manifests } = await twoManifests();
    const codes = await Promise.all(
      [0, 1].map((i) => codeOf(() => store.appendManifest({ ...manifests[i]!, sequence: 5 }))),
    );
    expect(codes.sort()).toEqual(['ALREADY_RUNNING', 'none']);
  });

  test('takes no manifest whose blob is missing or torn', async () => {
    const { store, manifests } = await twoManifests();
    const { hash: name } = manifests[0]!.blob;
    await writeFile(join(home, 'blobs', name.slice(2)), 'half');
    expect(await codeOf(() => store.appendManifest(manifests[0]!))).toBe('BLOB_MISSING');
    await store.deleteBlob(name);
    expect(await codeOf(() => store.appendManifest(manifests[0]!))).toBe('BLOB_MISSING');
    expect(await store.listManifests(0)).toEqual([]);
  });

  test('lists from a sequence on, without other files, and forgets the first ones', async () => {
    const { store, manifests } = await twoManifests();
    for (const manifest of manifests) await store.appendManifest(manifest);
    await writeFile(join(home, 'manifests', 'note.json'), '{}');
    expect(await store.listManifests(0)).toEqual(manifests);
    expect(await store.listManifests(1)).toEqual([manifests[1]]);
    await store.dropManifests(1);
    expect(await store.listManifests(0)).toEqual([manifests[1]]);
  });

  test.each([
    ['no JSON', '{'],
    ['longer than a manifest can be', `"${'x'.repeat(5000)}"`],
  ])('says that a file is no manifest when it is %s', async (_, text) => {
    const { store } = await twoManifests();
    await mkdir(join(home, 'manifests'));
    await writeFile(join(home, 'manifests', '0000000000000.json'), text);
    expect(await codeOf(() => store.listManifests(0))).toBe('MANIFEST_INVALID');
  });

  test('forgets what a crash left half-written', async () => {
    const store = new FolderPulseStore(home);
    await mkdir(join(home, 'blobs.tmp'));
    await writeFile(join(home, 'blobs.tmp', 'half'), 'half');
    await store.clearTemporary();
    expect(await readdir(home)).toEqual([]);
  });
});
