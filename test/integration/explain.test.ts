import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GENESIS_FILE, ReceiptFolder } from '../../src/cli/miner-receipts.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { attestationDigest } from '../../src/protocol/messages.ts';
import type { Receipt } from '../../src/protocol/wire.ts';
import { createGateway, type Gateway } from '../../verifier/gateway.ts';
import { lineLog } from '../../verifier/log.ts';
import { GRAIL_MAIN } from '../helpers/grail-process.ts';
import { KEYS, TestNetwork, tinyGenesis } from '../helpers/network.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';

/** `grail explain`: receipts that a real gateway gave, true ones and others. */
const { address } = KEYS.miner;
const rejection = { code: 'ACTION_MISMATCH', slot: 1, step: 3, expected: 0, got: 1 } as const;

let folder: string;
let network: TestNetwork;
let gateway: Gateway;
let url: string;
let receipts: ReceiptFolder;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'grail-explain-'));
  network = new TestNetwork();
  await network.run(0);
  for (const miner of [network.miner, network.other]) network.take(miner.enrol(1));
  await network.close(1);
  for (const miner of [network.miner, network.other]) network.take(miner.commit(1));
  await network.close(1);
  for (const miner of [network.miner, network.other]) network.take(miner.opening(1));
  await network.close(1);
  await network.close(1, { [address]: rejection });
  const log = lineLog(() => {});
  gateway = createGateway({ sequencer: network, blobs: network.blobs, host: '127.0.0.1', port: 0, log });
  ({ url } = await gateway.start());
  receipts = new ReceiptFolder(folder, { genesis: network.genesis, domain: network.state.domain });
  for (const window of [0, 1]) receipts.keep(await network.receipt(window, address));
});

afterAll(async () => {
  await gateway.stop();
  network.remove();
  rmSync(folder, { recursive: true, force: true });
});

const fileOf = (window: number) => join(receipts.path, `${window}-${address}.json`);
const receiptOf = (window: number): Receipt => JSON.parse(readFileSync(fileOf(window), 'utf8'));

/** Signs a receipt anew, as a verifier that lies would. */
function signed({ verifier: _, signature: __, result, ...value }: Receipt, by = KEYS.verifier): Receipt {
  const stated = { ...value, resultHash: toHex(sha256(canonicalBytes(result))) };
  const signature = by.sign(attestationDigest(network.state.domain, 'receipt', stated));
  return { ...stated, result, verifier: by.address, signature };
}

let written = 0;
function write(value: unknown): string {
  const file = join(receipts.path, `${written++}.json`);
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}

const explain = (...args: string[]) => runHere(['explain', ...args]);

async function codeOf(...args: string[]): Promise<string> {
  const printed = await explain(...args, '--json');
  expect(printed.code).not.toBe(0);
  return printedJson(printed).error.code;
}

