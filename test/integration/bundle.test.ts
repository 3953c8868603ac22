import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '../../src/backends/index.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { openLedgerReadOnly } from '../../src/ledger/log.ts';
import { loadNetworkKey } from '../../src/proofs/network-key.ts';
import { createVerifier } from '../../src/proofs/verify.ts';
import { type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import type { AuditReport } from '../../src/replica/audit.ts';
import { auditBundle } from '../../src/replica/audit-bundle.ts';
import { type Bundle, decodeBundle, encodeBundle } from '../../src/replica/bundle.ts';
import { BundledWindow } from '../../src/replica/bundled-window.ts';
import { genesisOf } from '../../src/replica/genesis-of.ts';
import { replayedStart } from '../../src/replica/load-judge.ts';
import { makeBundle } from '../../src/replica/make-bundle.ts';
import type { CheckProofs } from '../../src/replica/verdict.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import { createTrainer } from '../../src/training/index.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { forgedBundle } from '../helpers/bundles.ts';
import { GrailProcess, grail, killAll } from '../helpers/grail-process.ts';
import { entriesOf, verdictsOf } from '../helpers/live-network.ts';

const WINDOWS = 3;

let folder: string;
let original: LedgerEntry[];
let checkProofs: CheckProofs;
const bundles: Bundle[] = [];

/** Three windows of two honest miners and one that flips an action. */
beforeAll(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'grail-bundle-')), 'demo');
  const args = ['--seed', '23', '--windows', String(WINDOWS), '--slots', '1', '--miners', '2'];
  const cheat = ['--cheat', 'flip-one-action', '--phase-timeout', '120'];
  const demo = new GrailProcess(['demo', ...args, ...cheat, '--dir', folder, '--json']);
  expect((await demo.ended).code, demo.log).toBe(0);
  original = entriesOf(folder);
  for (let window = 0; window < WINDOWS; window++) bundles.push(await bundleOf(window));
  checkProofs = (await createVerifier(bundles[0]!.verificationKey)).verifyMany;
}, 400_000);

