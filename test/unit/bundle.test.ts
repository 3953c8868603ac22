import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LedgerEntry, parseEntry } from '../../src/ledger/entry.ts';
import type { VerificationKey } from '../../src/proofs/verification-key.ts';
import { concat, fromHex, type Hex, toHex, u32, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError, type Rejection } from '../../src/protocol/errors.ts';
import type { MessageOf } from '../../src/protocol/messages.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import { type Bundle, decodeBundle, encodeBundle } from '../../src/replica/bundle.ts';
import { BundledWindow } from '../../src/replica/bundled-window.ts';
import { makeBundle } from '../../src/replica/make-bundle.ts';
import { trainerStateRootOfBytes } from '../../src/training/index.ts';
import { forgedBundle } from '../helpers/bundles.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { KEYS, named, TestNetwork, tinyGenesis } from '../helpers/network.ts';

const { verificationKey, verificationKeyHash } = JSON.parse(
  readFileSync(new URL('../vectors/groth16.json', import.meta.url), 'utf8'),
) as { verificationKey: VerificationKey; verificationKeyHash: Hex };

/** Every version of this network has the same trainer state, and blobs that are their names. */
const STATE = utf8('a trainer state');
const STATE_ROOT = toHex(trainerStateRootOfBytes(STATE));
const NAMES = ['anchor 0', ...Array.from({ length: 9 }, (_, i) => `patch ${i}`)];
const BLOBS = new Map(NAMES.map((name) => [named(name), utf8(name)]));

const network = new TestNetwork(
  tinyGenesis({
    initialTrainerStateRoot: STATE_ROOT,
    proof: { variant: 'folds', verificationKeys: { folds: verificationKeyHash, digest: null } },
  }),
);
const { miner, other, stranger } = network;

/** Closes the prove phase with a verdict that names the one trainer state. */
async function judge(window: number, rejections: Partial<Record<Hex, Rejection>> = {}): Promise<void> {
  const body = (await network.closer(window, rejections)) as VerdictBody;
  const update = { ...body.update, trainerStateRoot: STATE_ROOT };
  network.append(network.closing({ ...body, update } as VerdictBody));
  network.ledger.putHead(await network.head());
}

/** A window in which these miners deliver everything. */
async function run(window: number, miners: (typeof miner)[], proofs = 'aa'): Promise<void> {
  for (const one of miners) network.take(one.enrol(window));
  await network.close(window);
  for (const one of miners) network.take(one.commit(window));
  await network.close(window);
  for (const one of miners) network.take(one.opening(window));
  await network.close(window);
  for (const one of miners) for (const part of [0, 1]) network.take(one.proof(window, part, proofs));
}

/** A stranger registers in window 0 and mines from window 2 on; `other` loses its bond in window 0. */
beforeAll(async () => {
  network.take(stranger.register());
  await run(0, [miner, other]);
  await judge(0, { [other.identity.address]: { code: 'ACTION_MISMATCH' } });
  await run(1, [miner]);
  await judge(1);
  await run(2, [miner, stranger], 'bb');
  await judge(2);
  await run(3, [miner]);
});

afterAll(() => network.remove());

function bundleOf(window: number): Promise<Bundle> {
  return makeBundle({
    genesis: network.genesis,
    ledger: network.ledger,
    blobs: { get: async (hash) => BLOBS.get(hash)! },
    verificationKey: async () => verificationKey,
    window,
    trainerState: async (root) => {
      expect(root).toBe(STATE_ROOT);
      return STATE;
    },
  });
}

/** Applies everything, and gives the state at the end. */
function replayed(bundle: Bundle): BundledWindow {
  const bundled = new BundledWindow(decodeBundle(encodeBundle(bundle)));
  for (const { index, entry } of bundled.entries()) bundled.apply(index, entry);
  bundled.requireVerdict();
  return bundled;
}

