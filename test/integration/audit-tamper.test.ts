import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { entryBytes, entryLeaf, type LedgerEntry } from '../../src/ledger/entry.ts';
import { signHead } from '../../src/ledger/head.ts';
import { genesisHash } from '../../src/params/genesis.ts';
import { toHex, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { MerkleTree } from '../../src/protocol/merkle.ts';
import { CLOSERS } from '../../src/protocol/phases.ts';
import type { AuditReport } from '../../src/replica/audit.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { GrailProcess, grail, killAll } from '../helpers/grail-process.ts';
import { auditFolder, copyOf, entriesOf } from '../helpers/live-network.ts';

/** What a forger changes of bodies; each case knows which of these its type has. */
interface AnyBody {
  slots: number;
  actions: string;
  proof: string;
  traceDigests: string[];
  beacon0: string;
  beacon1: string;
  commitRoot: string;
  openingsRoot: string;
  rho: string;
  foldDigest: string;
  rewardRoot: string;
  results: { miner: string; credit: number; meanReturn: number | null; rejection: { code: string } | null }[];
  update: {
    policyRoot: string;
    trainerStateRoot: string;
    patch: { hash: string };
    metrics: Record<string, unknown>;
  };
}

/** Two windows of two honest miners and one that flips an action. */
let folder: string;
let terminal: string;
let original: LedgerEntry[];
const copies: string[] = [];

beforeAll(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'grail-tamper-')), 'demo');
  const args = [
    '--seed',
    '21',
    '--windows',
    '2',
    '--slots',
    '1',
    '--miners',
    '2',
    '--cheat',
    'flip-one-action',
  ];
  const demo = new GrailProcess(['demo', ...args, '--phase-timeout', '120', '--dir', folder, '--json']);
  expect((await demo.ended).code, demo.log).toBe(0);
  terminal = demo.log;
  original = entriesOf(folder);
}, 400_000);

afterEach(() => {
  for (const made of copies.splice(0)) rmSync(made, { recursive: true, force: true });
});

