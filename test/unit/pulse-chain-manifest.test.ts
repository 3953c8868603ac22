import { describe, expect, test } from 'vitest';
import type { Hex } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import {
  checkSeen,
  MAX_LOG_MANIFESTS,
  MAX_MANIFEST_BYTES,
  type Manifest,
  manifestDigest,
  signManifest,
  type UnsignedManifest,
  verifyLog,
  verifyManifest,
} from '../../src/pulse/chain/index.ts';
import { codeOf } from '../support/pulse.ts';
import { CHAIN, identity, stranger, trust } from '../support/pulse-run.ts';

const id = (digit: string): Hex => `0x${digit.repeat(64)}`;
const FRESH = { steps: 0, tag: '0x0000000000000000' } as const;

function anchor(changes: Partial<UnsignedManifest> = {}): UnsignedManifest {
  return {
    format: 'pulse-manifest/1',
    chain: CHAIN,
    sequence: 0,
    step: 0,
    kind: 'anchor',
    baseStep: null,
    baseId: null,
    targetId: id('a'),
    history: { needs: null, gives: FRESH },
    blob: { hash: id('0'), bytes: 100 },
    previous: null,
    publisher: identity.address,
    ...changes,
  };
}

function patch(changes: Partial<UnsignedManifest> = {}): UnsignedManifest {
  return anchor({
    kind: 'patch',
    sequence: 1,
    step: 1,
    baseStep: 0,
    baseId: id('a'),
    targetId: id('b'),
    history: { needs: FRESH, gives: { steps: 1, tag: '0x0102030405060708' } },
    previous: manifestDigest(anchor()),
    ...changes,
  });
}

const sign = (unsigned: UnsignedManifest) => signManifest(identity, unsigned);
const verify = (value: unknown) => codeOf(() => verifyManifest(value, trust));

describe('a manifest', () => {
  test('of the trusted publisher is taken as it was signed', async () => {
    for (const unsigned of [anchor(), patch()]) {
      const signed = await sign(unsigned);
      expect(verifyManifest(JSON.parse(JSON.stringify(signed)), trust)).toEqual(signed);
    }
  });

  test('has a digest that its signature does not enter', async () => {
    const signed = await sign(anchor());
    expect(manifestDigest(signed)).toBe(manifestDigest(anchor()));
    expect(manifestDigest(anchor({ step: 1 }))).not.toBe(manifestDigest(anchor()));
  });

  test('stays below the limit with every field at its largest', async () => {
    const most = 2 ** 40;
    const history = { steps: 2 ** 31 - 1, tag: `0x${'f'.repeat(16)}` as Hex };
    const signed = await sign(
      patch({
        chain: 'c'.repeat(64),
        sequence: most,
        step: most,
        kind: 'merged',
        baseStep: most - 1,
        history: { needs: history, gives: { ...history, steps: 2 ** 31 } },
        blob: { hash: id('f'), bytes: most },
      }),
    );
    expect(canonicalBytes(signed).length).toBeLessThan(MAX_MANIFEST_BYTES);
  });

  const CHANGES: Record<string, unknown> = {
    format: 'pulse-manifest/2',
    chain: 'other-run',
    sequence: 2,
    step: 2,
    kind: 'merged',
    baseStep: null,
    baseId: id('c'),
    targetId: id('c'),
    history: { needs: null, gives: FRESH },
    blob: { hash: id('1'), bytes: 100 },
    previous: id('c'),
    publisher: stranger.address,
    signature: `0x${'1'.repeat(130)}`,
  };
  test.each(Object.keys(CHANGES))('whose %s was changed is MANIFEST_INVALID', async (field) => {
    expect(await verify({ ...(await sign(patch())), [field]: CHANGES[field] })).toBe('MANIFEST_INVALID');
  });

  test.each(Object.keys(CHANGES))('without %s is MANIFEST_INVALID', async (field) => {
    const { [field as keyof Manifest]: _, ...rest } = await sign(patch());
    expect(await verify(rest)).toBe('MANIFEST_INVALID');
  });

  test('that another key signed is MANIFEST_INVALID, whoever it says published it', async () => {
    expect(await verify(await signManifest(stranger, patch()))).toBe('MANIFEST_INVALID');
    const own = await signManifest(stranger, patch({ publisher: stranger.address }));
    expect(await verify(own)).toBe('MANIFEST_INVALID');
  });

  test('with an unknown field is MANIFEST_INVALID, even one that was signed', async () => {
    const more = { ...anchor(), note: 'x' };
    expect(await verify(await sign(more))).toBe('MANIFEST_INVALID');
  });

  test.each<[string, UnsignedManifest]>([
    ['an anchor with a base', anchor({ baseId: id('b'), baseStep: 0 })],
    ['an anchor that uses a history', anchor({ history: { needs: FRESH, gives: FRESH } })],
    ['a patch without a base', patch({ baseId: null, baseStep: null })],
    ['a patch to its own step', patch({ baseStep: 1 })],
    ['a patch to an earlier step', patch({ baseStep: 2 })],
    [
      'a merged patch that uses a history',
      patch({ kind: 'merged', history: { needs: FRESH, gives: FRESH } }),
    ],
    [
      'a history that leaps',
      patch({ history: { needs: FRESH, gives: { steps: 2, tag: '0x0102030405060708' } } }),
    ],
    [
      'a fresh history with a name',
      patch({ history: { needs: FRESH, gives: { steps: 0, tag: '0x0102030405060708' } } }),
    ],
    [
      'a used history without a name',
      patch({ history: { needs: FRESH, gives: { steps: 1, tag: FRESH.tag } } }),
    ],
    ['a first manifest that has one before it', anchor({ previous: id('b') })],
    ['a later manifest that has none before it', patch({ previous: null })],
    ['an empty blob', anchor({ blob: { hash: id('0'), bytes: 0 } })],
    ['a blob beyond the limit', anchor({ blob: { hash: id('0'), bytes: 2 ** 40 + 1 } })],
    ['a step beyond the limit', anchor({ step: 2 ** 40 + 1 })],
    ['half a step', anchor({ step: 0.5 })],
    ['a chain that is no name', anchor({ chain: '../x' })],
    ['upper-case hex', anchor({ targetId: id('A') })],
  ])('that says %s is MANIFEST_INVALID, however well it is signed', async (_, unsigned) => {
    expect(await verify(await sign(unsigned))).toBe('MANIFEST_INVALID');
  });

  test.each([null, 'x', 7, [], {}, { signature: 1 }])('that is %j is MANIFEST_INVALID', async (value) => {
    expect(await verify(value)).toBe('MANIFEST_INVALID');
  });
});