const entryOf = ({ bytes }: { bytes: Uint8Array }): LedgerEntry => parseEntry(bytes);

describe('a bundle', () => {
  test.each([0, 1, 2])('of window %i replays to the state that the ledger has after it', async (window) => {
    const { state } = replayed(await bundleOf(window));
    const verdict = network.state.window(window)!.verdict!;
    expect(state.window(window)!.verdict).toEqual(verdict);
    expect(toHex(state.rewardRootAfter([]))).toBe(verdict.rewardRoot);
    expect(state.versions.at(-1)).toEqual(network.state.versions[window + 1]);
    expect(state.window(window)!.challenge).toEqual(network.state.window(window)!.challenge);
  });

  test('is the same bytes whenever it is made, and after it was read', async () => {
    const bytes = encodeBundle(await bundleOf(2));
    expect(encodeBundle(await bundleOf(2))).toEqual(bytes);
    expect(encodeBundle(decodeBundle(bytes))).toEqual(bytes);
  });

  test('has of other windows only what its own follows from', async () => {
    const bundle = await bundleOf(2);
    const outside = bundle.entries
      .map(entryOf)
      .filter(({ window, body }) => window !== 2 || body.type === 'register');
    expect(outside.map(({ window, body }) => [body.type, window])).toEqual([
      ['genesis', 0],
      ['register', 0],
      ['verdict', 0],
      ['open', 1],
      ['challenge', 1],
      ['verdict', 1],
    ]);
  });

  test('has the first entry with the bytes of a proof that was posted again', async () => {
    const [first] = [...network.ledger.range()].filter(({ entry }) => entry.body.type === 'proof');
    const bundle = await bundleOf(1);
    expect(bundle.entries.map(({ index }) => index)).toContain(first!.index);
    const { proof } = first!.entry.body as unknown as MessageOf<'proof'>;
    const { state } = replayed(bundle);
    expect([...state.proofIndex.values()]).toEqual([first!.index]);
    expect(proof.slice(2, 4)).toBe('aa');
  });

  test('cannot be made before the window’s verdict', async () => {
    await expectCode('NOT_FOUND', bundleOf(3));
  });
});

describe('without an entry that it needs', () => {
  test.each([
    ['the genesis entry', 0, 'genesis'],
    ['the registration of a miner', 0, 'register'],
    ['the verdict that made its policy', 1, 'verdict'],
    ['the verdict that could bar a miner', 0, 'verdict'],
    ['the first beacon before', 1, 'open'],
    ['the second beacon before', 1, 'challenge'],
    ['its verdict', 2, 'verdict'],
    ['its opening entry', 2, 'open'],
    ['a commitment', 2, 'commit'],
  ])('%s, a bundle is refused', async (_, window, type) => {
    const bundle = await bundleOf(2);
    const at = bundle.entries.findIndex(
      (one) => entryOf(one).window === window && entryOf(one).body.type === type,
    );
    expect(at).toBeGreaterThanOrEqual(0);
    await expectCode('LEDGER_INVALID', () =>
      replayed({ ...bundle, entries: bundle.entries.toSpliced(at, 1) }),
    );
  });
});

test('an entry of the ledger that belongs to another window is refused', async () => {
  const bundle = await bundleOf(1);
  const strange = (await bundleOf(2)).entries.find((one) => entryOf(one).body.type === 'enrol')!;
  const entries = [...bundle.entries, strange].sort((a, b) => a.index - b.index);
  await expectCode('LEDGER_INVALID', () => replayed({ ...bundle, entries }));
});

test('a miner that lost its bond may not enrol in a bundle either', async () => {
  const entries = [...network.ledger.range()].map(({ entry }) => entry);
  const index = entries.findIndex(({ window, body }) => window === 2 && body.type === 'enrol');
  entries[index] = { ...entries[index]!, author: other.identity.address, body: { ...other.enrol(2) } };
  const forged = forgedBundle(await bundleOf(2), network.genesis, KEYS.verifier, entries);
  const error = await expectCode('LEDGER_INVALID', () => replayed(forged));
  expect(error.details).toMatchObject({ index, rule: 'COOLING_DOWN' });
});

