import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entryBytes, parseEntry } from '../../src/ledger/entry.ts';
import { checkHead, signHead } from '../../src/ledger/head.ts';
import { type Ledger, openLedger, openLedgerReadOnly } from '../../src/ledger/log.ts';
import { fromHex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { verifyConsistency, verifyInclusion } from '../../src/protocol/merkle.ts';

const genesisHash = new Uint8Array(32).fill(7);
const identity = new Identity(new Uint8Array(32).fill(1));
const domain = { chainId: 0, genesisHash };
const writerScript = fileURLToPath(new URL('ledger-writer.ts', import.meta.url));

let folder: string;
let path: string;
const open: Ledger[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-ledger-'));
  path = join(folder, 'ledger.sqlite');
});

afterEach(() => {
  for (const ledger of open.splice(0)) ledger.close();
  rmSync(folder, { recursive: true, force: true });
});

function keep(ledger: Ledger): Ledger {
  open.push(ledger);
  return ledger;
}

const entry = (number: number, bytes = 20) => ({
  window: Math.floor(number / 10),
  phase: 'commit' as const,
  view: 0,
  author: identity.address,
  body: { type: 'test', number, filler: 'x'.repeat(bytes) },
});

/** A ledger of `count` entries, with a head over all of them, closed. Some entries span several pages of the file. */
function write(count: number): void {
  const ledger = openLedger(path, genesisHash);
  ledger.appendAll(Array.from({ length: count }, (_, i) => entry(i, i % 4 === 0 ? 20_000 : 20)));
  const treeRoot = toHex(ledger.root());
  ledger.putHead(
    signHead(domain, identity, { window: 0, phase: 'commit', view: 0, treeSize: count, treeRoot }),
  );
  ledger.close();
}

