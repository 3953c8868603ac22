import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DownloadOptions, downloadNetwork } from '../../src/cli/download.ts';
import { signHead } from '../../src/ledger/head.ts';
import { openLedgerReadOnly } from '../../src/ledger/log.ts';
import { toHex, utf8 } from '../../src/protocol/bytes.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { TestGateway } from '../helpers/gateway.ts';
import { grail, killAll } from '../helpers/grail-process.ts';
import { LiveNetwork, runsOut } from '../helpers/live-network.ts';
import { KEYS, named } from '../helpers/network.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';

const folders: string[] = [];

function fresh(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'grail-url-')));
  return folders.at(-1)!;
}

afterAll(async () => {
  await killAll();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe('a verifier that runs', () => {
  let network: LiveNetwork;

  beforeAll(async () => {
    network = await LiveNetwork.make({ seed: 31, miners: 1 });
    const verifier = await network.verifier({ windows: 2 });
    network.miner(0);
    await runsOut(verifier);
  }, 300_000);

  afterAll(() => network.remove());

  test('is audited over HTTP to the report that its folder gives, heads apart', async () => {
    const over = await grail(['audit', network.url, '--json']);
    expect(over.code, over.err).toBe(0);
    const own = await grail(['audit', network.directory, '--json']);
    const { signatures, unseen, ...report } = printedJson(own);
    expect(printedJson(over)).toEqual({
      ...report,
      signatures: signatures - 7, // of eight closed phases, the newest head is served
      unseen: [...unseen, 'heads signed before the newest: a verifier serves that one alone'],
    });
  });

  test('is exported over HTTP to the files that its folder gives', async () => {
    const [one, two] = [fresh(), fresh()];
    const how = ['--format', 'parquet,csv,tensorboard', '--steps', '--json'];
    const over = await grail(['export', network.url, '--out', one, ...how]);
    expect(over.code, over.err).toBe(0);
    const { files, windows } = printedJson(over);
    await grail(['export', network.directory, '--out', two, ...how]);
    expect([files.length, windows]).toEqual([13, 2]);
    for (const file of files) expect(readFileSync(join(one, file))).toEqual(readFileSync(join(two, file)));
  });

  test('gives the bundle that its folder gives', async () => {
    const [one, two] = [join(fresh(), 'one.grail'), join(fresh(), 'two.grail')];
    const over = await grail(['export', network.url, '--bundle', '1', '--out', one]);
    expect(over.code, over.err).toBe(0);
    await grail(['export', network.directory, '--bundle', '1', '--out', two]);
    expect(readFileSync(one)).toEqual(readFileSync(two));
  });
});

/** What a server answers instead of the verifier behind it; null: nothing, ever. */
type Lie = (
  path: string,
  honest: () => Promise<Record<string, unknown>>,
) => Promise<string | Uint8Array | null | undefined>;

describe('a verifier that lies', () => {
  const gateway = new TestGateway();
  const { network } = gateway;
  let server: Server;
  let url: string;
  let lie: Lie = async () => undefined;

  /** A window whose blobs are their names, and an enrolment behind the newest head. */
  beforeAll(async () => {
    await gateway.start();
    for (const name of ['anchor 0', 'patch 1']) await network.blobs.put(utf8(name));
    await network.run(0);
    network.take(network.miner.enrol(1));
    server = createServer(async (request, response) => {
      const path = request.url!;
      const honest = () => gateway.json(path) as Promise<Record<string, unknown>>;
      const answer = await lie(path, honest);
      if (answer === null) return;
      if (answer !== undefined) return void response.end(answer);
      const real = await gateway.get(path);
      response.writeHead(real.status).end(new Uint8Array(await real.arrayBuffer()));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => {
    lie = async () => undefined;
  });

  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await gateway.stop();
  });

  async function download(options: Partial<DownloadOptions> = {}): Promise<string> {
    const folder = fresh();
    await downloadNetwork(url, folder, {
      withBlobs: true,
      maxBytes: 1_000_000,
      onProgress: () => {},
      signal: new AbortController().signal,
      ...options,
    });
    return folder;
  }

  /** An answer with changes, where the path is this one. */
  const changed =
    (at: string, change: (value: Record<string, unknown>) => unknown): Lie =>
    async (path, honest) =>
      path.startsWith(at) ? JSON.stringify(change(await honest())) : undefined;
  const constant =
    (at: string, answer: string | Uint8Array | null): Lie =>
    async (path) =>
      path.startsWith(at) ? answer : undefined;

  const entriesOf = (page: Record<string, unknown>) => page.entries as Record<string, unknown>[];
  const signed = (key: typeof KEYS.verifier, changes: object) => () => {
    const { author: _, signature: __, ...head } = network.signedHead();
    return signHead(network.state.domain, key, { ...head, ...changes });
  };

  test('but tells the truth is copied up to its newest head, every blob included', async () => {
    lie = changed('/v1/head', () => network.ledger.heads().at(-1));
    const folder = await download();
    const copy = openLedgerReadOnly(join(folder, 'ledger.sqlite'));
    const head = network.ledger.heads().at(-1)!;
    expect(copy.size).toBe(head.treeSize);
    expect(copy.size).toBe(network.ledger.size - 1);
    expect(toHex(copy.root())).toBe(head.treeRoot);
    expect(copy.heads()).toEqual([head]);
    copy.close();
    expect(readdirSync(join(folder, 'blobs')).sort()).toEqual(
      [named('anchor 0'), named('patch 1')].map((hash) => hash.slice(2)).sort(),
    );
  });

  test.each<[string, Code, Lie]>([
    [
      'an entry with another credit',
      'LEDGER_CORRUPT',
      changed('/v1/entries', (page) => ({
        ...page,
        entries: entriesOf(page).map((e) => (e.phase === 'prove' ? { ...e, view: 1 } : e)),
      })),
    ],
    [
      'entries in another order',
      'LEDGER_CORRUPT',
      changed('/v1/entries', (page) => ({
        ...page,
        entries: [entriesOf(page)[0], ...entriesOf(page).slice(1).toReversed()],
      })),
    ],
    [
      'another genesis',
      'BAD_SIGNATURE',
      changed('/v1/entries', (page) => ({
        ...page,
        entries: entriesOf(page).map((e, i) =>
          i === 0 ? { ...e, body: { type: 'genesis', genesis: { ...network.genesis, name: 'other' } } } : e,
        ),
      })),
    ],
    [
      'no genesis',
      'LEDGER_CORRUPT',
      changed('/v1/entries', (page) => ({ ...page, entries: entriesOf(page).slice(1) })),
    ],
    ['another page', 'BAD_REQUEST', changed('/v1/entries', (page) => ({ ...page, from: 7 }))],
    ['a page of nothing', 'BAD_REQUEST', changed('/v1/entries', (page) => ({ ...page, entries: [] }))],
    ['a page with more to say', 'BAD_REQUEST', changed('/v1/entries', (page) => ({ ...page, more: 1 }))],
    [
      'a page of more than there may be',
      'BAD_REQUEST',
      changed('/v1/entries', (page) => ({
        ...page,
        entries: Array.from({ length: 257 }, () => entriesOf(page)[0]),
      })),
    ],
    ['no JSON', 'BAD_REQUEST', constant('/v1/entries', '<html>')],
    [
      'a head over another tree',
      'BAD_SIGNATURE',
      changed('/v1/head', (head) => ({ ...head, treeRoot: named('other') })),
    ],
    ['a head of a stranger', 'LEDGER_INVALID', changed('/v1/head', signed(KEYS.stranger, {}))],
    [
      'a head that was signed over other entries',
      'LEDGER_CORRUPT',
      changed('/v1/head', signed(KEYS.verifier, { treeRoot: named('other') })),
    ],
    ['other bytes for a blob', 'BLOB_CORRUPT', constant('/v1/blobs', utf8('other bytes'))],
  ])('with %s is found out: %s', async (_, code, how) => {
    lie = how;
    await expectCode(code, download());
  });

  test('of entries without end is left at the bytes that were allowed', async () => {
    const many = { treeSize: 1_000_000, treeRoot: named('far away') };
    lie = async (path) => {
      if (path === '/v1/head') return JSON.stringify(signed(KEYS.verifier, many)());
      if (path === '/v1/entries?from=0') return undefined;
      const from = Number(new URL(path, url).searchParams.get('from'));
      const [, entry] = entriesOf((await gateway.json('/v1/entries')) as Record<string, unknown>);
      return JSON.stringify({ from, size: many.treeSize, entries: Array.from({ length: 256 }, () => entry) });
    };
    await expectCode('TOO_LARGE', download());
  });

  test.each(['/v1/head', '/v1/entries', '/v1/blobs'])('and stalls at %s is given up', async (path) => {
    lie = constant(path, null);
    await expectCode('UNREACHABLE', download({ timeoutMs: 100 }));
  });

  test('and does not have a blob that the ledger names is found out', async () => {
    rmSync(join(network.directory, 'blobs', named('patch 1').slice(2)));
    await expectCode('BLOB_MISSING', download());
    await network.blobs.put(utf8('patch 1'));
  });

  test('makes the command exit with 1, and leaves nothing behind', async () => {
    const before = process.env.TMPDIR;
    const temporary = join(fresh(), 'tmp');
    mkdirSync(temporary);
    process.env.TMPDIR = temporary;
    try {
      lie = constant('/v1/blobs', utf8('other bytes'));
      const { code, err } = await runHere(['audit', url]);
      expect([code, err.find((line) => line.startsWith('BLOB_CORRUPT: '))]).toEqual([1, expect.any(String)]);
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });
});

test('an address at which nobody answers is UNREACHABLE', async () => {
  const { code, err } = await runHere(['audit', 'http://127.0.0.1:1']);
  expect([code, err.at(0)]).toEqual([1, expect.stringContaining('UNREACHABLE: ')]);
});

test('a path at which nothing is is NOT_FOUND', async () => {
  const { code, err } = await runHere(['audit', join(fresh(), 'nothing')]);
  expect([code, err.at(0)]).toEqual([1, expect.stringContaining('NOT_FOUND: ')]);
});
