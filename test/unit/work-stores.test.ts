import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { utf8 } from '../../src/protocol/bytes.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import { WorkStores } from '../../verifier/jobs/work-stores.ts';

let folder: string;
let stores: WorkStores;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-work-'));
  stores = new WorkStores(
    async (epoch) => new FolderBlobStore(join(folder, String(epoch))),
    new FolderBlobStore(folder),
  );
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function put(epoch: number, text: string) {
  return (await stores.of(epoch)).put(utf8(text));
}

test('a sequencer that has lost its lease cannot delete what its successor needs, though it is the same', async () => {
  const hash = await put(3, 'policy');
  await put(4, 'policy');
  await (await stores.of(3)).delete(hash);
  expect(await (await stores.of(4)).has(hash)).toBe(true);
});

test('what earlier leases left is found, the newest first, and nothing of the present or a later one', async () => {
  const [one, two] = [await put(1, 'a'), await put(10, 'b')];
  await put(11, 'c');
  await put(12, 'd');
  expect(await stores.left(11)).toEqual([
    { epoch: 10, hash: two },
    { epoch: 1, hash: one },
  ]);
});

test('a clearance deletes what earlier leases left, and that alone', async () => {
  await put(1, 'a');
  const kept = await put(2, 'b');
  await stores.clear(2);
  expect(await stores.left(3)).toEqual([{ epoch: 2, hash: kept }]);
});
