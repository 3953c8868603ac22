import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createKeystore, inspectKeystore } from '../../src/cli/keystore.ts';
import { lockKey } from '../../src/cli/miner-lock.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import { lockFile } from '../../src/storage/lock.ts';
import { createGateway } from '../../verifier/gateway.ts';
import { lineLog } from '../../verifier/log.ts';
import { named, TestNetwork } from '../helpers/network.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';
import { mineableGenesis } from '../support/mining.ts';

/** `grail miner` up to its first window: what it refuses before it spends anything. */
let folder: string;
let keystore: string;
let runtime: string;
let network: TestNetwork;
let gateway: ReturnType<typeof createGateway>;
let url: string;

async function serve(changes: Partial<Genesis>, wrong: Partial<Genesis> = {}): Promise<void> {
  network = new TestNetwork({ ...mineableGenesis(changes), ...wrong });
  const log = lineLog(() => {});
  gateway = createGateway({ sequencer: network, blobs: network.blobs, host: '127.0.0.1', port: 0, log });
  url = (await gateway.start()).url;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'grail-miner-'));
  keystore = join(folder, 'miner.json');
  runtime = join(folder, 'runtime');
  await createKeystore(keystore, 'password', 'fast');
});

afterEach(async () => {
  await gateway?.stop();
  network?.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function miner(...args: string[]) {
  const own = { '--verifier': url, '--keystore': keystore };
  const common = Object.entries(own).filter(([flag]) => !args.includes(flag));
  const all = ['miner', '--json', ...common.flat(), ...args];
  const printed = await runHere(all, { GRAIL_PASSWORD: 'password', GRAIL_RUNTIME: runtime });
  const { error } = printedJson(printed) as { error: { code: string } };
  return { code: printed.code, error: error.code, lines: printed.err };
}

describe('grail miner refuses', () => {
  test('a keystore that another process mines with, and takes it once that has ended', async () => {
    await serve({});
    const lock = lockFile(`${keystore}.lock`, 'the keystore');
    expect(await miner()).toMatchObject({ code: 1, error: 'ALREADY_RUNNING' });
    lock.release();
    expect(await miner('--slots', '9')).toMatchObject({ code: 1, error: 'SLOTS_INVALID' });
    // Each failure lets the keystore go again.
    expect(await miner('--slots', '9')).toMatchObject({ error: 'SLOTS_INVALID' });
  });

  test('a copy of a keystore that is mined with, and says what to do', async () => {
    await serve({});
    const { address } = inspectKeystore(keystore);
    const lock = lockKey(keystore, address, { GRAIL_RUNTIME: runtime });
    const copy = join(folder, 'copies', 'other-name.json');
    mkdirSync(join(folder, 'copies'));
    copyFileSync(keystore, copy);
    const refused = await miner('--keystore', copy);
    expect(refused).toMatchObject({ code: 1, error: 'ALREADY_RUNNING' });
    expect(refused.lines.join(' ')).toContain(`another miner on this machine uses the key ${address}`);
    lock.release();
    expect(await miner('--keystore', copy, '--slots', '9')).toMatchObject({ error: 'SLOTS_INVALID' });
  });

  test('more addresses than it tries, and one that is none', async () => {
    await serve({});
    const many = Array.from({ length: 17 }, () => url).join(',');
    expect(await miner('--verifier', many)).toMatchObject({ code: 2, error: 'USAGE' });
    expect(await miner('--verifier', `${url},nowhere`)).toMatchObject({ code: 2, error: 'USAGE' });
  });

  test('to cheat where it would cost a real bond', async () => {
    await serve({ insecureDev: false });
    expect(await miner('--cheat', 'flip-one-action')).toMatchObject({ code: 2, error: 'USAGE' });
  });

  test('another network than the one that is meant', async () => {
    await serve({});
    expect(await miner('--network', named('another'))).toMatchObject({ code: 1, error: 'GENESIS_MISMATCH' });
    expect(await miner('--network', 'mainnet')).toMatchObject({ code: 2, error: 'USAGE' });
  });

  test('a verifier that is not there', async () => {
    await serve({});
    await gateway.stop();
    expect(await miner()).toMatchObject({ code: 1, error: 'UNREACHABLE' });
  });

  test('a backend that there is not, or not here, and threads that are none', async () => {
    await serve({});
    expect(await miner('--backend', 'abacus')).toMatchObject({ code: 2, error: 'USAGE' });
    expect(await miner('--threads', '0')).toMatchObject({ code: 2, error: 'USAGE' });
    // An optional package that no checkout installs.
    expect(await miner('--backend', 'tensorflow')).toMatchObject({ code: 1, error: 'BACKEND_UNAVAILABLE' });
  });

  test('a genesis whose initial policy is not the one that its seed gives', async () => {
    await serve({}, { initialPolicyRoot: named('another policy') });
    expect(await miner()).toMatchObject({ code: 1, error: 'GENESIS_INVALID' });
  });
});
