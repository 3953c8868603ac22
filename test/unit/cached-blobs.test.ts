import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import { CachedBlobStore } from '../../src/storage/cached-blobs.ts';
import {
  type BlobPlace,
  cachedPlace,
  describeBlobStore,
  folderPlace,
} from '../helpers/blob-store-compliance.ts';
import { expectCode } from '../helpers/expect-code.ts';

describeBlobStore('a cache before a folder of blobs', () => cachedPlace(folderPlace()));

const blob = (seed: number, length = 744) => new Uint8Array(length).fill(seed);

let place: BlobPlace;
let remote: BlobStore;
/** Blobs that were read from the store behind the cache, in order. */
let asked: Hex[];
/** Holds back what the store behind the cache has read, until it is resolved. */
let gate: PromiseWithResolvers<void>;

beforeEach(async () => {
  place = await folderPlace();
  remote = await place.open();
  asked = [];
  gate = Promise.withResolvers();
  gate.resolve();
});
afterEach(() => place.remove());

/** A cache of three blobs before the folder, of which every read is noted and goes through the gate. */
function makeCache(maxBytes = 3000): CachedBlobStore {
  return new CachedBlobStore(
    {
      put: (bytes) => remote.put(bytes),
      has: (hash) => remote.has(hash),
      delete: (hash) => remote.delete(hash),
      list: () => remote.list(),
      async get(hash) {
        const bytes = await remote.get(hash).finally(() => asked.push(hash));
        await gate.promise;
        return bytes;
      },
    },
    maxBytes,
  );
}

test('a blob is fetched once, however often it is asked for', async () => {
  const hash = await remote.put(blob(1));
  const cache = makeCache();
  for (let i = 0; i < 5; i++) expect(await cache.get(hash)).toEqual(blob(1));
  expect(asked).toEqual([hash]);
});

test('a thousand who ask for a blob at the same time cause one fetch', async () => {
  const hash = await remote.put(blob(1));
  gate = Promise.withResolvers();
  const cache = makeCache();
  const all = Promise.all(Array.from({ length: 1000 }, () => cache.get(hash)));
  gate.resolve();
  expect(new Set(await all).size).toBe(1);
  expect(asked).toEqual([hash]);
});

test('a blob that was stored through the cache is not fetched', async () => {
  const cache = makeCache();
  const hash = await cache.put(blob(1));
  expect(await cache.get(hash)).toEqual(blob(1));
  expect(asked).toEqual([]);
});

test('beyond its bound the blob that was used longest ago goes', async () => {
  const cache = makeCache();
  const [a, b, c, d] = [
    await cache.put(blob(1)),
    await cache.put(blob(2)),
    await cache.put(blob(3)),
    await remote.put(blob(4)),
  ];
  await cache.get(a);
  await cache.get(d);
  expect(cache.bytes).toBe(3000);
  for (const hash of [a, c, d, b]) await cache.get(hash);
  expect(asked).toEqual([d, b]);
});

test('very many small blobs are bounded too', async () => {
  const cache = makeCache();
  for (let i = 0; i < 50; i++) await cache.put(blob(i, 1));
  expect(cache.bytes).toBeLessThanOrEqual(3000);
  await cache.get(toHex(sha256(blob(0, 1))));
  expect(asked.length).toBe(1);
});

test('a blob larger than the cache is given, and pushes nothing out', async () => {
  const cache = makeCache();
  const small = await cache.put(blob(1));
  const large = await cache.put(blob(2, 3000));
  expect(await cache.get(large)).toEqual(blob(2, 3000));
  expect(await cache.get(large)).toEqual(blob(2, 3000));
  expect(await cache.get(small)).toEqual(blob(1));
  expect(asked).toEqual([large, large]);
});

test('a failure reaches everybody who waits, and is not remembered', async () => {
  const hash = toHex(sha256(blob(1)));
  const cache = makeCache();
  const waiting = [cache.get(hash), cache.get(hash)];
  for (const get of waiting) await expectCode('BLOB_MISSING', get);
  expect(asked).toEqual([hash]);
  await remote.put(blob(1));
  expect(await cache.get(hash)).toEqual(blob(1));
});

test('a blob that is deleted while it is fetched is not kept', async () => {
  const hash = await remote.put(blob(1));
  gate = Promise.withResolvers();
  const cache = makeCache();
  const get = cache.get(hash);
  await expect.poll(() => asked.length).toBe(1);
  await cache.delete(hash);
  gate.resolve();
  expect(await get).toEqual(blob(1));
  expect(cache.bytes).toBe(0);
  await expectCode('BLOB_MISSING', cache.get(hash));
});
