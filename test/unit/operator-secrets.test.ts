import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLedgerReadOnly } from '../../src/ledger/log.ts';
import { genesisHash } from '../../src/params/genesis.ts';
import { utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { verifierConfigSchema } from '../../verifier/config.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { lineLog } from '../../verifier/log.ts';
import { startVerifier } from '../../verifier/service.ts';
import { tinyGenesis } from '../helpers/network.ts';

let path: string;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'grail-secrets-'));
});

afterEach(() => rmSync(path, { recursive: true, force: true }));

test('a verifier with the beacon secrets of another network is refused, before it writes anything', async () => {
  const genesis = tinyGenesis();
  const directory = new NetworkDirectory(path);
  await directory.create({
    genesis,
    genesisHash: genesisHash(genesis),
    verifierKey: new Uint8Array(32).fill(1),
    minerKeys: [],
    beaconSecrets: [sha256(utf8('another beacon 0')), sha256(utf8('another beacon 1'))],
    anchor: new Uint8Array([1]),
    keyFile: null,
  });
  const log = lineLog(() => {});
  const config = verifierConfigSchema.parse({ port: 0, phaseTimeoutMs: 100, evaluationEpisodes: 0 });
  await expect(startVerifier(directory, config, { log })).rejects.toMatchObject({
    code: 'GENESIS_MISMATCH',
    message: expect.stringContaining('beacon'),
  });
  const ledger = openLedgerReadOnly(directory.ledgerPath);
  expect(ledger.size).toBe(1);
  ledger.close();
});
