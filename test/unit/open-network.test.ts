import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { genesisHash } from '../../src/params/genesis.ts';
import { type Devnet, makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { lineLog } from '../../verifier/log.ts';
import { openNetwork } from '../../verifier/open-network.ts';
import { EMBEDDED } from '../../verifier/roles/backends.ts';

let devnet: Devnet;
let folder: string;
let directory: NetworkDirectory;
let made: number;

beforeAll(async () => {
  devnet = await makeDevnet({ seed: 1, miners: 0 });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-open-'));
  directory = new NetworkDirectory(folder);
  made = 0;
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (role: 'all' | 'gateway') =>
  openNetwork({
    directory,
    places: EMBEDDED,
    role,
    log: lineLog(() => {}),
    make: async () => {
      made += 1;
      return devnet;
    },
  });

test('a folder without a network gets one, once', async () => {
  await open('all');
  await open('all');
  expect(made).toBe(1);
  expect(genesisHash(directory.genesis())).toEqual(devnet.genesisHash);
  expect((await directory.secrets()).verifierKey).toEqual(devnet.verifierKey);
  expect(await directory.blobs.has(devnet.genesis.initialAnchor)).toBe(true);
});

test('a network whose creation was killed before its secrets were written is made again', async () => {
  await open('all');
  rmSync(join(folder, 'operator.json'));
  await open('all');
  expect(made).toBe(2);
  expect(directory.exists).toBe(true);
});

test('a role that only follows makes no network', async () => {
  await open('gateway');
  expect(made).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
});