/** Changes the file by SQL, behind the ledger's back. */
function tamper(sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

function failure(action: () => unknown): GrailError {
  try {
    action();
  } catch (error) {
    if (error instanceof GrailError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function expectCode(action: () => unknown, code: Code, details: Record<string, unknown> = {}): void {
  const { code: found, details: given } = failure(action);
  expect({ code: found, details: given }).toMatchObject({ code, details });
}

/** Opens to read and walks everything, as an audit does. */
function audit(): void {
  const ledger = openLedgerReadOnly(path);
  try {
    for (const _ of ledger.range());
    ledger.checkStorage();
  } finally {
    ledger.close();
  }
}

describe('Ledger', () => {
  test('gives back what was appended, across a restart, with proofs that verify', () => {
    const first = openLedger(path, genesisHash);
    const answers = [first.append(entry(0)), ...first.appendAll([entry(1), entry(2, 300_000)])];
    expect(answers.map(({ index, treeSize }) => [index, treeSize])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    first.close();
    const second = keep(openLedger(path, genesisHash));
    expect(second.size).toBe(3);
    expect([...second.range(1, 1)].map(({ entry: found }) => found)).toEqual([entry(1)]);
    expect(second.get(2)).toEqual(entry(2, 300_000));
    for (const { index, treeSize, treeRoot } of answers) {
      expect(toHex(second.root(treeSize))).toBe(treeRoot);
      const leaf = second.leaf(index);
      const proof = second.inclusionProof(index);
      expect(verifyInclusion({ leaf, index, size: 3, proof, root: second.root() })).toBe(true);
      const between = {
        from: treeSize,
        to: 3,
        fromRoot: fromHex(treeRoot),
        toRoot: second.root(),
        proof: second.consistencyProof(treeSize),
      };
      expect(verifyConsistency(between)).toBe(true);
    }
  });

  test('an entry that does not exist is NOT_FOUND', () => {
    const ledger = keep(openLedger(path, genesisHash));
    ledger.append(entry(0));
    expectCode(() => ledger.get(1), 'NOT_FOUND', { index: 1 });
    expectCode(() => ledger.get(-1), 'NOT_FOUND');
    expectCode(() => openLedgerReadOnly(join(folder, 'none.sqlite')), 'NOT_FOUND');
  });

  test('a batch with one malformed entry appends nothing', () => {
    const ledger = keep(openLedger(path, genesisHash));
    const bad = { ...entry(1), phase: 'open' as 'commit' };
    expectCode(() => ledger.appendAll([entry(0), bad]), 'LEDGER_INVALID', { path: ['phase'] });
    expect(ledger.size).toBe(0);
    expect(ledger.append(entry(0)).index).toBe(0);
  });

  test('another network’s ledger is refused', () => {
    write(1);
    expectCode(() => openLedger(path, new Uint8Array(32).fill(8)), 'GENESIS_MISMATCH');
    expectCode(() => openLedgerReadOnly(path, new Uint8Array(32).fill(8)), 'GENESIS_MISMATCH');
  });

  test('the same entry has another leaf on another network', () => {
    const other = join(folder, 'other.sqlite');
    const a = keep(openLedger(path, genesisHash));
    const b = keep(openLedger(other, new Uint8Array(32).fill(8)));
    expect(a.append(entry(0)).treeRoot).not.toBe(b.append(entry(0)).treeRoot);
  });

  test('heads are kept once, in order, and their signatures check', () => {
    const ledger = openLedger(path, genesisHash);
    const heads = [0, 1].map((number) => {
      const { treeSize, treeRoot } = ledger.append(entry(number));
      return signHead(domain, identity, { window: 0, phase: 'commit', view: number, treeSize, treeRoot });
    });
    for (const head of [...heads, heads[0]!]) ledger.putHead(head);
    ledger.close();
    const reader = keep(openLedgerReadOnly(path));
    expect(reader.heads()).toEqual(heads);
    for (const head of reader.heads()) checkHead(domain, head);
    expectCode(() => checkHead(domain, { ...heads[0]!, view: 9 }), 'BAD_SIGNATURE');
  });

  test('a head of other entries is refused', () => {
    const ledger = keep(openLedger(path, genesisHash));
    const { treeSize, treeRoot } = ledger.append(entry(0));
    const fields = { window: 0, phase: 'commit' as const, view: 0 };
    const wrongRoot = signHead(domain, identity, { ...fields, treeSize, treeRoot: toHex(genesisHash) });
    expectCode(() => ledger.putHead(wrongRoot), 'LEDGER_CORRUPT', { head: 0 });
    const tooLong = signHead(domain, identity, { ...fields, treeSize: 2, treeRoot });
    expectCode(() => ledger.putHead(tooLong), 'LEDGER_CORRUPT', { head: 0, treeSize: 2 });
  });

  test('a reader cannot append', () => {
    write(1);
    const reader = keep(openLedgerReadOnly(path));
    expectCode(() => reader.append(entry(1)), 'INTERNAL');
  });
});

describe('damage', () => {
  test('one changed byte of any entry is reported with that entry’s index', () => {
    const count = 12;
    write(count);
    const intact = readFileSync(path);
    const bytes = `CAST(substr(bytes, 1, 9) || X'7a' || substr(bytes, 11) AS BLOB)`;
    for (let index = 0; index < count; index++) {
      writeFileSync(path, intact);
      tamper(`UPDATE entries SET bytes = ${bytes} WHERE idx = ${index}`);
      expectCode(() => openLedgerReadOnly(path), 'LEDGER_CORRUPT', { index });
      expectCode(() => openLedger(path, genesisHash), 'LEDGER_CORRUPT', { index });
    }
  });

  test('a changed leaf is reported with its index', () => {
    write(3);
    tamper(`UPDATE entries SET leaf = zeroblob(32) WHERE idx = 1`);
    expectCode(audit, 'LEDGER_CORRUPT', { index: 1 });
  });

  test('an entry rewritten together with its leaf contradicts the signed head', () => {
    write(3);
    const other = join(folder, 'other.sqlite');
    const ledger = openLedger(other, genesisHash);
    ledger.appendAll([entry(0, 20_000), entry(55), entry(2)]);
    const { bytes, leaf } = ledger.read(1);
    ledger.close();
    const hex = (value: Uint8Array) => `X'${toHex(value).slice(2)}'`;
    tamper(`UPDATE entries SET bytes = ${hex(bytes)}, leaf = ${hex(leaf)} WHERE idx = 1`);
    expectCode(audit, 'LEDGER_CORRUPT', { head: 0, treeSize: 3 });
  });

  test('a removed entry is reported with its index, in the middle and at the end', () => {
    write(4);
    const intact = readFileSync(path);
    tamper('DELETE FROM entries WHERE idx = 2');
    expectCode(audit, 'LEDGER_CORRUPT', { index: 2 });
    writeFileSync(path, intact);
    tamper('DELETE FROM entries WHERE idx = 3');
    expectCode(audit, 'LEDGER_CORRUPT', { index: 3 });
  });

  test('a changed head is reported with its position', () => {
    write(2);
    tamper(`UPDATE heads SET bytes = CAST(replace(CAST(bytes AS TEXT), 'commit', 'common') AS BLOB)`);
    expectCode(audit, 'LEDGER_CORRUPT', { head: 0 });
  });

  test('a file that is no database, or another one, is LEDGER_CORRUPT', () => {
    writeFileSync(path, 'not a database, and long enough to be read as a header of one, or not.'.repeat(20));
    expectCode(audit, 'LEDGER_CORRUPT');
    expectCode(() => openLedger(path, genesisHash), 'LEDGER_CORRUPT');
    rmSync(path);
    tamper('CREATE TABLE something (a); PRAGMA user_version = 9');
    expectCode(audit, 'LEDGER_CORRUPT', { got: 9 });
  });

  test('one flipped byte anywhere in the file is harmless or has a code, and in an entry it has the index', () => {
    write(12);
    const intact = readFileSync(path);
    const ranges = entryRanges(intact);
    const samples = process.env.GRAIL_LONG ? 5000 : 400;
    let reported = 0;
    for (let i = 0; i < samples; i++) {
      const at = Math.floor(((i + 0.5) * intact.length) / samples);
      const bytes = Buffer.from(intact);
      bytes[at]! ^= 0x41;
      writeFileSync(path, bytes);
      const index = ranges.find(({ start, end }) => at >= start && at < end)?.index;
      try {
        audit();
        expect(index, `byte ${at}`).toBeUndefined();
      } catch (error) {
        if (!(error instanceof GrailError)) throw error;
        expect(error.code, `byte ${at}: ${error.message}`).toBe('LEDGER_CORRUPT');
        if (index !== undefined) expect(error.details, `byte ${at}`).toMatchObject({ index });
        reported += 1;
      }
    }
    expect(reported).toBeGreaterThan(samples / 2);
  });
});

/** Where the small entries lie in the file; none of them may have a stale copy in another page. */
function entryRanges(file: Buffer): { start: number; end: number; index: number }[] {
  return [1, 2, 3, 5, 6, 7, 9, 10, 11].map((index) => {
    const bytes = entryBytes(entry(index));
    const start = file.indexOf(bytes);
    expect(start, `entry ${index}`).toBeGreaterThan(0);
    expect(file.indexOf(bytes, start + 1), `another copy of entry ${index}`).toBe(-1);
    return { start, end: start + bytes.length, index };
  });
}

describe('processes', () => {
  test('after kill -9 in mid-append, every acknowledged entry is there', async () => {
    const child = spawn(process.execPath, [writerScript, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let acknowledged = '';
    child.stdout.on('data', (chunk) => {
      acknowledged += chunk;
      if (acknowledged.split('\n').length > 40) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const lines = acknowledged.split('\n').slice(0, -1);
    expect(lines.length).toBeGreaterThanOrEqual(40);
    const ledger = keep(openLedger(path, genesisHash));
    for (const line of lines) {
      const [index, root] = line.split(' ');
      expect(toHex(ledger.root(Number(index) + 1))).toBe(root);
      expect(ledger.get(Number(index)).body.number).toBe(Number(index));
    }
    expect(ledger.append(entry(0)).index).toBeGreaterThanOrEqual(lines.length);
  });

  test('one flipped byte in the write-ahead log that a kill left names the first entry that would be lost', async () => {
    const child = spawn(process.execPath, [writerScript, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let acknowledged = 0;
    child.stdout.on('data', (chunk) => {
      acknowledged += String(chunk).split('\n').length - 1;
      if (acknowledged > 60) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const intact = ['', '-wal'].map((suffix) => readFileSync(path + suffix));
    for (const at of [3, 16, 40, 5000, 60_000, 100_000]) {
      const [database, wal] = intact.map((bytes) => Buffer.from(bytes));
      wal![at]! ^= 1;
      writeFileSync(path, database!);
      writeFileSync(`${path}-wal`, wal!);
      const { code, details } = failure(() => openLedgerReadOnly(path));
      expect({ at, code }).toEqual({ at, code: 'LEDGER_CORRUPT' });
      expect(details.index, `byte ${at}`).toBeLessThan(60);
      expectCode(() => openLedger(path, genesisHash), 'LEDGER_CORRUPT', { index: details.index });
    }
    for (const [i, suffix] of ['', '-wal'].entries()) writeFileSync(path + suffix, intact[i]!);
    expect(keep(openLedger(path, genesisHash)).size).toBeGreaterThanOrEqual(acknowledged);
  });

  test('a second writer is ALREADY_RUNNING, a reader follows the first, and SIGKILL frees the lock', async () => {
    const child = spawn(process.execPath, [writerScript, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      child.stdout.resume();
      expectCode(() => openLedger(path, genesisHash), 'ALREADY_RUNNING');
      const reader = keep(openLedgerReadOnly(path, genesisHash));
      const before = reader.size;
      expect(before).toBeGreaterThan(0);
      const deadline = Date.now() + 20_000;
      while (reader.size < before + 20 && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        reader.refresh();
      }
      expect(reader.size).toBeGreaterThanOrEqual(before + 20);
      expect([...reader.range()].length).toBe(reader.size);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    expect(keep(openLedger(path, genesisHash)).size).toBeGreaterThan(20);
  });

  test('a ledger in a folder that cannot be written is read', () => {
    write(3);
    chmodSync(folder, 0o555);
    chmodSync(path, 0o444);
    try {
      expect(keep(openLedgerReadOnly(path)).size).toBe(3);
    } finally {
      chmodSync(folder, 0o755);
    }
  });
});

describe('parseEntry', () => {
  const invalid = (text: string) => expectCode(() => parseEntry(utf8(text)), 'LEDGER_INVALID');
  const good = '{"author":null,"body":{"type":"a"},"phase":"enrol","view":0,"window":1}';

  test('takes canonical JSON', () => {
    expect(parseEntry(utf8(good))).toMatchObject({ window: 1, author: null, body: { type: 'a' } });
  });

  test('refuses the same meaning in other bytes', () => {
    invalid(good.replace(',', ', '));
    invalid(good.replace('"author":null,', '').replace('}}', '},"author":null}'));
    invalid(good.replace('"view":0', '"view":0.0'));
    invalid(good.replace('"view":0', '"view":1,"view":0'));
    invalid(`\uFEFF${good}`);
  });

  test('refuses unknown fields, phases, and bodies without a type', () => {
    invalid(good.replace('"window":1', '"window":1,"x":1'));
    invalid(good.replace('enrol', 'prover'));
    invalid(good.replace('"type":"a"', '"kind":"a"'));
    invalid(good.replace('"window":1', '"window":-1'));
    invalid('[]');
    invalid('{');
  });
});
