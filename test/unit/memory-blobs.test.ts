import { expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { MemoryBlobStore } from '../../src/storage/memory-blobs.ts';
import { listed } from '../helpers/blob-store-compliance.ts';

const bytes = Uint8Array.of(1, 2, 3);
const hash = toHex(sha256(bytes));

test('a blob in memory comes back under its SHA-256 until it is deleted', async () => {
  const store = new MemoryBlobStore();
  expect(await store.put(bytes)).toBe(hash);
  expect(await store.has(hash)).toBe(true);
  expect(await store.get(hash)).toEqual(bytes);
  await store.delete(hash);
  expect(await store.has(hash)).toBe(false);
  await expect(store.get(hash)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
});

test('a blob in memory stays what it was when its bytes are used again', async () => {
  const store = new MemoryBlobStore();
  const reused = bytes.slice();
  await store.put(reused);
  reused.fill(9);
  expect(await store.get(hash)).toEqual(bytes);
});

test('blobs in memory are listed once each, in the order of their names', async () => {
  const store = new MemoryBlobStore();
  const hashes = await Promise.all(
    [bytes, Uint8Array.of(4), Uint8Array.of(5), bytes].map((b) => store.put(b)),
  );
  const expected = [...new Set(hashes)].sort();
  expect((await listed(store)).map((entry) => entry.hash)).toEqual(expected);
});