describe('grail explain', () => {
  test('says what was credited and why, of a file that a miner kept, without a network', async () => {
    const { code, out } = await explain(fileOf(0));
    const text = out.join('\n');
    expect(code).toBe(0);
    expect(text).toContain(`In window 0, ${address} enrolled 2 slots of 16 steps: 32 steps.`);
    expect(text.replace(/\s+/g, ' ')).toContain(
      "It was credited 200 base units, 20.0% of the window's emission: the full rate of 100 a slot.",
    );
    expect(text).toContain('ledger     not checked');
  });

  test('says why nothing was credited, where, and what to do', async () => {
    const { out } = await explain(`${url}/v1/receipts/1/${address}`);
    const text = out.join(' ');
    expect(text).toContain('ACTION_MISMATCH at slot 1, step 3: expected 0, got 1.');
    expect(text).toContain('What to do: Memory errors, or a changed client: run grail doctor.');
    // Lag 1, cool-down 2: the protocol's w + lag + 1 + coolDown is the last window without it.
    expect(text).toContain('may enrol again from window 6.');
    expect(network.state.miners.get(address)!.coolingUntil).toBe(5);
    expect(text).toContain('ledger     says the same');
  });

  test('gives a program the same, with the head under which the verdict stands', async () => {
    const report = printedJson(await explain(fileOf(0), '--verifier', url, '--json'));
    expect(report).toMatchObject({
      valid: true,
      receipt: receiptOf(0),
      ledger: { index: receiptOf(0).index },
    });
    expect(report.ledger.head.treeSize).toBe(network.ledger.size);
    expect(report.explanation[0]).toContain('In window 0');
  });

  test('reads a receipt from stdin', () => {
    const args = [GRAIL_MAIN, 'explain', '-', '--genesis', join(receipts.path, GENESIS_FILE)];
    const input = readFileSync(fileOf(0));
    const { status, stdout } = spawnSync(process.execPath, args, { input, encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toContain('In window 0');
  });

  test('tells a part of the emission from the full rate', async () => {
    const genesis = tinyGenesis({ emission: 300 });
    const poor = new TestNetwork(genesis);
    await poor.run(0);
    const kept = new ReceiptFolder(folder, { genesis, domain: poor.state.domain });
    kept.keep(await poor.receipt(0, address));
    poor.remove();
    const { out } = await explain(join(kept.path, `0-${address}.json`));
    expect(out.join(' ')).toContain('its part of 300 among all enrolled slots, which is less than the rate');
  });
});

describe('grail explain refuses', () => {
  test.each<[string, (receipt: Receipt) => Receipt]>([
    ['another credit', (receipt) => ({ ...receipt, credit: 201 })],
    [
      'another credit in the result',
      (receipt) => ({ ...receipt, result: { ...receipt.result, credit: 201 } }),
    ],
    ['another window', (receipt) => ({ ...receipt, window: 1 })],
    ['another index', (receipt) => ({ ...receipt, index: 3 })],
    ['another hash', (receipt) => ({ ...receipt, resultHash: `0x${'00'.repeat(32)}` })],
    ['insecureDev taken off', (receipt) => ({ ...receipt, insecureDev: false })],
    ['another miner', (receipt) => ({ ...receipt, miner: KEYS.other.address })],
    ['another verifier', (receipt) => ({ ...receipt, verifier: KEYS.other.address })],
    ['a signature of a key that is no verifier', (receipt) => signed(receipt, KEYS.stranger)],
  ])('a receipt with %s: BAD_SIGNATURE', async (_, tamper) => {
    expect(await codeOf(write(tamper(receiptOf(0))))).toBe('BAD_SIGNATURE');
  });

  test('a receipt of another network', async () => {
    const genesis = write({ ...network.genesis, name: 'another' });
    expect(await codeOf(fileOf(0), '--genesis', genesis)).toBe('BAD_SIGNATURE');
    expect(await codeOf(fileOf(0), '--genesis', genesis, '--verifier', url)).toBe('GENESIS_MISMATCH');
  });

  test.each<[string, (receipt: Receipt) => Receipt]>([
    ['of an entry that is no verdict', (receipt) => signed({ ...receipt, index: 1 })],
    ['of another window’s verdict', (receipt) => signed({ ...receipt, window: 1 })],
    ['beyond the ledger', (receipt) => signed({ ...receipt, index: 1_000_000 })],
    [
      'of another credit',
      (receipt) => signed({ ...receipt, credit: 201, result: { ...receipt.result, credit: 201 } }),
    ],
  ])('what a verifier signed, but its ledger does not say: %s', async (_, lie) => {
    const file = write(lie(receiptOf(0)));
    // The signature alone is right.
    expect((await explain(file)).code).toBe(0);
    expect(await codeOf(file, '--verifier', url)).toBe('LEDGER_DIVERGED');
  });

  test('a tree head that is signed by somebody else, or that does not hold the entry', async () => {
    const genuine = network.head.bind(network);
    const stranger = new Identity(new Uint8Array(32).fill(9));
    network.head = async () => ({ ...(await genuine()), author: stranger.address });
    expect(await codeOf(fileOf(0), '--verifier', url)).toBe('BAD_SIGNATURE');
    network.head = genuine;
    const proof = network.ledger.inclusionProof.bind(network.ledger);
    network.ledger.inclusionProof = (index, size) => proof(index, size).slice(1);
    expect(await codeOf(fileOf(0), '--verifier', url)).toBe('LEDGER_DIVERGED');
    network.ledger.inclusionProof = proof;
  });

  test.each([
    ['no JSON', 'hello', 'BAD_REQUEST'],
    ['another document', '{"receipt":1}', 'BAD_REQUEST'],
    ['null', 'null', 'BAD_REQUEST'],
    ['more bytes than any receipt', ' '.repeat(8_388_609), 'TOO_LARGE'],
  ])('a file with %s', async (_, text, code) => {
    expect(await codeOf(write(text))).toBe(code);
  });

  test('an unknown field, as every schema of the wire does', async () => {
    expect(await codeOf(write({ ...receiptOf(0), note: 'hello' }))).toBe('BAD_REQUEST');
    const stranger = signed({ ...receiptOf(0), result: { ...receiptOf(0).result, bonus: 5 } });
    expect(await codeOf(write(stranger))).toBe('BAD_REQUEST');
  });

  test('a file that is not there, a URL of something else, and a receipt without a genesis', async () => {
    expect(await codeOf(join(folder, 'nothing.json'))).toBe('NOT_FOUND');
    expect(await codeOf(`${url}/v1/head`)).toBe('USAGE');
    const alone = join(folder, 'alone.json');
    writeFileSync(alone, JSON.stringify(receiptOf(0)));
    expect(await codeOf(alone)).toBe('USAGE');
  });

  test('a window without a verdict', async () => {
    expect(await codeOf(`${url}/v1/receipts/7/${address}`)).toBe('NOT_FOUND');
  });
});
