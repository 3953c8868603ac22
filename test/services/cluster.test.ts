import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Servers, startServers } from '../../deploy/servers/index.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { parseGenesis } from '../../src/params/genesis.ts';
import { canonicalText } from '../../src/protocol/canonical.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { type Message, signMessage } from '../../src/protocol/messages.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { LiveCluster } from '../helpers/cluster.ts';
import { killAll } from '../helpers/grail-process.ts';
import { LiveNetwork, runsOut } from '../helpers/live-network.ts';
import { runHere } from '../helpers/run-here.ts';

const SEED = 11;
const WINDOWS = 3;
const SIZES = { sequencer: 1, gateway: 2, checker: 2, trainer: 1 } as const;

let servers: Servers;
let cluster: LiveCluster;
let urls: string[];
/** Another network in the same database, bus and bucket, that nobody mines for. */
let other: LiveCluster;

beforeAll(async () => {
  servers = await startServers({ blobs: 's3', fsync: false });
  cluster = await LiveCluster.make(servers, {
    name: 'first',
    seed: SEED,
    miners: 2,
    sizes: SIZES,
    sequencerFlags: ['--windows', String(WINDOWS)],
  });
  other = await LiveCluster.make(servers, {
    name: 'other',
    database: `${cluster.places.database}?schema=other`,
    seed: SEED + 1,
    miners: 1,
    sizes: { sequencer: 1, gateway: 2, checker: 0, trainer: 0 },
  });
  await cluster.processes.start();
  urls = await cluster.processes.urls();
  await other.processes.start();
});

afterAll(async () => {
  await killAll();
  await cluster?.remove();
  await other?.remove();
  await servers?.stop();
});

async function post(url: string, message: Message): Promise<Response> {
  return fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(message),
  });
}

/** The registration of a key that is in no genesis. */
async function registration(url: string, fill: number): Promise<Message> {
  const genesis = parseGenesis(await (await fetch(`${url}/v1/genesis`)).json());
  const identity = new Identity(new Uint8Array(32).fill(fill));
  const { domain } = new NetworkState(genesis);
  return signMessage(domain, identity, { type: 'register', miner: identity.address });
}

/** Asks until the gateway has the entry. */
async function entryAt(url: string, index: number): Promise<LedgerEntry> {
  for (;;) {
    const answer = await fetch(`${url}/v1/entries/${index}`);
    if (answer.status === 200) return ((await answer.json()) as { entry: LedgerEntry }).entry;
    await sleep(20);
  }
}

/** What of an entry does not depend on when it came: proofs are drawn at random, and keys sign what they find. */
function lasting(entries: readonly LedgerEntry[]): string[] {
  return entries
    .filter(({ body }) => body.type !== 'proof')
    .map((entry) => canonicalText(entry))
    .sort();
}

test('a verifier of six processes makes the ledger of one that is a single process', async () => {
  const alone = await LiveNetwork.make({ seed: SEED, miners: 2 });
  try {
    for (const index of [0, 1]) cluster.miner(index, urls[index]!);
    await cluster.line(/window 2: verdict/);
    const entries = await cluster.entries();
    await killAll();

    const verifier = await alone.verifier({ windows: WINDOWS, phaseTimeout: 600 });
    for (const index of [0, 1]) alone.miner(index);
    await runsOut(verifier);
    expect(lasting(entries)).toEqual(lasting(alone.entries()));
    expect(entries.filter(({ body }) => body.type === 'verdict').length).toBe(WINDOWS);
  } finally {
    await killAll();
    alone.remove();
  }
}, 600_000);

test('its ledger and blobs pass an audit', async () => {
  const report = await cluster.audit();
  expect(report.divergence).toBeNull();
  expect(report.windows).toBe(WINDOWS);
});

describe('two gateways of one network', () => {
  let a: string;
  let b: string;

  beforeAll(async () => {
    [a, b] = (await other.processes.urls()) as [string, string];
  });

  test('show what was posted to either', async () => {
    const message = await registration(a, 61);
    const answer = await post(a, message);
    expect(answer.status).toBe(200);
    const { index } = (await answer.json()) as { index: number };
    expect((await entryAt(b, index)).body).toMatchObject({ type: 'register', miner: message.miner });
  });

  test('acknowledge a message that is posted to both as the same entry', async () => {
    const message = await registration(a, 62);
    const answers = await Promise.all([a, b, a, b].map((url) => post(url, message)));
    const indices = await Promise.all(
      answers.map(async (answer) => ((await answer.json()) as { index: number }).index),
    );
    expect(new Set(indices).size).toBe(1);
    const same = (await other.entries()).filter(({ body }) => body.miner === message.miner);
    expect(same.length).toBe(1);
  });

  test('refuse what is not signed by its miner, and tell the sequencer nothing of it', async () => {
    const message = await registration(a, 63);
    const stranger = new Identity(new Uint8Array(32).fill(64)).address;
    const before = (await other.entries()).length;
    const answer = await post(b, { ...message, miner: stranger });
    expect(answer.status).toBe(401);
    expect((await other.entries()).length).toBe(before);
  });

  test('answer 503 while there is no sequencer, and serve what is in the ledger', async () => {
    await other.processes.kill('sequencer-0');
    const message = await registration(a, 65);
    const answer = await post(a, message);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: { code: 'UNREACHABLE' } });
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect((await entryAt(b, 0)).body.type).toBe('genesis');

    await other.processes.launch('sequencer', 0).url;
    expect((await post(a, message)).status).toBe(200);
  });
});

test('networks that share a database, a bus and a bucket see nothing of each other', async () => {
  const [mine, theirs] = [await cluster.entries(), await other.entries()];
  const authors = (entries: LedgerEntry[]) => new Set(entries.map(({ body }) => body.miner).filter(Boolean));
  expect(authors(mine)).toEqual(new Set(cluster.addresses));
  for (const address of cluster.addresses) expect(authors(theirs)).not.toContain(address);
  expect(theirs.some(({ body }) => body.type === 'verdict')).toBe(false);
});

test('a role that meets others says which place is missing', async () => {
  const { database, blobs, bus } = cluster.places;
  const flags = { '--database': database, '--bus': bus, '--blobs': blobs };
  for (const missing of Object.keys(flags)) {
    const given = Object.entries(flags).flatMap((flag) => (flag[0] === missing ? [] : flag));
    const { code, err } = await runHere(['verifier', '--role', 'gateway', '--dir', 'nowhere', ...given]);
    expect(code).toBe(2);
    expect(err[0]).toMatch(new RegExp(`^USAGE: .*${missing}`));
  }
});
