import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import { describeBlobStore, folderPlace, listed } from '../helpers/blob-store-compliance.ts';
import { expectCode } from '../helpers/expect-code.ts';

describeBlobStore('a folder of blobs', folderPlace);

let home: string;
let store: FolderBlobStore;
const bytes = Uint8Array.of(1, 2, 3, 4);
const hash = toHex(sha256(bytes));

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'grail-blobs-'));
  store = new FolderBlobStore(join(home, 'blobs'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

test('a blob is the file that its hash names', async () => {
  await store.put(bytes);
  expect(new Uint8Array(await readFile(join(home, 'blobs', hash.slice(2))))).toEqual(bytes);
});

test('a link in the folder is not followed, even to the right bytes', async () => {
  await mkdir(join(home, 'blobs'));
  await writeFile(join(home, 'elsewhere'), bytes);
  await symlink(join(home, 'elsewhere'), join(home, 'blobs', hash.slice(2)));
  expect(await store.has(hash)).toBe(false);
  await expectCode('BLOB_MISSING', store.get(hash));
  await store.delete(hash);
  expect(await readdir(join(home, 'blobs'))).toEqual([hash.slice(2)]);
  await store.put(bytes);
  expect(await store.get(hash)).toEqual(bytes);
});

test('a folder under a blob’s name is not a blob', async () => {
  await mkdir(join(home, 'blobs', hash.slice(2)), { recursive: true });
  expect(await store.has(hash)).toBe(false);
  await expectCode('BLOB_MISSING', store.get(hash));
  await store.delete(hash);
  expect(await readdir(join(home, 'blobs'))).toEqual([hash.slice(2)]);
});

test('writers leave nothing in the temporary folder', async () => {
  await Promise.all(Array.from({ length: 64 }, (_, i) => store.put(new Uint8Array(5000).fill(i % 8))));
  expect(await readdir(store.temporary)).toEqual([]);
});

test('what a crash left half-written is not in the list and goes when the store is cleared', async () => {
  await store.put(bytes);
  await writeFile(join(store.temporary, 'half'), 'half');
  expect(await listed(store)).toEqual([{ name: hash.slice(2), hash }]);
  await store.clearTemporary();
  expect(await readdir(home)).toEqual(['blobs']);
  expect(await store.put(Uint8Array.of(5))).toMatch(/^0x/);
});

test('links are listed, as what is no blob', async () => {
  await store.put(bytes);
  await symlink('/nowhere', join(home, 'blobs', '~link'));
  expect(await listed(store)).toEqual([
    { name: hash.slice(2), hash },
    { name: '~link', hash: null },
  ]);
});