describe('a log', async () => {
  const manifests: Manifest[] = [await sign(anchor())];
  for (let sequence = 1; sequence < 5; sequence++) {
    const before = manifests.at(-1)!;
    const needs = before.history.gives;
    const gives = { steps: needs.steps + 1, tag: `0x000000000000000${sequence}` as Hex };
    manifests.push(
      await sign(
        patch({
          sequence,
          step: sequence,
          baseStep: sequence - 1,
          baseId: before.targetId,
          targetId: id(String(sequence)),
          history: { needs, gives },
          previous: manifestDigest(before),
        }),
      ),
    );
  }
  const [first, second, third, fourth, fifth] = manifests as [
    Manifest,
    Manifest,
    Manifest,
    Manifest,
    Manifest,
  ];
  const logOf = (...values: unknown[]) => codeOf(() => verifyLog(values, trust));
  const seenAt = (manifest: Manifest) => ({ sequence: manifest.sequence, digest: manifestDigest(manifest) });

  test('is taken whole, without what is old, and when it is empty', () => {
    expect(verifyLog(manifests, trust)).toEqual(manifests);
    expect(verifyLog(manifests.slice(2), trust)).toEqual(manifests.slice(2));
    expect(verifyLog([], trust)).toEqual([]);
  });

  test.each([
    ['two manifests in the other order', [first, third, second]],
    ['a gap', [first, second, fourth]],
    ['a manifest twice', [first, first]],
    ['its end before its beginning', [fourth, fifth, first]],
  ])('with %s is MANIFEST_OUT_OF_ORDER', async (_, values) => {
    expect(await logOf(...values)).toBe('MANIFEST_OUT_OF_ORDER');
  });

  test('into which a manifest of another log of the publisher was spliced is MANIFEST_OUT_OF_ORDER', async () => {
    const { signature: _, ...rest } = third;
    const other = await sign({ ...rest, targetId: id('e') });
    expect(await logOf(first, second, other, fourth)).toBe('MANIFEST_OUT_OF_ORDER');
  });

  test.each<[string, Partial<UnsignedManifest>]>([
    ['goes back in steps', { step: 3, baseStep: 2 }],
    ['has two states for one step', { step: 4, baseStep: 3 }],
  ])('that %s is MANIFEST_OUT_OF_ORDER, though its hashes chain', async (_, changes) => {
    const { signature: __, ...rest } = fifth;
    const next = { ...rest, sequence: 5, targetId: id('e'), previous: manifestDigest(fifth), ...changes };
    expect(await logOf(...manifests, await sign(next))).toBe('MANIFEST_OUT_OF_ORDER');
  });

  test('with one bad signature is MANIFEST_INVALID', async () => {
    expect(await logOf(first, { ...second, signature: third.signature }, third)).toBe('MANIFEST_INVALID');
  });

  test('is not taken on the word of a signature that was verified with other fields', async () => {
    const known = new Map([[second.signature, second]]);
    const changed = { ...second, step: 9 };
    expect(await codeOf(() => verifyLog([changed], trust, known))).toBe('MANIFEST_INVALID');
    expect(verifyLog([second], trust, known)).toEqual([second]);
  });

  test('of more manifests than the limit is TOO_LARGE before one is looked at', async () => {
    expect(await logOf(...new Array(MAX_LOG_MANIFESTS + 1).fill(null))).toBe('TOO_LARGE');
  });

  test('may begin after what was seen, and go on from it', () => {
    checkSeen(manifests, null);
    checkSeen(manifests, seenAt(third));
    checkSeen(manifests, seenAt(fifth));
    checkSeen(manifests.slice(3), seenAt(second));
  });

  test('that ends before what was seen is MANIFEST_ROLLED_BACK', async () => {
    expect(await codeOf(() => checkSeen(manifests.slice(0, 3), seenAt(fifth)))).toBe('MANIFEST_ROLLED_BACK');
    expect(await codeOf(() => checkSeen([], seenAt(first)))).toBe('MANIFEST_ROLLED_BACK');
  });

  test('with another manifest where one was seen is MANIFEST_FORKED', async () => {
    const seen = { sequence: third.sequence, digest: id('e') };
    expect(await codeOf(() => checkSeen(manifests, seen))).toBe('MANIFEST_FORKED');
    expect(await codeOf(() => checkSeen(manifests.slice(3), seen))).toBe('MANIFEST_FORKED');
  });
});
