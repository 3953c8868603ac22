import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { groth16 } from 'snarkjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerifierClient } from '../../rollouts/client.ts';
import { inclusionSchema } from '../../src/protocol/api.ts';
import { fromHex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity, recover } from '../../src/protocol/identity.ts';
import { verifyInclusion } from '../../src/protocol/merkle.ts';
import { attestationDigest, type Message, signMessage } from '../../src/protocol/messages.ts';
import type { Acknowledgement, Receipt } from '../../src/protocol/wire.ts';
import { type GrailProcess, grail, killAll } from '../helpers/grail-process.ts';
import { LiveNetwork, roots, runsOut, verdictsOf } from '../helpers/live-network.ts';
import { node22 } from '../helpers/node-22.ts';
import { endSnarkjs } from '../helpers/small-ceremony.ts';

/** Three windows, the third with a policy that was trained: two honest miners, one slot each. */
const SEED = 7;
const WINDOWS = 3;

let first: LiveNetwork;
let verifier: GrailProcess;
let miners: GrailProcess[];
let registration: Message;
let acknowledgement: Acknowledgement;
let end: Awaited<ReturnType<typeof runsOut>>;
const networks: LiveNetwork[] = [];

async function network(): Promise<LiveNetwork> {
  const made = await LiveNetwork.make({ seed: SEED, miners: 2 });
  networks.push(made);
  return made;
}

beforeAll(async () => {
  first = await network();
  verifier = await first.verifier({ windows: WINDOWS });
  miners = [first.miner(0), first.miner(1)];
  // By now a new key may first enrol in window 4, so nobody waits for it.
  await verifier.line(/window 1: enrol closed/);
  const client = await VerifierClient.connect({ url: first.url });
  const stranger = new Identity(sha256(utf8('a stranger')));
  registration = signMessage(client.domain, stranger, { type: 'register', miner: stranger.address });
  acknowledgement = await client.post(registration);
  end = await runsOut(verifier);
});

afterAll(async () => {
  await killAll();
  for (const made of networks) made.remove();
});

describe('while its verifier still answers', () => {
  test('every window is credited to both miners, and each has a receipt that says so', async () => {
    const client = await VerifierClient.connect({ url: first.url });
    const receipts: Receipt[] = [];
    for (let window = 0; window < WINDOWS; window++) {
      for (const miner of first.addresses) receipts.push(await client.receipt(window, miner));
    }
    for (const { verifier: signer, signature, result, ...value } of receipts) {
      expect(recover(attestationDigest(client.domain, 'receipt', value), signature)).toBe(signer);
      expect(value.resultHash).toBe(toHex(sha256(canonicalBytes(result))));
      expect(result).toMatchObject({ slots: 1, trained: true, rejection: null, proofs: 1 });
      expect(result.credit).toBeGreaterThan(0);
    }
  });

  test('an acknowledgement is signed, and the ledger keeps its promise', async () => {
    const client = await VerifierClient.connect({ url: first.url });
    const { verifier: signer, signature, ...promise } = acknowledgement;
    const digest = attestationDigest(client.domain, 'acknowledgement', promise);
    expect([signer]).toEqual(client.genesis.verifiers.map(({ address }) => address));
    expect(recover(digest, signature)).toBe(signer);
    const query = `index=${promise.index}&size=${promise.treeSize}`;
    const answer = await fetch(new URL(`v1/proofs/inclusion?${query}`, client.url));
    const { leaf, index, size, proof } = inclusionSchema.parse(await answer.json());
    const root = fromHex(promise.treeRoot);
    expect(verifyInclusion({ leaf: fromHex(leaf), index, size, proof: proof.map(fromHex), root })).toBe(true);
    expect(first.entries()[promise.index]!.body).toEqual(registration);
  });

  test('everything that miners were told stands in the ledger stands there', () => {
    const entries = first.entries();
    for (const [name, type] of [
      ['committed', 'commit'],
      ['opened', 'opening'],
      ['proved', 'proof'],
    ]) {
      const told = miners.flatMap(({ events }) => events.filter(({ event }) => event === name));
      expect(told).toHaveLength(2 * WINDOWS);
      for (const { index, window } of told)
        expect(entries[Number(index)]).toMatchObject({ window, body: { type } });
    }
  });

  test('miners end on SIGTERM, and nothing of theirs was rejected', async () => {
    const ends = await Promise.all(miners.map((miner) => miner.stop()));
    expect(ends.map(({ code }) => code)).toEqual([143, 143]);
    for (const { events } of miners) expect(events.filter(({ event }) => event === 'rejected')).toEqual([]);
  });

  test('the verifier ends on SIGTERM', async () => {
    expect(await verifier.stop()).toEqual({ code: 143, signal: null });
  });
});