afterAll(async () => {
  await killAll();
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

async function bundleOf(window: number): Promise<Bundle> {
  const ledger = openLedgerReadOnly(join(folder, 'ledger.sqlite'));
  try {
    const genesis = genesisOf(ledger);
    const backend = await loadBackend('reference');
    return await makeBundle({
      genesis,
      ledger,
      blobs: new FolderBlobStore(join(folder, 'blobs')),
      verificationKey: async () => (await loadNetworkKey(genesis)).verificationKey,
      window,
      trainerState: async () =>
        (await replayedStart(genesis, ledger, backend, () => {}, window)).trainerState,
    });
  } finally {
    ledger.close();
  }
}

async function audited(bundle: Bundle): Promise<AuditReport> {
  const bundled = new BundledWindow(decodeBundle(encodeBundle(bundle)));
  const trainer = await createTrainer(bundled.genesis);
  const backend = await loadBackend('reference');
  return auditBundle({ bundled, trainer, backend, checkProofs });
}

describe('a window by itself', () => {
  test.each([0, 1, 2])('%i is judged again to what its verdict says', async (window) => {
    const report = await audited(bundles[window]!);
    expect(report.divergence).toBeNull();
    const verdict = verdictsOf(original)[window]!;
    expect(report).toMatchObject({
      windows: 1,
      updates: 1,
      policyVersion: window + 1,
      policyRoot: verdict.update.policyRoot,
      trainerStateRoot: verdict.update.trainerStateRoot,
      rejections: verdict.results.filter(({ rejection }) => rejection !== null).length,
      proofs: 2,
      entries: bundles[window]!.entries.length,
    });
    expect(report.unseen.join('\n')).toContain(
      `whether policy ${window} and the trainer’s state at it were trained rightly`,
    );
  });

  test('is the same file from the command, which audits it without the network', async () => {
    const file = join(folder, '..', 'window-1.grail');
    const exported = await grail(['export', folder, '--bundle', '1', '--out', file, '--json']);
    expect(exported.code, exported.err).toBe(0);
    const { bytes, entries } = JSON.parse(exported.out.at(-1)!);
    expect({ bytes, entries }).toEqual({
      bytes: encodeBundle(bundles[1]!).length,
      entries: bundles[1]!.entries.length,
    });
    const { code, out } = await grail(['audit', file]);
    expect([code, out.at(-1)]).toEqual([0, 'no divergence']);
    expect(out[0]).toBe('window             1 alone, from a bundle');
  });

  test('that was altered makes the command exit with 1 and name the code', async () => {
    const file = join(folder, '..', 'altered.grail');
    const { trainerState } = bundles[1]!;
    const other = trainerState.with(trainerState.length - 1, trainerState.at(-1)! ^ 1);
    writeFileSync(file, encodeBundle({ ...bundles[1]!, trainerState: other }));
    const { code, err } = await grail(['audit', file]);
    expect([code, err]).toEqual([1, expect.stringContaining('TRAINER_STATE_INVALID: ')]);
  });
});

describe('an operator that forges the window, and signs another head over it', () => {
  const other = toHex(sha256(utf8('another')));
  type Body = {
    results: { credit: number; rejection: unknown; meanReturn: number | null }[];
    update: {
      policyRoot: Hex;
      trainerStateRoot: Hex;
      patch: { hash: Hex; bytes: number };
      metrics: Record<string, unknown>;
    };
    [member: string]: unknown;
  };
  const paid = (body: Body) => body.results.find(({ credit }) => credit > 0)!;
  const cases: [what: string, type: string, change: (body: Body) => void][] = [
    ['a credit raised by one', 'verdict', (b) => paid(b).credit++],
    [
      'a rejection removed',
      'verdict',
      (b) => (b.results.find(({ rejection }) => rejection)!.rejection = null),
    ],
    ['a mean return', 'verdict', (b) => (b.results.find((r) => r.meanReturn)!.meanReturn! += 1)],
    ['another next policy', 'verdict', (b) => (b.update.policyRoot = other)],
    ['another next trainer state', 'verdict', (b) => (b.update.trainerStateRoot = other)],
    ['another patch', 'verdict', (b) => (b.update.patch.hash = other)],
    ['a patch of another length', 'verdict', (b) => b.update.patch.bytes++],
    ['another metric', 'verdict', (b) => (b.update.metrics.meanReturn = 500)],
    ['another reward root', 'verdict', (b) => (b.rewardRoot = other)],
    ['another first beacon', 'open', (b) => (b.beacon0 = other)],
    ['another second beacon', 'challenge', (b) => (b.beacon1 = other)],
    ['another rho', 'fold', (b) => (b.rho = `0x00${other.slice(4)}`)],
    ['another fold digest', 'fold', (b) => (b.foldDigest = `0x00${other.slice(4)}`)],
    ['a flipped action', 'commit', (b) => (b.actions = flipped(String(b.actions)))],
    ['another opening', 'opening', (b) => (b.traceDigests = [`0x00${other.slice(4)}`])],
    ['another proof', 'proof', (b) => (b.proof = flipped(String(b.proof)))],
  ];

  test.each(cases)('%s in a %s is named', async (_, type, change) => {
    const network = new NetworkDirectory(folder);
    const operator = new Identity((await network.secrets()).verifierKey);
    const entries = structuredClone(original);
    const index = entries.findIndex(({ window, body }) => window === 1 && body.type === type);
    change(entries[index]!.body as unknown as Body);
    const { divergence } = await audited(forgedBundle(bundles[1]!, network.genesis(), operator, entries));
    expect(['LEDGER_INVALID', 'LEDGER_DIVERGED']).toContain(divergence?.code);
    expect(divergence!.details).toMatchObject({ index });
  });

  test('is not found out by the head: signing alone changes nothing', async () => {
    const network = new NetworkDirectory(folder);
    const operator = new Identity((await network.secrets()).verifierKey);
    const forged = forgedBundle(bundles[1]!, network.genesis(), operator, original);
    expect((await audited(forged)).divergence).toBeNull();
  });
});

/** A hex string with the lowest bit of its last digit flipped. */
function flipped(hex: string): string {
  return `${hex.slice(0, -1)}${(Number.parseInt(hex.at(-1)!, 16) ^ 1).toString(16)}`;
}