afterAll(async () => {
  await killAll();
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

function copy(): string {
  const made = copyOf(folder);
  copies.push(made);
  return made;
}

function inDatabase(directory: string, change: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(join(directory, 'ledger.sqlite'));
  try {
    change(database);
  } finally {
    database.close();
  }
}

/** A number below `limit` that depends on its name alone. */
function pick(name: string, limit: number): number {
  return Number(BigInt(toHex(sha256(utf8(name)).subarray(0, 6))) % BigInt(limit));
}

/** The same bytes with one changed, at a place and to a value that the name picks. */
function oneByteChanged(bytes: Uint8Array, name: string): Uint8Array {
  const changed = bytes.slice();
  changed[pick(`${name} place`, bytes.length)]! ^= 1 + pick(`${name} bits`, 255);
  return changed;
}

/** What an audit says of a folder, whether it can be opened or not. */
async function divergence(directory: string): Promise<NonNullable<AuditReport['divergence']>> {
  try {
    const report = await auditFolder(directory);
    expect(report.divergence).not.toBeNull();
    return report.divergence!;
  } catch (error) {
    if (!(error instanceof GrailError)) throw error;
    return error.toJSON();
  }
}

test('the demo shows the cheat’s rejection in the words of the verifier and of the miner', () => {
  expect(terminal).toMatch(
    /^\[verifier\] warn +window 0: rejected 0x[0-9a-f]{40}: ACTION_MISMATCH at slot 0, step \d+: /m,
  );
  expect(terminal).toMatch(
    /^\[miner 2 \(flip-one-action\)\] window 0: rejected: ACTION_MISMATCH at slot 0, step \d+: /m,
  );
});

test('the untouched folder audits, with the cheat’s rejections in it', async () => {
  const report = await auditFolder(copy());
  expect(report).toMatchObject({ divergence: null, windows: 2, entries: original.length });
  expect(report.rejections).toBeGreaterThan(0);
});

describe('one byte changed', () => {
  test('in any entry: the audit names the entry', async () => {
    const directory = copy();
    for (const index of original.keys()) {
      let before!: Uint8Array;
      inDatabase(directory, (database) => {
        before = database.prepare('SELECT bytes FROM entries WHERE idx = ?').get(index)!.bytes as Uint8Array;
        const after = oneByteChanged(before, `entry ${index}`);
        database.prepare('UPDATE entries SET bytes = ? WHERE idx = ?').run(after, index);
      });
      expect(await divergence(directory)).toMatchObject({ code: 'LEDGER_CORRUPT', details: { index } });
      inDatabase(directory, (database) => {
        database.prepare('UPDATE entries SET bytes = ? WHERE idx = ?').run(before, index);
      });
    }
    expect((await auditFolder(directory)).divergence).toBeNull();
  });

  test('in any leaf hash: the audit names the entry', async () => {
    const directory = copy();
    for (const index of original.keys()) {
      let before!: Uint8Array;
      inDatabase(directory, (database) => {
        before = database.prepare('SELECT leaf FROM entries WHERE idx = ?').get(index)!.leaf as Uint8Array;
        const after = oneByteChanged(before, `leaf ${index}`);
        database.prepare('UPDATE entries SET leaf = ? WHERE idx = ?').run(after, index);
      });
      expect(await divergence(directory)).toMatchObject({ code: 'LEDGER_CORRUPT', details: { index } });
      inDatabase(directory, (database) => {
        database.prepare('UPDATE entries SET leaf = ? WHERE idx = ?').run(before, index);
      });
    }
  });

  test('in any tree head: the audit names the head', async () => {
    const directory = copy();
    const closers = original.filter(({ phase, body }) => phase !== 'genesis' && body.type === CLOSERS[phase]);
    for (const head of closers.keys()) {
      let before!: Uint8Array;
      inDatabase(directory, (database) => {
        before = database.prepare('SELECT bytes FROM heads WHERE position = ?').get(head)!
          .bytes as Uint8Array;
        const after = oneByteChanged(before, `head ${head}`);
        database.prepare('UPDATE heads SET bytes = ? WHERE position = ?').run(after, head);
      });
      const { code, details } = await divergence(directory);
      expect(['LEDGER_CORRUPT', 'BAD_SIGNATURE', 'LEDGER_INVALID']).toContain(code);
      expect(details).toMatchObject({ head });
      inDatabase(directory, (database) => {
        database.prepare('UPDATE heads SET bytes = ? WHERE position = ?').run(before, head);
      });
    }
  });

  test('in the name of the network: the audit refuses the ledger', async () => {
    const directory = copy();
    inDatabase(directory, (database) => {
      const { value } = database.prepare("SELECT value FROM meta WHERE key = 'genesisHash'").get()!;
      const after = oneByteChanged(value as Uint8Array, 'meta');
      database.prepare("UPDATE meta SET value = ? WHERE key = 'genesisHash'").run(after);
    });
    expect(await divergence(directory)).toMatchObject({ code: 'LEDGER_CORRUPT', details: { index: 0 } });
  });

  test('in the file itself, where an entry lies: the command names the entry and exits with 1', async () => {
    for (const index of [1, Math.floor(original.length / 2), original.length - 1]) {
      const directory = copy();
      inDatabase(directory, (database) => database.exec('PRAGMA wal_checkpoint(TRUNCATE)'));
      const file = join(directory, 'ledger.sqlite');
      const bytes = readFileSync(file);
      // Bytes that occur once: a miner's signature, or the root of its policy in a verdict.
      const { signature, rewardRoot, beacon1 } = original[index]!.body as Record<string, string>;
      const at = bytes.indexOf((signature ?? rewardRoot ?? beacon1)!.slice(2, 42));
      expect(at).toBeGreaterThan(0);
      bytes[at]! ^= 1;
      writeFileSync(file, bytes);
      const { code, err } = await grail(['audit', directory]);
      expect([code, err]).toEqual([1, expect.stringMatching(new RegExp(`LEDGER_CORRUPT: entry ${index} `))]);
    }
  });

  test('in any blob: the audit names the file', async () => {
    for (const blob of readdirSync(join(folder, 'blobs'))) {
      const directory = copy();
      const file = join(directory, 'blobs', blob);
      writeFileSync(file, oneByteChanged(readFileSync(file), blob));
      expect(await divergence(directory)).toMatchObject({ code: 'BLOB_CORRUPT', details: { blob } });
    }
  });

  test('in a blob: the command names the file and exits with 1', async () => {
    const directory = copy();
    const blob = readdirSync(join(directory, 'blobs'))[0]!;
    const file = join(directory, 'blobs', blob);
    writeFileSync(file, oneByteChanged(readFileSync(file), 'command'));
    const { code, out } = await grail(['audit', directory]);
    expect(code).toBe(1);
    expect(out.join('\n')).toMatch(/^DIVERGENCE BLOB_CORRUPT: /m);
    expect(out.join('\n')).toContain(`  blob: "${blob}"`);
    expect(out.join('\n')).not.toContain('no divergence');
  });
});

describe('the blob folder', () => {
  test('a missing blob is named', async () => {
    for (const blob of readdirSync(join(folder, 'blobs'))) {
      const directory = copy();
      rmSync(join(directory, 'blobs', blob));
      expect(await divergence(directory)).toMatchObject({ code: 'BLOB_MISSING', details: { blob } });
    }
  });

  test('a blob that no entry names is named', async () => {
    const directory = copy();
    const hash = await new FolderBlobStore(join(directory, 'blobs')).put(utf8('nobody asked for this'));
    const blob = hash.slice(2);
    expect(await divergence(directory)).toMatchObject({ code: 'BLOB_UNREFERENCED', details: { blob } });
  });

  test.each(['notes.txt', '.hidden', `${'0'.repeat(64)}.new`])('the stray file %s is named', async (blob) => {
    const directory = copy();
    writeFileSync(join(directory, 'blobs', blob), '');
    expect(await divergence(directory)).toMatchObject({ code: 'BLOB_UNREFERENCED', details: { blob } });
  });
});

describe('an operator that forges its own ledger, leaves and heads included', () => {
  /** Rewrites a copy's ledger: entries as given, every leaf and every head made anew with the operator's key. */
  async function forged(change: (entries: LedgerEntry[]) => LedgerEntry[]): Promise<string> {
    const directory = copy();
    const network = new NetworkDirectory(directory);
    const operator = new Identity((await network.secrets()).verifierKey);
    const genesis = network.genesis();
    const name = genesisHash(genesis);
    const entries = change(structuredClone(original));
    inDatabase(directory, (database) => {
      database.exec('DELETE FROM entries; DELETE FROM heads');
      const tree = new MerkleTree();
      let heads = 0;
      for (const [index, entry] of entries.entries()) {
        const bytes = entryBytes(entry);
        const leaf = entryLeaf(name, bytes);
        tree.append(leaf);
        database.prepare('INSERT INTO entries VALUES (?, ?, ?)').run(index, bytes, leaf);
        const { window, phase } = entry;
        if (phase === 'genesis' || entry.body.type !== CLOSERS[phase]) continue;
        const size = { treeSize: tree.size, treeRoot: toHex(tree.root()) };
        const head = signHead({ chainId: genesis.chainId, genesisHash: name }, operator, {
          window,
          phase,
          view: 0,
          ...size,
        });
        database.prepare('INSERT INTO heads VALUES (?, ?)').run(heads++, canonicalBytes(head));
      }
    });
    return directory;
  }

  const first = (type: string, window = 0) =>
    original.findIndex((entry) => entry.body.type === type && entry.window === window);

  /** The body of an entry, to be changed. */
  const body = (entries: LedgerEntry[], index: number) => entries[index]!.body as unknown as AnyBody;

  test('is not found out by what it rewrites, but by what it changes: rewriting alone changes nothing', async () => {
    expect((await auditFolder(await forged((entries) => entries))).divergence).toBeNull();
  });

  const other = toHex(sha256(utf8('another')));
  const cases: [what: string, type: string, window: number, change: (body: AnyBody) => void][] = [
    ['a credit raised by one', 'verdict', 0, (b) => b.results.find((r) => r.credit > 0)!.credit++],
    ['a credit lowered by one', 'verdict', 1, (b) => b.results.find((r) => r.credit > 0)!.credit--],
    ['a rejection removed', 'verdict', 0, (b) => (b.results.find((r) => r.rejection)!.rejection = null)],
    [
      'a rejection’s code',
      'verdict',
      0,
      (b) => (b.results.find((r) => r.rejection)!.rejection!.code = 'POLICY_STALE'),
    ],
    ['a mean return', 'verdict', 0, (b) => (b.results.find((r) => r.meanReturn)!.meanReturn! += 1)],
    ['another policy', 'verdict', 0, (b) => (b.update.policyRoot = other)],
    ['another last policy', 'verdict', 1, (b) => (b.update.policyRoot = other)],
    ['another trainer state', 'verdict', 0, (b) => (b.update.trainerStateRoot = other)],
    ['another patch', 'verdict', 0, (b) => (b.update.patch.hash = other)],
    ['another metric', 'verdict', 1, (b) => (b.update.metrics.meanReturn = 500)],
    ['another reward root', 'verdict', 0, (b) => (b.rewardRoot = other)],
    ['another foldDigest', 'fold', 0, (b) => (b.foldDigest = `0x00${other.slice(4)}`)],
    ['another rho', 'fold', 0, (b) => (b.rho = `0x00${other.slice(4)}`)],
    ['another root of openings', 'fold', 1, (b) => (b.openingsRoot = other)],
    ['another first beacon', 'open', 0, (b) => (b.beacon0 = other)],
    ['another second beacon', 'challenge', 1, (b) => (b.beacon1 = other)],
    ['another root of commitments', 'challenge', 0, (b) => (b.commitRoot = other)],
    ['a flipped action', 'commit', 0, (b) => (b.actions = flipped(b.actions))],
    ['a flipped last action', 'commit', 1, (b) => (b.actions = flipped(b.actions))],
    ['more slots', 'enrol', 0, (b) => b.slots++],
    ['another opening', 'opening', 0, (b) => (b.traceDigests[0] = `0x00${other.slice(4)}`)],
    ['another proof', 'proof', 0, (b) => (b.proof = flipped(b.proof))],
  ];

  test.each(cases)('%s in a %s of window %i is named', async (_what, type, window, change) => {
    const index = first(type, window);
    const directory = await forged((entries) => {
      change(body(entries, index));
      return entries;
    });
    const { code, details } = await divergence(directory);
    expect(['LEDGER_INVALID', 'LEDGER_DIVERGED']).toContain(code);
    expect(details).toMatchObject({ index });
  });

  test.each(['enrol', 'commit', 'opening', 'proof', 'open', 'challenge', 'fold', 'verdict'])(
    'a %s removed is named, by itself or by the entry that shows its absence',
    async (type) => {
      // Of a miner whose messages count: what a rejected one sent besides decides nothing, and its absence shows nowhere.
      const { results } = body(original, first('verdict', 0));
      const idle = results.filter(({ rejection }) => rejection !== null).map(({ miner }) => miner);
      const at = original.findIndex(
        ({ window, author, body: { type: of } }) => of === type && window === 0 && !idle.includes(author!),
      );
      const directory = await forged((entries) => entries.filter((_, index) => index !== at));
      const { code, details } = await divergence(directory);
      expect(['LEDGER_INVALID', 'LEDGER_DIVERGED']).toContain(code);
      expect(details.index).toBeGreaterThanOrEqual(at);
      // Verdicts come one after the other: at the latest, the next one shows it.
      expect(details.index).toBeLessThanOrEqual(first('verdict', type === 'verdict' ? 1 : 0));
    },
  );

  test.each(['open', 'challenge', 'fold', 'verdict'])(
    'a message that is moved behind the %s that closed its phase is named',
    async (type) => {
      const closer = first(type, 0);
      const { window, phase } = original[closer]!;
      const message = original.findIndex((entry) => entry.window === window && entry.phase === phase);
      const directory = await forged((entries) => {
        const [moved] = entries.splice(message, 1);
        entries.splice(closer, 0, moved!);
        return entries;
      });
      const { code, details } = await divergence(directory);
      expect(['LEDGER_INVALID', 'LEDGER_DIVERGED']).toContain(code);
      // The closer, now one place earlier, shows that the message is missing; else the message that it is late.
      expect([closer - 1, closer]).toContain(details.index);
    },
  );

  test('an entry that is repeated is named', async () => {
    const index = first('commit', 0);
    const directory = await forged((entries) => entries.toSpliced(index + 1, 0, entries[index]!));
    expect(await divergence(directory)).toMatchObject({
      code: 'LEDGER_INVALID',
      details: { index: index + 1 },
    });
  });

  test('a message signed by nobody that genesis or the ledger registers is named', async () => {
    const index = first('enrol', 0);
    const directory = await forged((entries) => {
      const stranger = new Identity(sha256(utf8('stranger'))).address;
      entries[index] = {
        ...entries[index]!,
        author: stranger,
        body: { ...entries[index]!.body, miner: stranger },
      };
      return entries;
    });
    expect(await divergence(directory)).toMatchObject({ code: 'LEDGER_INVALID', details: { index } });
  });

  test('a credit raised by one is named by the command, which exits with 1', async () => {
    const index = first('verdict', 1);
    const directory = await forged((entries) => {
      body(entries, index).results[0]!.credit++;
      return entries;
    });
    const { code, out } = await grail(['audit', directory]);
    expect(code).toBe(1);
    expect(out.join('\n')).toMatch(new RegExp(`^DIVERGENCE LEDGER_DIVERGED: entry ${index} `, 'm'));
  });

  test('closing entries without a signed head are named', async () => {
    const directory = await forged((entries) => entries);
    inDatabase(directory, (database) => database.exec('DELETE FROM heads WHERE position = 0'));
    inDatabase(directory, (database) => database.exec('UPDATE heads SET position = position - 1'));
    const index = first('open', 0);
    expect(await divergence(directory)).toMatchObject({ code: 'LEDGER_INVALID', details: { index } });
  });
});

/** A hex string with the lowest bit of its last digit flipped. */
function flipped(hex: string): string {
  return `${hex.slice(0, -1)}${(Number.parseInt(hex.at(-1)!, 16) ^ 1).toString(16)}`;
}
