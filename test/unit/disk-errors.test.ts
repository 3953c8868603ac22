import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { diskError, onDisk, onDiskLater } from '../../src/storage/disk-errors.ts';
import { lockFile } from '../../src/storage/lock.ts';
import { SqliteLedgerStore } from '../../src/storage/sqlite.ts';
import { expectCode } from '../helpers/expect-code.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-disk-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failure = (code: string, path?: string) =>
  Object.assign(new Error(`${code}: as the system says`), { code, ...(path !== undefined && { path }) });

describe('an error of the disk', () => {
  test.each([
    ['ENOSPC', 'free space'],
    ['EDQUOT', 'free space'],
    ['EROFS', 'mount its file system writable'],
    ['EACCES', 'give this user the right'],
    ['EPERM', 'give this user the right'],
    ['EIO', 'kernel’s log'],
    ['EMFILE', 'ulimit -n'],
    ['EFBIG', 'ulimit -f'],
  ])('%s is told with the file, the reason and what to do', (code, advice) => {
    const error = diskError(failure(code, '/hidden'), '/data/blob') as GrailError;
    expect(error).toBeInstanceOf(GrailError);
    expect(error.code).toBe('STORAGE_UNAVAILABLE');
    expect(error.message).toMatch(/^\/data\/blob: /);
    expect(error.message).toContain(advice);
    expect(error.details).toEqual({ file: '/data/blob', reason: `${code}: as the system says` });
  });

  test('names the file that the system named where nobody else does', () => {
    expect((diskError(failure('ENOSPC', '/data/x')) as GrailError).details.file).toBe('/data/x');
  });

  test('is no other error', () => {
    const known = new GrailError('BLOB_MISSING', 'it is not there');
    for (const other of [failure('ENOENT'), new TypeError('a bug'), known, 'text']) {
      expect(diskError(other, '/data')).toBe(other);
    }
  });

  test('keeps its code through calls that answer at once or later, and what they give', async () => {
    const fail = () => {
      throw failure('ENOSPC');
    };
    await expectCode('STORAGE_UNAVAILABLE', () => onDisk('/data', fail));
    await expectCode(
      'STORAGE_UNAVAILABLE',
      onDiskLater('/data', async () => fail()),
    );
    expect(onDisk('/data', () => 1)).toBe(1);
    expect(await onDiskLater('/data', async () => 2)).toBe(2);
  });
});

describe('a ledger’s file', () => {
  test('that another process holds is STORAGE_UNAVAILABLE until it lets go', async () => {
    const path = join(folder, 'held.sqlite');
    const ledger = SqliteLedgerStore.open(path);
    const row = { index: 0, bytes: new Uint8Array(10), leaf: new Uint8Array(32) };
    const holder = new DatabaseSync(path);
    holder.exec('BEGIN IMMEDIATE');
    const error = await expectCode('STORAGE_UNAVAILABLE', () => ledger.append([row]));
    expect(error.message).toContain('another process holds it');
    holder.exec('COMMIT');
    holder.close();
    ledger.append([row]);
    expect([...ledger.read(0, 10)]).toHaveLength(1);
    ledger.close();
  }, 30_000);

  test('that cannot be opened is told as that, and so is its lock', async () => {
    const path = join(folder, 'a-folder');
    mkdirSync(`${path}.lock`, { recursive: true });
    for (const open of [() => SqliteLedgerStore.open(path), () => lockFile(`${path}.lock`, path)]) {
      const error = await expectCode('STORAGE_UNAVAILABLE', open);
      expect(error.details.file).toBe(`${path}.lock`);
    }
  });
});

describe('rows and heads of one append', () => {
  test('are there together or not at all', async () => {
    const ledger = SqliteLedgerStore.open(join(folder, 'batch.sqlite'));
    const row = (index: number) => ({ index, bytes: Uint8Array.of(index), leaf: new Uint8Array(32) });
    const [first, second] = [Uint8Array.of(1), Uint8Array.of(2)];
    ledger.append([row(0), row(1)], [first]);
    await expectCode('LEDGER_CORRUPT', () => ledger.append([row(2), row(1)], [second]));
    expect([...ledger.read(0, 10)].map(({ index }) => index)).toEqual([0, 1]);
    expect(ledger.heads()).toEqual([first]);
    ledger.append([row(2)], [first, second]);
    ledger.append([], [second]);
    expect(ledger.heads()).toEqual([first, second]);
    ledger.close();
  });
});
