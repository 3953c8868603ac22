import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadBackend, TRAINING_WASM_SHA256 } from '../../src/backends/index.ts';
import { signHead } from '../../src/ledger/head.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { encodePolicyAnchor } from '../../src/pulse/index.ts';
import { type AuditReport, audit } from '../../src/replica/audit.ts';
import { createTrainer, type Trainer, trainerStateRoot } from '../../src/training/index.ts';
import { KEYS, TestNetwork, tinyGenesis } from '../helpers/network.ts';
import { believe } from '../helpers/one-by-one.ts';

let genesis: Genesis;
let trainer: Trainer;
let anchor: Uint8Array;
let network: TestNetwork;

beforeAll(async () => {
  const wanted = tinyGenesis({ trainingWasm: TRAINING_WASM_SHA256 });
  trainer = await createTrainer(wanted);
  const { policy, state } = trainer.initialise();
  anchor = encodePolicyAnchor(policy);
  genesis = {
    ...wanted,
    initialPolicyRoot: toHex(policyRoot(policy)),
    initialTrainerStateRoot: toHex(trainerStateRoot(state)),
    initialAnchor: toHex(sha256(anchor)),
  };
});

/** Two closed phases, whose heads are the test's to sign. */
beforeEach(async () => {
  network = new TestNetwork(genesis);
  await network.blobs.put(anchor);
  for (const _ of ['open', 'challenge']) network.append(network.closing(await network.closer(0)));
});

afterEach(() => {
  network.remove();
});

/** Signs the head that ends with the closer of a phase of window 0. */
function sign(phase: 'enrol' | 'commit', view = 0): void {
  const treeSize = phase === 'enrol' ? 2 : 3;
  const treeRoot = toHex(network.ledger.root(treeSize));
  network.ledger.putHead(
    signHead(network.state.domain, KEYS.verifier, { window: 0, phase, view, treeSize, treeRoot }),
  );
}

async function report(): Promise<AuditReport> {
  const { ledger, blobs } = network;
  const backend = await loadBackend('reference');
  return audit({ genesis, ledger, blobs, trainer, backend, checkProofs: believe });
}

test('heads in the order of the tree pass', async () => {
  sign('enrol');
  sign('commit');
  expect(await report()).toMatchObject({ divergence: null, entries: 3 });
});

test('heads in another order are named', async () => {
  sign('commit');
  sign('enrol');
  expect((await report()).divergence).toMatchObject({
    code: 'LEDGER_INVALID',
    details: { head: 1, index: 1 },
  });
});

test('a second head over the same tree, of another view, is named', async () => {
  sign('enrol');
  sign('enrol', 1);
  sign('commit');
  expect((await report()).divergence).toMatchObject({
    code: 'LEDGER_INVALID',
    details: { head: 1, index: 1 },
  });
});

test('a head of a view that the network does not have is named', async () => {
  sign('enrol', 7);
  sign('commit');
  expect((await report()).divergence).toMatchObject({
    code: 'LEDGER_INVALID',
    details: { head: 0, index: 1 },
  });
});