test('a head that no verifier of the network signed is refused', async () => {
  const entries = [...network.ledger.range()].map(({ entry }) => entry);
  const forged = forgedBundle(await bundleOf(2), network.genesis, KEYS.stranger, entries);
  await expectCode('LEDGER_INVALID', () => replayed(forged));
});

describe('what was altered is named', () => {
  const flipped = (bytes: Uint8Array, at = bytes.length - 1) => bytes.with(at, bytes[at]! ^ 1);
  const altered = (bundle: Bundle, index: number, change: (entry: Bundle['entries'][number]) => object) => ({
    ...bundle,
    entries: bundle.entries.map((entry, i) => (i === index ? { ...entry, ...change(entry) } : entry)),
  });
  const someone: Hex = `0x${'ab'.repeat(20)}`;

  test.each<[string, Code, (bundle: Bundle) => Bundle]>([
    [
      'a hash of an audit path',
      'LEDGER_CORRUPT',
      (b) => altered(b, 3, ({ proof }) => ({ proof: [flipped(proof[0]!), ...proof.slice(1)] })),
    ],
    [
      'an audit path that is too short',
      'LEDGER_CORRUPT',
      (b) => altered(b, 3, ({ proof }) => ({ proof: proof.slice(1) })),
    ],
    [
      'the place of an entry',
      'LEDGER_CORRUPT',
      (b) => altered(b, b.entries.length - 1, ({ index }) => ({ index: index + 1 })),
    ],
    [
      'the signature of the head',
      'BAD_SIGNATURE',
      (b) => ({ ...b, head: { ...b.head, signature: `0x${'11'.repeat(65)}` } }),
    ],
    [
      'the root of the head',
      'BAD_SIGNATURE',
      (b) => ({ ...b, head: { ...b.head, treeRoot: named('other') } }),
    ],
    [
      'the size of the head',
      'BAD_SIGNATURE',
      (b) => ({ ...b, head: { ...b.head, treeSize: b.head.treeSize + 1 } }),
    ],
    [
      'the verification key',
      'KEY_MISMATCH',
      (b) => ({ ...b, verificationKey: { ...b.verificationKey, IC: b.verificationKey.IC.toReversed() } }),
    ],
    [
      'a total',
      'LEDGER_DIVERGED',
      (b) => ({ ...b, totals: new Map([...b.totals].map(([who, total]) => [who, total + 1n])) }),
    ],
    [
      'totals of one more',
      'LEDGER_DIVERGED',
      (b) => ({ ...b, totals: new Map([...b.totals, [someone, 1n]]) }),
    ],
    ['the trainer state', 'TRAINER_STATE_INVALID', (b) => ({ ...b, trainerState: flipped(b.trainerState) })],
    ['a blob', 'BLOB_MISSING', (b) => ({ ...b, blobs: [flipped(b.blobs[0]!), ...b.blobs.slice(1)] })],
    ['a blob left out', 'BLOB_MISSING', (b) => ({ ...b, blobs: b.blobs.slice(1) })],
    ['a blob added', 'BLOB_UNREFERENCED', (b) => ({ ...b, blobs: [...b.blobs, utf8('more')] })],
    ['the window', 'LEDGER_INVALID', (b) => ({ ...b, window: 1 })],
  ])('%s: %s', async (_, code, change) => {
    const bundle = await bundleOf(2);
    await expectCode(code, () => replayed(change(bundle)));
  });

  test('any entry', async () => {
    const bundle = await bundleOf(2);
    for (const [i, { index, bytes }] of bundle.entries.entries()) {
      // The last digit of the last hex string: still canonical JSON of an entry.
      const text = new TextDecoder().decode(bytes);
      const at = text.lastIndexOf('"0x') + 3 + text.slice(text.lastIndexOf('"0x') + 3).indexOf('"') - 1;
      const digit = text[at] === '0' ? '1' : '0';
      const changed = utf8(`${text.slice(0, at)}${digit}${text.slice(at + 1)}`);
      const entries = bundle.entries.with(i, { ...bundle.entries[i]!, bytes: changed });
      // Another genesis is another network, whose head this is not.
      await expectCode(index === 0 ? 'BAD_SIGNATURE' : 'LEDGER_CORRUPT', () =>
        replayed({ ...bundle, entries }),
      );
    }
  });
});

