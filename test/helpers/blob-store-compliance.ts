import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { type BlobEntry, type BlobStore, FolderBlobStore } from '../../src/storage/blobs.ts';
import { CachedBlobStore } from '../../src/storage/cached-blobs.ts';
import { expectCode } from './expect-code.ts';

/** An empty place for blobs, of which several stores may be opened, and whose files others may change. */
export interface BlobPlace {
  open(options?: { readonly maxBytes: number }): Promise<BlobStore>;
  /** Puts bytes under a name behind the stores’ backs. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(): Promise<void>;
}

export async function folderPlace(): Promise<BlobPlace> {
  const home = await mkdtemp(join(tmpdir(), 'grail-blobs-'));
  const directory = join(home, 'blobs');
  return {
    open: async (options) => new FolderBlobStore(directory, options?.maxBytes),
    async write(name, bytes) {
      const path = join(directory, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
    },
    remove: () => rm(home, { recursive: true, force: true }),
  };
}

/** The same place, with a cache of its own before each store. */
export async function cachedPlace(place: Promise<BlobPlace>): Promise<BlobPlace> {
  const { open, ...rest } = await place;
  return { ...rest, open: async (options) => new CachedBlobStore(await open(options)) };
}

export async function listed(store: BlobStore): Promise<BlobEntry[]> {
  const entries: BlobEntry[] = [];
  for await (const entry of store.list()) entries.push(entry);
  return entries;
}

/** What every blob store must do. */
export function describeBlobStore(name: string, makePlace: () => Promise<BlobPlace>): void {
  describe(name, () => {
    let place: BlobPlace;
    let store: BlobStore;
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const hash = toHex(sha256(bytes));

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    test('a blob comes back under its SHA-256, also from a store that has not seen it', async () => {
      expect(await store.has(hash)).toBe(false);
      expect(await store.put(bytes)).toBe(hash);
      for (const reader of [store, await place.open()]) {
        expect(await reader.has(hash)).toBe(true);
        expect(await reader.get(hash)).toEqual(bytes);
      }
    });

    test('an empty blob is a blob', async () => {
      const empty = await store.put(new Uint8Array(0));
      expect(await (await place.open()).get(empty)).toEqual(new Uint8Array(0));
    });

    test('a blob of several megabytes comes back whole', async () => {
      const large = Uint8Array.from({ length: 5_000_001 }, (_, i) => (i * i) >>> 3);
      const name = await store.put(large);
      expect(Buffer.compare(await (await place.open()).get(name), large)).toBe(0);
    });

    test('a blob that was never stored is missing, and is found once it is stored', async () => {
      expect(await store.has(hash)).toBe(false);
      await expectCode('BLOB_MISSING', store.get(hash));
      await (await place.open()).put(bytes);
      expect(await store.get(hash)).toEqual(bytes);
    });

    test.each([
      ['a changed byte', Uint8Array.of(1, 2, 3, 5)],
      ['a missing byte', Uint8Array.of(1, 2, 3)],
      ['a byte more', Uint8Array.of(1, 2, 3, 4, 0)],
      ['nothing left', new Uint8Array(0)],
    ])('%s in what is stored is found out, and storing the blob again mends it', async (_, altered) => {
      await store.put(bytes);
      await place.write(hash.slice(2), altered);
      await expectCode('BLOB_CORRUPT', (await place.open()).get(hash));
      await store.put(bytes);
      expect(await (await place.open()).get(hash)).toEqual(bytes);
    });

    test.each([
      '../secret',
      '0x../../../../etc/passwd',
      `0x${'A'.repeat(64)}`,
      `0x${'a'.repeat(63)}`,
      `0x${'a'.repeat(65)}`,
      'a'.repeat(64),
      `0x${'a'.repeat(64)}\n`,
      `0x${'a'.repeat(60)}/../`,
      '',
    ])('a name that is no hash is refused: %j', async (name) => {
      await expectCode('BAD_REQUEST', store.get(name as Hex));
      await expectCode('BAD_REQUEST', store.has(name as Hex));
      await expectCode('BAD_REQUEST', store.delete(name as Hex));
    });

    test('many writers of the same and of other blobs leave every blob whole and nothing else', async () => {
      const blobs = Array.from({ length: 8 }, (_, i) => new Uint8Array(5000).fill(i));
      const hashes = await Promise.all(Array.from({ length: 64 }, (_, i) => store.put(blobs[i % 8]!)));
      expect(new Set(hashes).size).toBe(8);
      const reader = await place.open();
      for (const [i, blob] of blobs.entries()) expect(await reader.get(hashes[i]!)).toEqual(blob);
      expect((await listed(reader)).map((entry) => entry.hash)).toEqual([...new Set(hashes)].sort());
    });

    test('a buffer that its owner overwrites while it is stored does not change the blob', async () => {
      const buffer = bytes.slice();
      const stored = store.put(buffer);
      buffer.fill(9);
      expect(await stored).toBe(hash);
      expect(await store.get(hash)).toEqual(bytes);
      expect(await (await place.open()).get(hash)).toEqual(bytes);
    });

    test('a deleted blob is gone, the others stay, and it can be stored again', async () => {
      const other = await store.put(Uint8Array.of(5));
      await store.put(bytes);
      await store.delete(hash);
      await expectCode('BLOB_MISSING', store.get(hash));
      expect(await listed(store)).toEqual([{ name: other.slice(2), hash: other }]);
      await store.put(bytes);
      expect(await store.get(hash)).toEqual(bytes);
    });

    test('to delete what is not there changes nothing', async () => {
      await store.delete(hash);
      await store.put(bytes);
      await store.delete(hash);
      await store.delete(hash);
      expect(await listed(store)).toEqual([]);
    });

    test('everything in the place is listed, also what is no blob, in the order of names', async () => {
      await store.put(bytes);
      const zero = '0'.repeat(64);
      for (const name of ['README', 'sub/note', zero, `${zero}0`]) await place.write(name, bytes);
      expect(await listed(store)).toEqual([
        { name: zero, hash: `0x${zero}` },
        { name: `${zero}0`, hash: null },
        { name: hash.slice(2), hash },
        { name: 'README', hash: null },
        { name: 'sub/note', hash: null },
      ]);
    });

    test('a place in which nothing was stored is empty', async () => {
      expect(await listed(store)).toEqual([]);
    });

    test('a blob above the limit is refused before it is stored, and one above it in the place before it is given', async () => {
      const small = await place.open({ maxBytes: 3 });
      await expectCode('TOO_LARGE', small.put(bytes));
      expect(await store.has(hash)).toBe(false);
      await store.put(bytes);
      await expectCode('BLOB_CORRUPT', small.get(hash));
    });
  });
}
