import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VerifierClient } from '../../rollouts/client.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { attestationDigest, messageDigest, signMessage } from '../../src/protocol/messages.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { KEYS, named, tinyGenesis } from '../helpers/network.ts';

const genesis = tinyGenesis();
const { domain } = new NetworkState(genesis);
const message = signMessage(domain, KEYS.miner, {
  type: 'enrol',
  miner: KEYS.miner.address,
  window: 3,
  slots: 2,
});
const PROMISE = {
  messageHash: toHex(messageDigest(domain, message)),
  window: 3,
  phase: 'enrol',
  view: 0,
  index: 4,
  treeSize: 5,
  treeRoot: named('root'),
};

let server: Server;
let client: VerifierClient;
let promise: Record<string, unknown>;

beforeEach(async () => {
  server = createServer((request, response) => {
    const signature = KEYS.verifier.sign(attestationDigest(domain, 'acknowledgement', promise));
    const acknowledgement = { ...promise, verifier: KEYS.verifier.address, signature };
    request.resume().on('end', () => {
      response.end(JSON.stringify(request.method === 'GET' ? genesis : acknowledgement));
    });
  });
  promise = PROMISE;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = await VerifierClient.connect({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test('an acknowledgement of the place where a message belongs is taken', async () => {
  await expect(client.post(message)).resolves.toMatchObject({ index: 4 });
});

test.each([
  ['of another window', { window: 2 }],
  ['of another phase', { phase: 'commit' }],
  ['of another view', { view: 1 }],
  ['beyond the tree that it names', { index: 5 }],
])('a signed acknowledgement %s is no promise', async (_, change) => {
  promise = { ...PROMISE, ...change };
  await expect(client.post(message)).rejects.toMatchObject({ code: 'BAD_SIGNATURE' });
});