describe('a file that is no bundle', () => {
  let bytes: Uint8Array;
  let header: Record<string, unknown>;
  let body: Uint8Array;

  beforeAll(async () => {
    bytes = encodeBundle(await bundleOf(2));
    const length = new DataView(bytes.buffer).getUint32(12);
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(16, 16 + length)));
    body = bytes.subarray(16 + length);
  });

  const withHeader = (text: Uint8Array) => concat(utf8('GRAILWIN'), u32(1), u32(text.length), text, body);

  test.each<[string, () => Uint8Array]>([
    ['nothing', () => new Uint8Array()],
    ['another beginning', () => bytes.with(0, 0x50)],
    ['another version', () => bytes.with(11, 2)],
    ['a header longer than the file', () => bytes.with(12, 3)],
    ['the last byte missing', () => bytes.subarray(0, -1)],
    ['half of it', () => bytes.subarray(0, bytes.length / 2)],
    ['a byte behind its end', () => concat(bytes, Uint8Array.of(0))],
    ['a header that is no JSON', () => withHeader(utf8('{'))],
    ['a header with blanks', () => withHeader(utf8(JSON.stringify(header, null, 1)))],
    ['an unknown member', () => withHeader(canonicalBytes({ ...header, more: 1 }))],
    ['a member missing', () => withHeader(canonicalBytes({ ...header, totals: undefined }))],
    [
      'entries out of order',
      () => withHeader(canonicalBytes({ ...header, entries: (header.entries as object[]).toReversed() })),
    ],
    [
      'an entry twice',
      () =>
        withHeader(
          canonicalBytes({
            ...header,
            entries: [(header.entries as object[])[0], ...(header.entries as object[])],
          }),
        ),
    ],
    ['a length that is negative', () => withHeader(canonicalBytes({ ...header, trainerState: -1 }))],
    [
      'a blob of a gigabyte',
      () => withHeader(canonicalBytes({ ...header, blobs: [{ hash: named('x'), bytes: 2 ** 30 }] })),
    ],
    [
      'a nested key',
      () => withHeader(utf8(`{"verificationKey":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)),
    ],
  ])('%s is refused', async (_, make) => {
    await expectCode('BAD_REQUEST', () => decodeBundle(make()));
  });

  test('a byte of a blob changed is named', async () => {
    await expectCode('BLOB_CORRUPT', () => decodeBundle(bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1)));
  });

  test('any byte of the file changed is refused', async () => {
    for (let i = 0; i < 400; i++) {
      const at = Number(BigInt(named(`place ${i}`)) % BigInt(bytes.length));
      let refused = false;
      try {
        replayed(decodeBundle(bytes.with(at, bytes[at]! ^ (1 + (i % 255)))));
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(GrailError);
        refused = true;
      }
      expect(refused, `byte ${at}`).toBe(true);
    }
  });

  test('reading keeps to the bytes that it is given', () => {
    const padded = concat(Uint8Array.of(1, 2, 3), bytes, Uint8Array.of(4)).subarray(3, 3 + bytes.length);
    expect(encodeBundle(decodeBundle(padded))).toEqual(bytes);
    expect(fromHex(toHex(padded))).toEqual(bytes);
  });
});
