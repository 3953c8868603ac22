import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { type BlobEntry, FolderBlobStore } from '../../src/storage/blobs.ts';
import { codeOf } from '../support/pulse.ts';

let home: string;
let store: FolderBlobStore;
const bytes = Uint8Array.of(1, 2, 3, 4);
const hash = toHex(sha256(bytes));

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'grail-blobs-'));
  store = new FolderBlobStore(join(home, 'blobs'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function listed(): Promise<BlobEntry[]> {
  const out: BlobEntry[] = [];
  for await (const entry of store.list()) out.push(entry);
  return out;
}

test('a blob comes back from the file that its hash names', async () => {
  expect(await store.put(bytes)).toBe(hash);
  expect(await store.get(hash)).toEqual(bytes);
  expect(new Uint8Array(await readFile(join(home, 'blobs', hash.slice(2))))).toEqual(bytes);
});

test('another store on the same folder finds the blob', async () => {
  await store.put(bytes);
  const reopened = new FolderBlobStore(join(home, 'blobs'));
  expect(await reopened.has(hash)).toBe(true);
  expect(await reopened.get(hash)).toEqual(bytes);
});

test('an empty blob is a blob', async () => {
  const empty = await store.put(new Uint8Array(0));
  expect(await store.get(empty)).toEqual(new Uint8Array(0));
});

test('a blob that was never stored is missing', async () => {
  expect(await store.has(hash)).toBe(false);
  expect(await codeOf(() => store.get(hash))).toBe('BLOB_MISSING');
});

test.each([
  ['a changed byte', Uint8Array.of(1, 2, 3, 5)],
  ['a missing byte', Uint8Array.of(1, 2, 3)],
  ['a byte more', Uint8Array.of(1, 2, 3, 4, 0)],
])('%s in the file is found out, and storing the blob again mends it', async (_, altered) => {
  await store.put(bytes);
  await writeFile(join(home, 'blobs', hash.slice(2)), altered);
  expect(await codeOf(() => store.get(hash))).toBe('BLOB_CORRUPT');
  await store.put(bytes);
  expect(await store.get(hash)).toEqual(bytes);
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
  await writeFile(join(home, 'secret'), 'secret');
  expect(await codeOf(() => store.get(name as Hex))).toBe('BAD_REQUEST');
  expect(await codeOf(() => store.has(name as Hex))).toBe('BAD_REQUEST');
});

test('a link in the folder is not followed, even to the right bytes', async () => {
  await mkdir(join(home, 'blobs'));
  await writeFile(join(home, 'elsewhere'), bytes);
  await symlink(join(home, 'elsewhere'), join(home, 'blobs', hash.slice(2)));
  expect(await store.has(hash)).toBe(false);
  expect(await codeOf(() => store.get(hash))).toBe('BLOB_MISSING');
  await store.put(bytes);
  expect(await store.get(hash)).toEqual(bytes);
});

test('a folder under a blob’s name is not a blob', async () => {
  await mkdir(join(home, 'blobs', hash.slice(2)), { recursive: true });
  expect(await store.has(hash)).toBe(false);
  expect(await codeOf(() => store.get(hash))).toBe('BLOB_MISSING');
});

test('many writers of the same and of other blobs leave every blob whole and nothing else', async () => {
  const blobs = Array.from({ length: 8 }, (_, i) => new Uint8Array(5000).fill(i));
  const hashes = await Promise.all(Array.from({ length: 64 }, (_, i) => store.put(blobs[i % 8]!)));
  expect(new Set(hashes).size).toBe(8);
  for (const [i, name] of hashes.entries()) expect(await store.get(name)).toEqual(blobs[i % 8]);
  expect((await listed()).map((entry) => entry.hash)).toEqual([...new Set(hashes)].sort());
  expect(await readdir(store.temporary)).toEqual([]);
});

test('a buffer that its owner overwrites while it is stored does not change the blob', async () => {
  const buffer = bytes.slice();
  const stored = store.put(buffer);
  buffer.fill(9);
  expect(await stored).toBe(hash);
  expect(await store.get(hash)).toEqual(bytes);
});

test('what a crash left half-written is not in the list and goes when the store is cleared', async () => {
  await store.put(bytes);
  await writeFile(join(store.temporary, 'half'), 'half');
  expect(await listed()).toEqual([{ name: hash.slice(2), hash }]);
  await store.clearTemporary();
  expect(await readdir(home)).toEqual(['blobs']);
  expect(await store.put(Uint8Array.of(5))).toMatch(/^0x/);
});

test('every file in the folder is listed, also what is no blob, in the order of names', async () => {
  await store.put(bytes);
  await mkdir(join(home, 'blobs', 'sub'));
  await writeFile(join(home, 'blobs', 'sub', 'note'), '');
  await writeFile(join(home, 'blobs', 'README'), '');
  await symlink('/nowhere', join(home, 'blobs', '~link'));
  expect(await listed()).toEqual(
    [
      { name: 'README', hash: null },
      { name: hash.slice(2), hash },
      { name: 'sub/note', hash: null },
      { name: '~link', hash: null },
    ].sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
});

test('a store whose folder does not exist is empty', async () => {
  expect(await listed()).toEqual([]);
});

test('a blob above the limit is refused before it is written, and a file above it before it is read', async () => {
  const small = new FolderBlobStore(join(home, 'blobs'), 3);
  expect(await codeOf(() => small.put(bytes))).toBe('TOO_LARGE');
  await store.put(bytes);
  expect(await codeOf(() => small.get(hash))).toBe('BLOB_CORRUPT');
});