describe('its ledger', () => {
  test('ends with the roots that the verifier told', () => {
    const { update } = verdictsOf(first.entries()).at(-1)!;
    expect(update).toMatchObject({ version: WINDOWS, policyRoot: end.policyRoot });
  });

  test('audits without a divergence, on this runtime', async () => {
    const { code, out } = await grail(['audit', first.directory]);
    expect([code, out.at(-1)]).toEqual([0, 'no divergence']);
    const counts = out.join('\n');
    expect(counts).toMatch(/^windows +3$/m);
    expect(counts).toMatch(/^steps replayed +1536$/m);
    expect(counts).toMatch(/^proofs checked +6$/m);
    expect(counts).toMatch(/^updates trained +3$/m);
    expect(counts).toMatch(/^blobs +4$/m);
    expect(counts).toContain(end.policyRoot);
    expect(counts).toContain(end.trainerStateRoot);
  });

  test('audits without a divergence on Node 22', async () => {
    const node = node22();
    expect(execFileSync(node, ['--version'], { encoding: 'utf8' })).toMatch(/^v22\./);
    const { code, out } = await grail(['audit', first.directory, '--json'], node);
    const report = JSON.parse(out.at(-1)!);
    expect([code, report.divergence]).toEqual([0, null]);
    expect(report).toMatchObject({ policyRoot: end.policyRoot, trainerStateRoot: end.trainerStateRoot });
    expect(report.insecureDev).toBe(true);
  });

  test.each([
    ['rollout', 'slot 0, policy 1', 256],
    ['proof', 'proof 0: valid', 8],
    ['patch', 'patch to version 3', 3],
    ['policy', 'policy 3 of CartPole-v1', 3],
  ])('inspect %s shows it', async (kind, sentence, rows) => {
    const { code, out } = await grail(['inspect', kind, first.directory]);
    expect(code).toBe(0);
    expect(out.join('\n')).toContain(sentence);
    expect(out.length).toBeGreaterThanOrEqual(rows);
  });

  test('an exported proof is valid to snarkjs alone, and not for another statement', async () => {
    const folder = join(first.directory, 'exported');
    const { code, out } = await grail(['inspect', 'proof', first.directory, '--export', folder]);
    expect(code).toBe(0);
    const command = out.find((line) => line.includes('snarkjs groth16 verify'))!;
    const files = command.trim().split(' ').slice(4);
    expect(files).toHaveLength(3);
    const [key, statement, proof] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
    expect(await groth16.verify(key, statement, proof)).toBe(true);
    expect(await groth16.verify(key, ['1', ...statement.slice(1)], proof)).toBe(false);
    await endSnarkjs();
  });
});

describe('the same seed', () => {
  test('gives the same policy and trainer state in another run', async () => {
    const second = await network();
    const again = await second.verifier({ windows: WINDOWS });
    // The other miner first: the order of arrival decides nothing.
    second.miner(1);
    second.miner(0);
    expect(roots(await runsOut(again))).toEqual(roots(end));
    await killAll();
  });

  test('gives the same policy and trainer state when the run stops after two windows and goes on', async () => {
    const third = await network();
    const short = await third.verifier({ windows: 2 });
    third.miner(0);
    third.miner(1);
    const half = await runsOut(short);
    expect(half).toMatchObject({ policyVersion: 2, verdicts: 2 });
    expect(half.policyRoot).not.toBe(end.policyRoot);
    await short.stop();
    // The miners are still there: they find the verifier again.
    expect(roots(await runsOut(await third.verifier({ windows: WINDOWS })))).toEqual(roots(end));
    await killAll();
  });
});
