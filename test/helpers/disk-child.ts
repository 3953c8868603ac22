/**
 * A process of the tests of failing disks: `disk-child.ts STORE FOLDER [forbidden]` writes something large, or as somebody who
 * may write nothing, then something small, and prints what came of both as a line of JSON each.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import { FolderBlobCache } from '../../src/storage/pulse-store.ts';
import { SqliteLedgerStore } from '../../src/storage/sqlite.ts';
import { StagedFile } from '../../src/storage/staged-file.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';

const [, , store, folder = '', forbidden] = process.argv;
const LARGE = 8_388_608;
const SMALL = 1_024;

const stores: Record<string, (path: string) => (bytes: Uint8Array) => void | Promise<void>> = {
  blobs(path) {
    const blobs = new FolderBlobStore(join(path, 'blobs'));
    return async (bytes) => {
      const hash = await blobs.put(bytes);
      if ((await blobs.get(hash)).length !== bytes.length) throw new Error('the blob is not whole');
    };
  },
  pulse(path) {
    const blobs = new FolderBlobCache(join(path, 'pulse'));
    return (bytes) => blobs.putBlob(toHex(sha256(bytes)), [bytes]);
  },
  file(path) {
    return (bytes) => {
      const file = new StagedFile(join(path, 'file'));
      try {
        file.write(bytes);
        file.commit();
      } finally {
        file.close();
      }
    };
  },
  trainer(path) {
    const directory = new NetworkDirectory(join(path, 'network'));
    return (bytes) => directory.keepTrainerState(1, bytes);
  },
  ledger(path) {
    const ledger = SqliteLedgerStore.open(join(path, 'ledger.sqlite'));
    return (bytes) => {
      const rows = [...ledger.read(0, 10)].length;
      if (ledger.heads().length !== rows) throw new Error('the ledger holds a part of a batch');
      ledger.append([{ index: rows, bytes, leaf: sha256(bytes) }], [bytes.subarray(0, 100 + rows)]);
    };
  },
};

/** root may write everything: from here on this process is somebody else. */
function giveUpRights(): void {
  if (process.getuid?.() !== 0) return;
  process.seteuid?.(Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' })));
}

async function tell(write: () => unknown): Promise<void> {
  try {
    await write();
    console.log(JSON.stringify({ code: null }));
  } catch (error) {
    const coded = error instanceof GrailError ? error.toJSON() : { code: 'INTERNAL', message: String(error) };
    console.log(JSON.stringify(coded));
  }
}

const open = stores[store ?? ''];
if (open === undefined) throw new Error(`there is no store ${store}`);
if (forbidden !== undefined) {
  giveUpRights();
  await tell(() => open(folder)(new Uint8Array(SMALL)));
} else {
  const write = open(folder);
  await tell(() => write(new Uint8Array(LARGE)));
  await tell(() => write(new Uint8Array(SMALL)));
}
